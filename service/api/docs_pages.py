"""The API documentation, which works without internet: everything comes from this service."""

from importlib import resources
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

ASSETS = "/docs-assets"

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs() -> HTMLResponse:
    """Swagger UI, from this service's own files. All addresses are relative: the service may live
    behind a prefix.
    """
    return get_swagger_ui_html(
        openapi_url="openapi.json",
        title="Fovea API",
        swagger_js_url=f"{ASSETS[1:]}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS[1:]}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS[1:]}/favicon.png",
    )


def install(app: FastAPI) -> None:
    """Add the pages and the files that the documentation needs."""
    app.include_router(router)
    static = Path(str(resources.files("fastapi_offline").joinpath("static")))
    app.mount(ASSETS, StaticFiles(directory=static), name="docs-assets")
