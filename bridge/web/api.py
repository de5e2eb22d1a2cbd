"""What can be asked of the bridge over HTTP: one table of routes, JSON out, errors too.

    GET /metrics            Prometheus' text format
    GET /healthz            200 when a call could be taken, else 503 with the reasons
    GET /v1/calls           the calls that stand, with their figures of this moment
    GET /v1/calls/{call}    one call, standing or ended, with all that has happened in it

What else lies below /v1 is made in files of its own (`placing`) and handed to `application`.

Calls name people: /v1 asks for the bearer token (RFC 6750) when the settings have one. Health and metrics name nobody.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from typing import Protocol

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bridge.errors import StoreError
from bridge.web.answers import Refused, error, json
from bridge.web.house import Health, LiveCall


class Shown(Protocol):
    """What the handlers need; `bridge.web.house` has it."""

    def health(self) -> Health: ...
    async def calls(self) -> list[LiveCall]: ...
    async def call(self, call: str) -> LiveCall | None: ...


def application(
    house: Shown, exposition: Callable[[], bytes], token: str = "", more: Sequence[Route] = ()
) -> Starlette:
    """`exposition` gives the metrics as text. An empty `token` lets everybody in. `more` goes below /v1."""

    async def metrics(request: Request) -> Response:
        return Response(exposition(), headers={"content-type": CONTENT_TYPE_LATEST})

    async def healthz(request: Request) -> Response:
        health = house.health()
        status = "ok" if health.is_well else "trouble"
        warnings = {"warnings": health.warnings} if health.warnings else {}
        return json({"status": status, "reasons": health.troubles, **warnings}, 200 if health.is_well else 503)

    async def calls(request: Request) -> Response:
        return json({"calls": await house.calls()})

    async def call(request: Request) -> Response:
        try:
            found = await house.call(request.path_params["call"])
        except StoreError as down:
            raise Refused(503, str(down), retry_after_s=5) from None
        if found is None:
            raise HTTPException(404, "there is no such call")
        return json(found)

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/healthz", healthz),
            Mount(
                "/v1",
                routes=[Route("/calls", calls), Route("/calls/{call}", call), *more],
                middleware=[Middleware(Bearer, token=token)] if token else [],
            ),
        ],
        exception_handlers={HTTPException: error},
    )


class Bearer:
    """Lets through who knows the token (RFC 6750, 2.1)."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._expected = app, f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        if not hmac.compare_digest(given, self._expected):
            raise HTTPException(401, "a bearer token is needed", {"www-authenticate": "Bearer"})
        await self._app(scope, receive, send)
