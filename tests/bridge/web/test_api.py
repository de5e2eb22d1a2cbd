"""Every route, by an HTTP client without a network."""

from __future__ import annotations

import httpx
import msgspec
import pytest

from bridge.errors import StoreDown
from bridge.records import CallRecord
from bridge.web.api import application
from bridge.web.house import Health, LiveCall
from media import wire


def live(call: str) -> LiveCall:
    record = CallRecord(
        call=call,
        direction="inbound",
        started_at="2026-11-22T10:00:00+00:00",
        caller="+4930111",
        media=wire.CallReport(up_ms=wire.Spread(count=2, p50=0.2)),
    )
    return LiveCall(state="talking", record=record)


class FakeHouse:
    def __init__(self, *troubles: str) -> None:
        self.troubles = troubles
        self.standing = [live("a"), live("b")]
        self.asked = 0

    def health(self) -> Health:
        return Health(self.troubles)

    async def calls(self) -> list[LiveCall]:
        self.asked += 1
        return self.standing

    async def call(self, call: str) -> LiveCall | None:
        self.asked += 1
        return next((one for one in self.standing if one.record.call == call), None)


def client(house: FakeHouse, token: str = "") -> httpx.AsyncClient:
    app = application(house, lambda: b"# HELP something\n", token)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bridge")


async def test_metrics_are_text() -> None:
    async with client(FakeHouse()) as web:
        answer = await web.get("/metrics")
    assert (answer.status_code, answer.text) == (200, "# HELP something\n")
    assert answer.headers["content-type"].startswith("text/plain; version=")


@pytest.mark.parametrize(
    ("troubles", "status", "body"),
    [
        ((), 200, {"status": "ok", "reasons": []}),
        (("no media worker is up",), 503, {"status": "trouble", "reasons": ["no media worker is up"]}),
    ],
)
async def test_health(troubles: tuple[str, ...], status: int, body: object) -> None:
    async with client(FakeHouse(*troubles)) as web:
        answer = await web.get("/healthz")
    assert (answer.status_code, answer.json()) == (status, body)
    assert answer.headers["content-type"] == "application/json"


async def test_the_calls() -> None:
    house = FakeHouse()
    async with client(house) as web:
        listed, one, missing = [await web.get(f"/v1/calls{path}") for path in ("", "/b", "/x")]
    assert msgspec.json.decode(listed.content, type=dict[str, list[LiveCall]]) == {"calls": house.standing}
    assert msgspec.json.decode(one.content, type=LiveCall) == house.standing[1]
    assert (missing.status_code, missing.json()) == (404, {"error": "there is no such call"})


async def test_a_store_that_is_down() -> None:
    class Down(FakeHouse):
        async def call(self, call: str) -> LiveCall | None:
            raise StoreDown("connection refused")

    async with client(Down()) as web:
        answer = await web.get("/v1/calls/a")
    assert (answer.status_code, answer.json()) == (503, {"error": "connection refused"})
    assert answer.headers["retry-after"] == "5"


@pytest.mark.parametrize("path", ["/v1/calls", "/v1/calls/a"])
@pytest.mark.parametrize(
    "header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "s3cret"}, {"Authorization": "Basic s3cret"}]
)
async def test_without_the_token_no_call_is_shown(path: str, header: dict[str, str]) -> None:
    house = FakeHouse()
    async with client(house, "s3cret") as web:
        answer = await web.get(path, headers=header)
    assert (answer.status_code, answer.json()) == (401, {"error": "a bearer token is needed"})
    assert answer.headers["www-authenticate"] == "Bearer"
    assert house.asked == 0


async def test_with_the_token_they_are_and_the_rest_needs_none() -> None:
    async with client(FakeHouse(), "s3cret") as web:
        known = {"Authorization": "Bearer s3cret"}
        assert (await web.get("/v1/calls", headers=known)).status_code == 200
        assert (await web.get("/v1/calls/a", headers=known)).status_code == 200
        assert [(await web.get(path)).status_code for path in ("/metrics", "/healthz")] == [200, 200]


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/", 404, "Not Found"),
        ("GET", "/v1/nothing", 404, "Not Found"),
        ("POST", "/metrics", 405, "Method Not Allowed"),
    ],
)
async def test_errors_are_json(method: str, path: str, status: int, error: str) -> None:
    async with client(FakeHouse()) as web:
        answer = await web.request(method, path)
    assert (answer.status_code, answer.json()) == (status, {"error": error})
