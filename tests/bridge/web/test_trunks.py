"""The trunks over HTTP, with stand-ins behind."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from bridge.config import TrunkSection
from bridge.reload import Reloaded
from bridge.trunks.partner import Partner
from bridge.trunks.states import TrunkState, state_of
from bridge.web.answers import error
from bridge.web.trunks import trunk_routes


class Trunks:
    def states(self) -> Sequence[TrunkState]:
        return [state_of(Partner(TrunkSection(name=name), 0.0), 0.0) for name in ("a", "b")]


class Bridge:
    def __init__(self) -> None:
        self.done = Reloaded(added=("trunk c",))

    async def reload(self) -> Reloaded:
        return self.done


@pytest.fixture
def bridge() -> Bridge:
    return Bridge()


@pytest.fixture
def web(bridge: Bridge) -> httpx.AsyncClient:
    app = Starlette(routes=trunk_routes(Trunks(), bridge), exception_handlers={HTTPException: error})
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bridge")


async def test_all_and_one_and_none(web: httpx.AsyncClient) -> None:
    assert [one["name"] for one in (await web.get("/trunks")).json()["trunks"]] == ["a", "b"]
    found = (await web.get("/trunks/b")).json()
    assert (found["name"], found["state"], found["targets"]) == ("b", "up", [])
    answer = await web.get("/trunks/c")
    assert (answer.status_code, answer.json()) == (404, {"error": "no trunk is called 'c'"})


async def test_reload(web: httpx.AsyncClient, bridge: Bridge) -> None:
    answer = await web.post("/reload")
    assert (answer.status_code, answer.json()["added"]) == (200, ["trunk c"])
    bridge.done = Reloaded(errors=("x.toml:1: sip: wrong",))
    answer = await web.post("/reload")
    assert (answer.status_code, answer.json()["errors"]) == (422, ["x.toml:1: sip: wrong"])
    assert (await web.get("/reload")).status_code == 405
