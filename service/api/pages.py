"""The landing page and the API documentation: both work without internet, everything comes from this service."""

import html
import string
from functools import cache
from importlib import resources
from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from anatomy.card import ImageInput, SignalInput, VolumeInput
from service.api.work import Serving
from service.repository import Model, Repository

ASSETS = "/docs-assets"

router = APIRouter(include_in_schema=False)


@router.get("/")
async def landing(request: Request, services: Serving) -> HTMLResponse:
    """What this is, what is served, and where to go on."""
    address = html.escape(str(request.base_url).rstrip("/"))
    rows = _models(services.repository)
    return HTMLResponse(
        _page().substitute(address=address, models=rows, provider=html.escape(services.engine.provider))
    )


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """Swagger UI, from this service's own files."""
    root = request.scope.get("root_path", "").rstrip("/")
    return get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title="Fovea API",
        swagger_js_url=f"{root}{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{root}{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{root}{ASSETS}/favicon.png",
    )


def install(app: FastAPI) -> None:
    """Add the pages and the files that the documentation needs."""
    app.include_router(router)
    static = Path(str(resources.files("fastapi_offline").joinpath("static")))
    app.mount(ASSETS, StaticFiles(directory=static), name="docs-assets")


@cache
def _page() -> string.Template:
    return string.Template(resources.files("service.api").joinpath("landing.html").read_text(encoding="utf-8"))


def _models(repository: Repository) -> str:
    served = [_row(model) for model in repository]
    refused = [
        f"<tr class='refused'><td>{html.escape(each.name)}</td><td>{html.escape(each.version)}</td>"
        f"<td colspan='3'>refused: {html.escape(each.reason)}</td></tr>"
        for each in repository.refused
    ]
    return "\n".join(served + refused) or f"<tr><td colspan='5'>{html.escape(repository.trouble)}</td></tr>"


def _row(model: Model) -> str:
    name, version, title = (html.escape(text) for text in (model.name, model.version, model.card.title))
    spec = quote(f"{model.name}:{model.version}")
    return (
        f"<tr><td><a href='models/{spec}'>{name}</a></td><td>{version}</td><td>{title}</td><td>{_takes(model)}</td>"
        f"<td><a href='layers?model={spec}'>{len(model.layers)} layers</a></td></tr>"
    )


def _takes(model: Model) -> str:
    """What the model takes, in a few words."""
    match model.card.input:
        case ImageInput() as image:
            return "pictures" + (" of a digit" if image.resize.rule == "digit" else "")
        case SignalInput() as signal:
            return f"signals, {signal.channels} × {signal.length}"
        case VolumeInput() as volume:
            return f"volumes, {' × '.join(map(str, volume.size))}"
    return "arrays"
