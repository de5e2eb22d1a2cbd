"""Calls asked for over HTTP: what the operator is told of it, and what is answered."""

from __future__ import annotations

import httpx
import pytest

from bridge.calls.operator import CallRequest, NotPlaced
from bridge.errors import StoreDown
from bridge.records import CallRecord
from bridge.web.api import application
from bridge.web.bodies import MOST_BYTES
from bridge.web.placing import call_routes
from tests.bridge.web.test_api import FakeHouse


class FakeOperator:
    """Places all, or raises what it is given."""

    def __init__(self, refusal: NotPlaced | None = None) -> None:
        self.refusal = refusal
        self.asked: list[tuple[CallRequest, str]] = []

    async def place(self, request: CallRequest, key: str = "") -> str:
        self.asked.append((request, key))
        if self.refusal:
            raise self.refusal
        return "c1"


class FakeDesk:
    def __init__(self) -> None:
        self.standing = {"c1"}

    def hang_up(self, call: str) -> bool:
        return call in self.standing


class FakeStore:
    def __init__(self, *, is_down: bool = False) -> None:
        self.is_down = is_down

    async def find(self, call: str) -> CallRecord | None:
        if self.is_down:
            raise StoreDown("connection refused")
        return CallRecord(call=call, direction="outbound", started_at="") if call == "old" else None


def client(operator: FakeOperator, store: FakeStore | None = None, token: str = "") -> httpx.AsyncClient:
    routes = call_routes(operator, FakeDesk(), store or FakeStore())
    app = application(FakeHouse(), lambda: b"", token, routes)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bridge")


async def posted(operator: FakeOperator, body: object, headers: dict[str, str] | None = None) -> httpx.Response:
    async with client(operator) as web:
        if isinstance(body, bytes):
            return await web.post(
                "/v1/calls", content=body, headers={"content-type": "application/json", **(headers or {})}
            )
        return await web.post("/v1/calls", json=body, headers=headers)


async def test_a_call_is_placed() -> None:
    operator = FakeOperator()
    body = {
        "to": "+525512345678",
        "platform": "vapi",
        "trunk": "mx-1",
        "region": "latam",
        "from": "+4930111",
        "context": {"name": "Ana"},
        "ring_timeout_ms": 30000,
        "max_duration_s": 600,
    }
    answer = await posted(operator, body)
    assert (answer.status_code, answer.json()) == (201, {"call": "c1"})
    assert answer.headers["location"] == "/v1/calls/c1"
    wanted = CallRequest(
        to="+525512345678",
        platform="vapi",
        trunk="mx-1",
        region="latam",
        caller="+4930111",
        context={"name": "Ana"},
        ring_timeout_ms=30000,
        max_duration_s=600,
    )
    assert operator.asked == [(wanted, "")]


@pytest.mark.parametrize(
    ("body", "field", "why"),
    [
        ({}, "to", "missing required field"),
        ({"to": 5}, "to", "Expected `str`, got `int`"),
        ({"to": ""}, "to", "length >= 1"),
        ({"to": "+52", "tel": 1}, "tel", "unknown field"),
        ({"to": "+52", "ring_timeout_ms": 10}, "ring_timeout_ms", "Expected `int` >= 1000"),
        ({"to": "+52", "max_duration_s": 0}, "max_duration_s", "Expected `int` >= 1"),
        ({"to": "+52", "max_duration_s": "10"}, "max_duration_s", "got `str`"),
        ({"to": "+52", "context": {"a": 1}}, "context", "got `int`"),
        ({"to": "+52", "from": None}, "from", "got `null`"),
        ([], "", "Expected `object`"),
        (b"{", "", "the body is no JSON"),
        (b"", "", "the body is no JSON"),
        (b'{"to": "\xff"}', "", "the body is no JSON"),
    ],
)
async def test_what_is_wrong_is_named(body: object, field: str, why: str) -> None:
    operator = FakeOperator()
    answer = await posted(operator, body)
    assert answer.status_code == 400
    assert answer.json().get("field", "") == field
    assert why in answer.json()["error"]
    assert answer.json()["error"].startswith(field)
    assert operator.asked == []


