"""Serves the page at `/` and its files under `explorer/`: plain ES modules and CSS, nothing from
elsewhere.
"""

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from service.explorer.assets import Asset, Assets, load, newest

# The page runs its own scripts and styles, talks to its own service, and may be framed by nobody.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
# Asked for anew each time, and answered 304 while unchanged.
REVALIDATED = "no-cache"
# Other bytes would have another address.
IMMUTABLE = "public, max-age=31536000, immutable"


class Pages:
    """The routes of the page. Files that change while the service runs are read again when the page
    is asked for.
    """

    def __init__(self) -> None:
        self._assets = load()
        self.router = APIRouter(include_in_schema=False)
        self.router.add_api_route("/", self.page, methods=["GET"])
        self.router.add_api_route("/explorer/{path:path}", self.file, methods=["GET"])

    async def page(self, request: Request) -> Response:
        """The page itself."""
        if newest() != self._assets.newest:
            self._assets = load()
        page = Asset(self._assets.page, "text/html; charset=utf-8", f'"{self._assets.digest}"')
        return _respond(request, page, REVALIDATED)

    async def file(self, request: Request, path: str) -> Response:
        """A script, a style or an icon; below the digest of all, or by its own name."""
        assets: Assets = self._assets
        digest, _, name = path.partition("/")
        asset = assets.files.get(name if digest == assets.digest else path)
        if asset is None:
            raise HTTPException(404)
        return _respond(request, asset, IMMUTABLE if digest == assets.digest else REVALIDATED)


def _respond(request: Request, asset: Asset, cache_control: str) -> Response:
    headers = HEADERS | {"Cache-Control": cache_control, "ETag": asset.etag}
    if request.headers.get("if-none-match") == asset.etag:
        return Response(status_code=304, headers=headers)
    return Response(asset.data, media_type=asset.media_type, headers=headers)


def install(app: FastAPI) -> None:
    """Add the page and its files."""
    app.include_router(Pages().router)
