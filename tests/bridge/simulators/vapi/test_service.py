from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import websockets

from bridge.simulators.audio import tone_utterance
from bridge.simulators.failures import Failures
from bridge.simulators.part import Part
from bridge.simulators.simulator import Simulator
from bridge.simulators.vapi import service as vapi_service

TRANSPORT = {"provider": "vapi.websocket"}
BODY: dict[str, Any] = {"assistantId": "a1", "transport": TRANSPORT}


@asynccontextmanager
async def service(
    part: Part | None = None, failures: Failures | None = None
) -> AsyncIterator[tuple[Simulator, httpx.AsyncClient]]:
    async with (
        Simulator("vapi", part=part or Part(), failures=failures or Failures()) as simulator,
        httpx.AsyncClient(base_url=simulator.url, headers={"Authorization": "Bearer k"}, trust_env=False) as client,
    ):
        yield simulator, client


@pytest.mark.parametrize(
    ("headers", "status", "text"),
    [
        ({"User-Agent": ""}, 403, "error code: 1010"),
        ({"User-Agent": "Python-urllib/3.11"}, 403, "error code: 1010"),
        ({"Authorization": ""}, 401, "Unauthorized"),
        ({"Authorization": "Bearer"}, 401, "Unauthorized"),
        ({"Authorization": "Basic k"}, 401, "Unauthorized"),
        ({}, 201, "queued"),
    ],
)
async def test_who_is_let_in(headers: dict[str, str], status: int, text: str) -> None:
    async with service() as (_, client):
        answer = await client.post("/call", json=BODY, headers=headers)
        assert answer.status_code == status
        assert text in answer.text


async def test_a_client_without_any_user_agent_is_taken_for_a_robot() -> None:
    async with service() as (simulator, client):
        del client.headers["User-Agent"]
        answer = await client.post("/call", json=BODY)
        assert (answer.status_code, answer.text, len(simulator.calls)) == (403, "error code: 1010", 0)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({**BODY, "foo": 1}, "property foo should not exist"),
        ({**BODY, "transport": {**TRANSPORT, "rate": 1}}, "transport.property rate should not exist"),
        ({**BODY, "assistantOverrides": {"foo": 1}}, "assistantOverrides.property foo should not exist"),
        ({**BODY, "name": "n" * 41}, "$.name"),
        ({**BODY, "assistantOverrides": {"maxDurationSeconds": 5}}, "maxDurationSeconds"),
        ({**BODY, "transport": {"provider": "daily"}}, "daily"),
        ({**BODY, "transport": {**TRANSPORT, "audioFormat": {"format": "opus", "sampleRate": 8000}}}, "opus"),
        ({**BODY, "transport": {**TRANSPORT, "audioFormat": {"format": "mulaw"}}}, "sampleRate"),
        ({**BODY, "transport": {**TRANSPORT, "audioFormat": {"format": "mulaw", "sampleRate": 33}}}, "sampleRate"),
        ({**BODY, "phoneNumberId": "p"}, "phoneNumber"),
        ({"transport": TRANSPORT}, "exactly one"),
        ({**BODY, "squadId": "s"}, "exactly one"),
        ({"assistantId": "a1"}, "transport"),
    ],
)
async def test_what_the_schema_forbids_is_400_in_the_vendors_shape(body: dict[str, Any], complaint: str) -> None:
    async with service() as (simulator, client):
        answer = await client.post("/call", json=body)
        assert answer.status_code == 400
        error = answer.json()
        assert (error["error"], error["statusCode"], len(error["message"])) == ("Bad Request", 400, 1)
        assert complaint in error["message"][0]
        assert len(simulator.calls) == 0