@pytest.mark.parametrize(
    ("header", "key"),
    [('"8e03978e-40d5"', "8e03978e-40d5"), ("8e03978e-40d5", "8e03978e-40d5"), ('"with a space"', "with a space")],
)
async def test_keys(header: str, key: str) -> None:
    operator = FakeOperator()
    await posted(operator, {"to": "+52"}, {"Idempotency-Key": header})
    assert operator.asked == [(CallRequest(to="+52"), key)]


@pytest.mark.parametrize("header", ["", '""', '"', "a b", 'a"b', '"a', "x" * 256, '"tab\t"'])
async def test_keys_that_are_none(header: str) -> None:
    operator = FakeOperator()
    answer = await posted(operator, {"to": "+52"}, {"Idempotency-Key": header})
    assert (answer.status_code, answer.json()["field"]) == (400, "Idempotency-Key")
    assert operator.asked == []


@pytest.mark.parametrize(
    ("refusal", "status", "body", "retry"),
    [
        (
            NotPlaced(400, "is too short", field="to"),
            400,
            {"error": "to: is too short", "field": "to"},
            None,
        ),
        (NotPlaced(429, "all trunks are full", retry_after_s=3), 429, {"error": "all trunks are full"}, "3"),
        (
            NotPlaced(422, "came before", field="Idempotency-Key"),
            422,
            {"error": "Idempotency-Key: came before", "field": "Idempotency-Key"},
            None,
        ),
    ],
)
async def test_refusals(refusal: NotPlaced, status: int, body: object, retry: str | None) -> None:
    answer = await posted(FakeOperator(refusal), {"to": "+52"})
    assert (answer.status_code, answer.json(), answer.headers.get("retry-after")) == (status, body, retry)


@pytest.mark.parametrize("label", ["text/plain", "", "application/x-www-form-urlencoded", "application/jsonp"])
async def test_what_a_web_page_could_send_unasked_places_no_call(label: str) -> None:
    operator = FakeOperator()
    async with client(operator) as web:
        answer = await web.post("/v1/calls", content=b'{"to": "+52"}', headers={"content-type": label})
    assert (answer.status_code, answer.json()) == (415, {"error": "content-type must be application/json"})
    assert operator.asked == []


async def test_too_much() -> None:
    answer = await posted(FakeOperator(), b" " * (MOST_BYTES + 1))
    assert answer.status_code == 413


async def test_the_token_is_asked_for() -> None:
    operator = FakeOperator()
    async with client(operator, token="s3cret") as web:
        assert (await web.post("/v1/calls", json={"to": "+52"})).status_code == 401
        assert (await web.delete("/v1/calls/c1")).status_code == 401
        known = {"Authorization": "Bearer s3cret"}
        assert (await web.post("/v1/calls", json={"to": "+52"}, headers=known)).status_code == 201
    assert len(operator.asked) == 1


@pytest.mark.parametrize(
    ("call", "status", "body"),
    [
        ("c1", 202, {"call": "c1", "state": "closing"}),
        ("old", 200, {"call": "old", "state": "ended"}),
        ("x", 404, {"error": "there is no such call"}),
    ],
)
async def test_hanging_up(call: str, status: int, body: object) -> None:
    async with client(FakeOperator()) as web:
        for answer in (await web.delete(f"/v1/calls/{call}"), await web.post(f"/v1/calls/{call}/hangup")):
            assert (answer.status_code, answer.json()) == (status, body)


async def test_hanging_up_when_nobody_can_tell() -> None:
    async with client(FakeOperator(), FakeStore(is_down=True)) as web:
        answer = await web.delete("/v1/calls/x")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_the_routes_that_look_are_still_there() -> None:
    async with client(FakeOperator()) as web:
        assert (await web.get("/v1/calls")).status_code == 200
        assert (await web.get("/v1/calls/a")).status_code == 200
        assert (await web.put("/v1/calls")).status_code == 405
