"""The agent over real sockets: who is let in, and what fails on demand. The client is not the bridge's."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from bridge.simulators.failures import Failures
from bridge.simulators.part import ECHO
from bridge.simulators.simulator import Simulator
from tests.bridge.simulators.twilio.test_session import START, STREAM

KEY = "s3cret-token"


def signed(url: str, key: str = KEY) -> dict[str, str]:
    made = hmac.new(key.encode(), url.encode(), hashlib.sha1).digest()
    return {"X-Twilio-Signature": base64.b64encode(made).decode()}


async def begin(socket: ClientConnection) -> None:
    for message in (
        {"event": "connected", "protocol": "Call", "version": "1.0.0"},
        {"event": "start", "sequenceNumber": "1", "streamSid": STREAM, "start": START},
    ):
        await socket.send(json.dumps(message))


def media(number: int, data: bytes) -> str:
    sound = {"track": "inbound", "chunk": str(number), "timestamp": str(20 * number - 20)}
    sound["payload"] = base64.b64encode(data).decode()
    return json.dumps({"event": "media", "sequenceNumber": str(number + 1), "streamSid": STREAM, "media": sound})


async def test_whoever_opens_the_socket_has_begun_a_call() -> None:
    async with Simulator("twilio", part=ECHO) as simulator:
        assert simulator.url == f"{simulator.account.media_url}/media"
        for number in (1, 2):
            async with websockets.connect(simulator.url, compression=None) as socket:
                await begin(socket)
                await socket.send(media(1, bytes([number]) * 160))
                answer: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 5))
                assert base64.b64decode(answer["media"]["payload"]) == bytes([number]) * 160
        assert [(call.number, call.received_ms, call.warnings) for call in simulator.calls] == [
            *((1, 20, []), (2, 20, [])),
        ]


async def test_with_a_key_only_who_shows_it_is_let_in() -> None:
    async with Simulator("twilio", part=ECHO, api_key=KEY) as simulator:
        url = simulator.url
        for headers, asked in (
            ({"Authorization": f"Bearer {KEY}"}, url),
            (signed(url), url),
            ({}, f"{url}?token={KEY}"),
        ):
            async with websockets.connect(asked, additional_headers=headers):
                pass
        for headers, asked in (
            ({}, url),
            ({"Authorization": "Bearer no"}, url),
            (signed(url, "no"), url),
            (signed(url + "/"), url),
            (signed(url.replace("ws:", "http:")), url),
            ({}, f"{url}?token=no"),
        ):
            with pytest.raises(websockets.InvalidStatus, match="403"):
                await websockets.connect(asked, additional_headers=headers)
        assert len(simulator.calls) == 3


@pytest.mark.parametrize(
    ("failures", "status"),
    [
        (Failures(socket="refuse", upgrade_status=401, first=1), "401"),
        (Failures(rest="status", status=503, first=1), "503"),
    ],
)
async def test_an_agent_that_is_full(failures: Failures, status: str) -> None:
    async with Simulator("twilio", part=ECHO, failures=failures) as simulator:
        with pytest.raises(websockets.InvalidStatus, match=status):
            await websockets.connect(simulator.url)
        async with websockets.connect(simulator.url):
            pass
        first, _ = simulator.calls
        assert first.end_reason == "refused"


async def test_the_port_can_be_chosen_and_is_given_back() -> None:
    async with Simulator("twilio") as simulator:
        port = int(simulator.url.rpartition(":")[2].partition("/")[0])
        with pytest.raises(OSError, match="in use"):
            await Simulator("twilio", port=port).start()
    async with Simulator("twilio", port=port) as again:
        assert again.url == simulator.url
        await again.stop()
