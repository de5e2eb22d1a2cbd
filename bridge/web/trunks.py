"""The trunks over HTTP: how they are, and the settings read again.

GET  /v1/trunks            each with its registration, addresses, breaker and why, load, figures and price
GET  /v1/trunks/{trunk}    one of them
POST /v1/reload            -> 200 with what has changed, 422 with what is wrong with the file; then nothing has
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.trunks.states import TrunkState
from bridge.web.answers import Refused, json


class Trunks(Protocol):
    def states(self) -> Sequence[TrunkState]: ...


class Outcome(Protocol):
    """`bridge.reload.Reloaded`, of which only this is asked: the rest is shown as it is."""

    @property
    def errors(self) -> tuple[str, ...]: ...


class Reloads(Protocol):
    async def reload(self) -> Outcome: ...


def trunk_routes(trunks: Trunks, bridge: Reloads) -> list[Route]:
    """For `application`, below `/v1`."""

    async def all_of_them(request: Request) -> Response:
        return json({"trunks": trunks.states()})

    async def one(request: Request) -> Response:
        name = request.path_params["trunk"]
        found = next((state for state in trunks.states() if state.name == name), None)
        if found is None:
            raise Refused(404, f"no trunk is called {name!r}")
        return json(found)

    async def reload(request: Request) -> Response:
        done = await bridge.reload()
        return json(done, 422 if done.errors else 200)

    return [
        Route("/trunks", all_of_them),
        Route("/trunks/{trunk}", one),
        Route("/reload", reload, methods=["POST"]),
    ]
