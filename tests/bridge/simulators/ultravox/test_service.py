from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import websockets

from bridge.simulators.audio import tone_utterance
from bridge.simulators.part import Part
from bridge.simulators.simulator import Simulator
from bridge.simulators.webhooks import Courier, ultravox_signature

SOCKET = {"serverWebSocket": {"inputSampleRate": 8000}}
KEY = {"x-api-key": "k"}


@asynccontextmanager
async def service(part: Part | None = None) -> AsyncIterator[tuple[Simulator, httpx.AsyncClient]]:
    courier = Courier(first_pause_s=0.01)
    async with (
        Simulator("ultravox", part=part or Part(), courier=courier) as simulator,
        httpx.AsyncClient(base_url=simulator.url, headers=KEY, trust_env=False) as client,
    ):
        yield simulator, client


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  what is waited for is on the far side of a socket
            await asyncio.sleep(0.005)


async def test_the_key_is_asked_for_in_any_spelling() -> None:
    async with service() as (simulator, client):
        for headers, status in (({"X-Api-Key": "k"}, 201), ({"X-API-KEY": "k"}, 201), ({"X-API-Key": ""}, 401)):
            answer = await client.post("/api/calls", json={"medium": SOCKET}, headers=headers)
            assert answer.status_code == status
        simulator.account.api_key = "right"
        assert (await client.post("/api/calls", json={"medium": SOCKET})).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"medium": {}},
        {"medium": {**SOCKET, "webRtc": {}}},
        {"medium": {"sip": {}}},
        {"medium": {"serverWebSocket": {}}},
        {"medium": {"serverWebSocket": {"inputSampleRate": "8000"}}},
        {"medium": SOCKET, "sytemPrompt": "typing mistake"},
        {"medium": SOCKET, "maxDuration": "60"},
        {"medium": SOCKET, "maxDuration": 60},
        {"medium": SOCKET, "joinTimeout": "1m"},
        {"medium": SOCKET, "temperature": 2},
        {"medium": SOCKET, "metadata": {"ultravox.x": "1"}},
        {"medium": SOCKET, "voice": "Mark", "externalVoice": {"cartesia": {}}},
        {"medium": SOCKET, "templateContext": {}},
        [],
    ],
)
async def test_what_the_schema_forbids_is_400(body: Any) -> None:
    async with service() as (simulator, client):
        answer = await client.post("/api/calls", json=body)
        assert (answer.status_code, list(answer.json()), len(simulator.calls)) == (400, ["detail"], 0)


async def test_null_is_unset_and_agents_have_their_own_fields() -> None:
    async with service() as (_, client):
        body: dict[str, Any] = {"medium": SOCKET, "model": None, "voice": None, "maxDuration": "3600.000000s"}
        answer = await client.post("/api/calls?enableGreetingPrompt=false", json=body)
        assert (answer.status_code, answer.json()["model"]) == (201, "ultravox-v0.7")
        body = {"medium": SOCKET, "templateContext": {"name": "Ada"}, "metadata": {"a": "b"}}
        answer = await client.post("/api/agents/desk/calls", json=body)
        assert (answer.json()["agentId"], answer.json()["metadata"]) == ("desk", {"a": "b"})
        assert (await client.post("/api/agents/desk/calls", json=body | {"model": "x"})).status_code == 400


async def test_a_call_is_told_after_its_end_and_then_erased() -> None:
    part = Part(greeting=tone_utterance(440, 40, "bye"), after="hang-up")
    async with service(part) as (_, client):
        created = (await client.post("/api/calls", json={"medium": SOCKET})).json()
        path = f"/api/calls/{created['callId']}"
        assert (created["endReason"], created["joined"]) == (None, None)
        assert (await client.delete(path)).status_code == 400
        async with websockets.connect(created["joinUrl"]) as socket:
            assert (await client.post(f"{path}/send_data_message", json={"type": "dance"})).status_code == 400
            async for _ in socket:
                pass
        call = (await client.get(path)).json()
        assert (call["endReason"], bool(call["joined"])) == ("agent_hangup", True)
        messages = (await client.get(f"{path}/messages")).json()
        assert [(message["role"], message["text"]) for message in messages["results"]] == [
            ("MESSAGE_ROLE_AGENT", "bye")
        ]
        assert (await client.get(f"{path}/events")).json()["total"] == 0
        hang_up = {"type": "hang_up"}
        assert (await client.post(f"{path}/send_data_message", json=hang_up)).status_code == 422
        assert (await client.delete(path)).status_code == 204
        assert (await client.get(path)).status_code == 404


async def test_rest_speaks_into_a_live_call() -> None:
    async with service() as (simulator, client):
        created = (await client.post("/api/calls", json={"medium": SOCKET})).json()
        async with websockets.connect(created["joinUrl"]) as socket:
            await socket.recv()
            path = f"/api/calls/{created['callId']}/send_data_message"
            assert (await client.post(path, json={"type": "hang_up"})).status_code == 204
            await socket.wait_closed()
        (call,) = simulator.calls
        assert call.end_reason == "agent_hangup"


class Customer:
    """The customer's own web server: keeps what arrives, and fails the first time it is asked."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:-2])
        body = await reader.readexactly(int(headers["content-length"]))
        status = "204 No Content" if self.requests else "500 Broken"
        self.requests.append((headers, body))
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()


async def test_an_unjoined_call_ends_and_its_webhook_is_signed_and_retried() -> None:
    customer = Customer()
    async with await asyncio.start_server(customer, "127.0.0.1", 0) as server, service() as (simulator, client):
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/ended"
        callbacks = {"ended": {"url": url, "secrets": ["one", "two"]}}
        body = {"medium": SOCKET, "joinTimeout": "0.05s", "callbacks": callbacks}
        created = (await client.post("/api/calls", json=body)).json()
        await until(lambda: simulator.account.courier.delivered == ["call.ended"])
        assert len(customer.requests) == 2
        headers, payload = customer.requests[1]
        event = json.loads(payload)
        assert (event["event"], event["call"]["callId"]) == ("call.ended", created["callId"])
        assert event["call"]["endReason"] == "unjoined"
        signed = payload + headers["x-ultravox-webhook-timestamp"].upper().encode()
        wanted = [hmac.new(secret, signed, hashlib.sha256).hexdigest() for secret in (b"one", b"two")]
        assert headers["x-ultravox-webhook-signature"].split(",") == wanted
        with pytest.raises(websockets.InvalidStatus, match="409"):
            await websockets.connect(created["joinUrl"])


async def test_a_subscribed_url_is_told_of_all_calls() -> None:
    customer = Customer()
    async with await asyncio.start_server(customer, "127.0.0.1", 0) as server, service() as (simulator, client):
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        events = ["call.started", "call.joined"]
        assert (await client.post("/api/webhooks", json={"url": url, "events": events})).status_code == 201
        assert (await client.post("/api/webhooks", json={"url": url})).status_code == 400
        created = (await client.post("/api/calls", json={"medium": SOCKET})).json()
        await until(lambda: len(simulator.account.courier.delivered) == 1)
        async with websockets.connect(created["joinUrl"]):
            await until(lambda: len(simulator.account.courier.delivered) == 2)
        assert simulator.account.courier.delivered == events


def test_the_signature_is_over_body_and_then_time() -> None:
    assert ultravox_signature(b"{}", ("s",), "2026-11-22T00:00:00") == {
        "X-Ultravox-Webhook-Timestamp": "2026-11-22T00:00:00",
        "X-Ultravox-Webhook-Signature": hmac.new(b"s", b"{}2026-11-22T00:00:00", hashlib.sha256).hexdigest(),
    }