async def test_the_answer_has_what_the_schema_forgot() -> None:
    async with service() as (simulator, client):
        call = (await client.post("/call", json={**BODY, "name": "inv-7731", "customer": {"name": None}})).json()
        assert call["transport"]["websocketCallUrl"].endswith(f"/{call['id']}/transport")
        assert call["subscriptionLimits"] == {
            "concurrencyBlocked": False,
            "concurrencyLimit": 10,
            "remainingConcurrentCalls": 9,
        }
        assert (call["type"], call["status"], call["name"]) == ("vapi.websocketCall", "queued", "inv-7731")
        assert "monitor" not in call
        (seen,) = simulator.calls
        assert (seen.form.encoding, seen.form.rate_hz) == ("s16le", 16000)  # the default of this transport
        later = (await client.get(f"/call/{call['id']}")).json()
        assert later["monitor"]["controlUrl"].startswith(simulator.url)
        assert (await client.get("/call/0")).status_code == 404


async def test_live_call_control_works_while_the_call_lives() -> None:
    async with service() as (_, client):
        call = (await client.post("/call", json=BODY)).json()
        control = (await client.get(f"/call/{call['id']}")).json()["monitor"]["controlUrl"]
        end = {"type": "end-call"}
        assert (await client.post(control, json=end)).status_code == 404
        async with websockets.connect(call["transport"]["websocketCallUrl"]) as socket:
            assert json.loads(await socket.recv()) == {"type": "status-update", "status": "in-progress"}
            assert (await client.get(f"/call/{call['id']}")).json()["status"] == "in-progress"
            assert (await client.post(control, content=b"[]")).status_code == 400
            assert (await client.post(control, json=end, headers={"Authorization": ""})).status_code == 204
            texts = [frame async for frame in socket if isinstance(frame, str)]
        assert json.loads(texts[-1])["status"] == "ended"
        ended = (await client.get(f"/call/{call['id']}")).json()
        assert (ended["status"], ended["endedReason"]) == ("ended", "customer-ended-call")


async def test_over_the_limit_is_a_201_that_leads_nowhere() -> None:
    async with service(failures=Failures(rest="blocked")) as (_, client):
        answer = await client.post("/call", json=BODY)
        assert answer.status_code == 201
        assert answer.json()["subscriptionLimits"]["concurrencyBlocked"] is True
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(answer.json()["transport"]["websocketCallUrl"])


async def test_a_socket_that_never_comes_ends_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vapi_service, "CONNECT_WITHIN_S", 0.0)
    async with service() as (_, client):
        call = (await client.post("/call", json=BODY)).json()
        later = (await client.get(f"/call/{call['id']}")).json()
        assert (later["status"], later["endedReason"]) == ("ended", vapi_service.NEVER_CONNECTED)


class Customer:
    """The customer's own web server: keeps what arrives, and answers a tool."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.reported = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:-2])
        message = json.loads(await reader.readexactly(int(headers["content-length"])))["message"]
        self.requests.append((headers, message))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\nConnection: close\r\n\r\n" + b'{"results":[]}')
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        if message["type"] == "end-of-call-report":
            self.reported.set()


async def test_the_customers_server_answers_tools_and_gets_the_report() -> None:
    customer = Customer()
    part = Part(replies=(tone_utterance(440, 40, "done"),), tool_on_turn=1, after="hang-up", thinking_ms=0)
    async with await asyncio.start_server(customer, "127.0.0.1", 0) as server, service(part) as (_, client):
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/events"
        overrides = {"server": {"url": url, "secret": "s3cret"}, "clientMessages": ["status-update"]}
        call = (await client.post("/call", json={**BODY, "assistantOverrides": overrides})).json()
        async with websockets.connect(call["transport"]["websocketCallUrl"]) as socket:
            await socket.send('{"type":"add-message","message":{"role":"user","content":"book it"}}')
            async for _ in socket:
                pass
        await asyncio.wait_for(customer.reported.wait(), 5)
        assert sorted(message["type"] for _, message in customer.requests) == [
            "end-of-call-report",
            "status-update",
            "status-update",
            "tool-calls",
        ]
        assert {headers["x-vapi-secret"] for headers, _ in customer.requests} == {"s3cret"}
        report = next(message for _, message in customer.requests if message["type"] == "end-of-call-report")
        assert (report["endedReason"], report["transcript"]) == ("assistant-ended-call", "User: book it\nAI: done")
        assert report["call"]["id"] == call["id"]
