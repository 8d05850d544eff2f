"""Hot routes past the framework, whose machinery costs as much as a small network.

Everything out of the ordinary (a parameter that is not as it should be, an origin of another site)
is left to the framework's route; both answer by the same code.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api import problems
from service.api.dependencies import services_of
from service.errors import FoveaError
from service.services import Services


@dataclass(frozen=True, slots=True)
class FastRoute:
    """How a plain request is answered, and what metrics call its route."""

    path: str
    answer: Callable[[Request, Services], Awaitable[Response]]


RouteMatcher = Callable[[Scope], FastRoute | None]
"""None for what the framework is to look at."""


class FastDispatch:
    """Answers what is plain to one of the routes and passes the rest on."""

    def __init__(self, app: ASGIApp, *routes: RouteMatcher) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        plain = self._plain(scope) if scope["type"] == "http" else None
        if plain is None:
            await self._app(scope, receive, send)
            return
        # Metrics and logs ask a route for its path.
        scope["route"] = plain
        request = Request(scope, receive)
        try:
            response = await plain.answer(request, await services_of(request))
        except FoveaError as error:
            response = problems.answer(error, problems.request_id(request), scope["path"])
        await response(scope, receive, send)

    def _plain(self, scope: Scope) -> FastRoute | None:
        if any(name == b"origin" for name, _ in scope["headers"]):
            return None
        return next((plain for route in self._routes if (plain := route(scope)) is not None), None)
