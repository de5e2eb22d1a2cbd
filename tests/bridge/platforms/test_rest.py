from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec
import pytest

from bridge.errors import PlatformBusy, PlatformDenied, PlatformDown, PlatformError, PlatformSlow
from bridge.platforms.rest import Rest, media_address, retry_after_s, spoken
from tests.bridge.platforms.fake_api import Answer, FakeApi, drips, fake_api, floods, says, says_nothing, says_raw

KEY = "Zq81kfPw.0aB3dE5gH7jK9mN1pQ3sT5vX7zA9cE1f"
NOON = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


class Made(msgspec.Struct, rename="camel"):
    call_id: str


def rest(url: str, *, budget_ms: int = 5000, busy_retry_s: int = 0) -> Rest:
    return Rest("uv", url, key=KEY, auth={"X-API-Key": KEY}, budget_ms=budget_ms, busy_retry_s=busy_retry_s)


@asynccontextmanager
async def talking(
    *answers: Answer, budget_ms: int = 5000, busy_retry_s: int = 0
) -> AsyncIterator[tuple[Rest, FakeApi]]:
    async with fake_api(*answers) as api:
        client = rest(api.url, budget_ms=budget_ms, busy_retry_s=busy_retry_s)
        try:
            yield client, api
        finally:
            await client.close()


async def refused(client: Rest) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        await client.post("/api/calls", {"a": 1})
    return caught.value


def facts(error: PlatformError) -> tuple[type[PlatformError], str, int, int]:
    return type(error), error.detail, error.http_status, error.retry_after_s


async def test_a_request_as_it_goes_out() -> None:
    async with talking(says(201, {"callId": "c"})) as (client, api):
        assert client.parsed(await client.post("/api/calls", {"a": "ñ"}), Made).call_id == "c"
    (asked,) = api.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/api/calls", {"a": "ñ"})
    assert asked.headers["user-agent"].startswith("Puente/")
    assert (asked.headers["x-api-key"], asked.headers["content-type"]) == (KEY, "application/json")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, PlatformDenied),
        (401, PlatformDenied),
        (402, PlatformDenied),
        (403, PlatformDenied),
        (404, PlatformDenied),
        (408, PlatformSlow),
        (422, PlatformDenied),
        (429, PlatformBusy),
        (302, PlatformDown),
        (500, PlatformDown),
        (502, PlatformDown),
        (503, PlatformDown),
    ],
)
async def test_every_status_has_its_error(status: int, error: type[PlatformError]) -> None:
    async with talking(says(status, {"message": "no"}, location="/elsewhere")) as (client, api):
        assert facts(await refused(client)) == (error, f"{status} no", status, 0)
    assert len(api.asked) == 1  # nothing is repeated, nothing followed


async def test_retry_after_is_carried_along() -> None:
    async with talking(says(503, retry_after="7"), says(429, retry_after="9"), busy_retry_s=30) as (client, _):
        assert facts(await refused(client)) == (PlatformDown, "503", 503, 7)
        assert facts(await refused(client)) == (PlatformBusy, "429", 429, 9)


async def test_a_429_that_does_not_say_how_long() -> None:
    async with talking(says(429), says(500), busy_retry_s=30) as (client, _):
        assert (await refused(client)).retry_after_s == 30
        assert (await refused(client)).retry_after_s == 0


async def test_an_error_knows_how_the_call_ends() -> None:
    async with talking(says(503, retry_after="7")) as (client, _):
        end = (await refused(client)).end()
    assert (end.reason, end.sip_status, end.retry_after_s, end.detail) == ("platform-down", 503, 7, "uv: 503")


@pytest.mark.parametrize("answer", [says_nothing, drips], ids=["nothing", "drips"])
async def test_the_budget_holds_whatever_the_platform_does(answer: Answer) -> None:
    async with talking(answer, budget_ms=60) as (client, api):
        assert facts(await refused(client)) == (PlatformSlow, "no answer within 60 ms", 0, 0)
        if answer is says_nothing:
            await asyncio.wait_for(api.hung_up.wait(), 5)  # and the connection is given up, not kept for reuse


async def test_a_cancelled_request_leaves_no_connection() -> None:
    async with talking(says_nothing) as (client, api):
        task = asyncio.create_task(client.post("/api/calls", {}))
        await asyncio.wait_for(api.was_asked.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(api.hung_up.wait(), 5)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x16\x03\x01\x00", b"SIP/2.0 200 OK\r\n\r\n", b"HTTP/1.1 201 OK\r\nContent-Length: 9\r\n\r\n{"],
    ids=["closes", "tls", "sip", "cut-short"],
)
async def test_what_is_no_http_answer_is_a_platform_down_and_asked_once(data: bytes) -> None:
    async with talking(says_raw(data)) as (client, api):
        error = await refused(client)
    assert (type(error), error.http_status) == (PlatformDown, 0)
    assert len(api.asked) == 1  # the request may have been acted upon: never sent twice


async def test_a_gzip_that_is_none() -> None:
    async with talking(says(201, b"{}", content_encoding="gzip")) as (client, _):
        assert type(await refused(client)) is PlatformDown


async def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = rest(f"http://127.0.0.1:{unused.getsockname()[1]}")
        error = await refused(client)
        await client.close()
    assert type(error) is PlatformDown
    assert error.detail.startswith("ConnectError")


async def test_a_tls_handshake_that_is_never_answered_leaves_no_socket() -> None:
    async with fake_api(says(201)) as api:  # waits for the end of a request in what is a ClientHello
        client = rest(api.url.replace("http:", "https:"), budget_ms=100)
        error = await refused(client)
        await asyncio.wait_for(api.hung_up.wait(), 5)
        await client.close()
    assert type(error) is PlatformSlow


async def test_a_failed_connection_is_tried_once_more() -> None:
    greetings = [b"HTTP/1.1 400 This is not TLS\r\n\r\n", b"220 mail.example ESMTP\r\n"]
    connections = 0

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        writer.write(greetings[connections % 2])
        connections += 1
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        client = rest(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        error = await refused(client)
        await client.close()
    assert (type(error), connections) == (PlatformDown, 2)
    assert error.detail.startswith("ConnectError: [SSL")


async def test_an_endless_refusal_becomes_a_short_detail() -> None:
    async with talking(says(500, b"x" * (2 << 20))) as (client, _):
        assert facts(await refused(client)) == (PlatformDown, "500 " + "x" * 200, 500, 0)


async def test_an_endless_answer_is_cut() -> None:
    async with talking(floods) as (client, _):
        answer = await client.post("/api/calls", {})
        assert len(answer) == 1 << 20
        with pytest.raises(PlatformDown):
            client.parsed(answer, Made)


async def test_a_connection_is_kept_and_replaced_when_it_was_closed_meanwhile() -> None:
    async with talking(says(201), says(201), says(201, connection="close"), says(201)) as (client, api):
        for _ in range(4):
            await client.post("/api/calls", {})
    assert api.connections == 2


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"", "Input data was truncated"),
        (b"<html>", "JSON is malformed: invalid character (byte 0)"),
        (b"[]", "Expected `object`, got `array`"),
        (b"{}", "Object missing required field `callId`"),
        (b'{"callId": 7}', "Expected `str`, got `int` - at `$.callId`"),
        (b'{"callId": null}', "Expected `str`, got `null` - at `$.callId`"),
        (b'{"x":' + b"[" * 99_999, "maximum recursion depth exceeded"),
        (b"\xff", "JSON is malformed: invalid character (byte 0)"),
    ],
)
async def test_nonsense_in_a_good_answer_names_the_field(answer: bytes, problem: str) -> None:
    client = rest("http://127.0.0.1:1")
    with pytest.raises(PlatformDown) as caught:
        client.parsed(answer, Made)
    await client.close()
    assert caught.value.detail.startswith(f"nonsense in the answer: {problem}")


@pytest.mark.parametrize("url", ["ws://h/x", "wss://voice.example:8443/calls/1?a=b", "ws://[::1]:80/"])
def test_media_addresses(url: str) -> None:
    assert media_address("uv", "joinUrl", url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "secret",
        "https://secret/x",
        "ws:///secret",
        "ws://h/ secret",
        "ws://h/\r\nsecret",
        "ws://[secret",
        "ws://h:0/",
    ],
)
def test_what_is_no_media_address(url: str) -> None:
    with pytest.raises(PlatformDown) as caught:
        media_address("uv", "joinUrl", url)
    assert str(caught.value) == "uv: nonsense in the answer: `joinUrl` is not a ws:// or wss:// address"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("", 0),
        ("0", 0),
        (" 12 ", 12),
        ("99999", 3600),
        ("9" * 5000, 3600),
        ("-5", 0),
        ("soon", 0),
        ("1.5", 0),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30),
        ("Thu, 01 Jan 2026 13:00:30 +0100", 30),
        ("Thu, 01 Jan 2026 12:00:30 -0000", 30),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0),
        ("Thu, 01 Jan 9999 00:00:00 GMT", 3600),
        ("Thu, 41 Jan 2026 12:00:30 GMT", 0),
    ],
)
def test_retry_after(value: str, seconds: int) -> None:
    assert retry_after_s(value, NOON) == seconds


def test_retry_after_from_a_madman() -> None:
    dice = random.Random(9110)
    for _ in range(2000):
        assert retry_after_s("".join(chr(dice.randrange(32, 127)) for _ in range(dice.randrange(40))), NOON) >= 0


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b'{"message": "Invalid key", "error": "Unauthorized"}', "Invalid key"),
        (b'{"message": ["a should not exist", "b too"], "statusCode": 400}', "a should not exist; b too"),
        (b'{"detail": "Not found."}', "Not found."),
        (b'{"medium": ["This field is wrong."]}', '{"medium":["This field is wrong."]}'),
        (b'{"message": "", "detail": "x"}', "x"),
        (b"error code: 1010", "error code: 1010"),
        (b"<!DOCTYPE html><title>502</title>", ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", ""),
        (b"null", "null"),
    ],
)
def test_what_a_vendor_says(answer: bytes, sentence: str) -> None:
    assert spoken(answer) == sentence


async def test_no_secret_in_an_error_a_repr_or_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    leaky = {"message": f"key {KEY} is bad, see wss://h/{KEY}?t=tok-123\x00 or https://tok-123 " + "x" * 500}
    near_the_cut = {"message": "y" * 190 + KEY}
    async with talking(says(401, leaky), says(401, near_the_cut)) as (client, _):
        first, second = await refused(client), await refused(client)
        assert first.detail == ("401 key *** is bad, see <url> or <url> " + "x" * 500)[: len(first.detail)]
        assert 200 <= len(first.detail) <= 204
        assert "Zq81" not in second.detail
        everything = "".join([repr(client), repr(first), repr(first.end()), caplog.text])
    assert first.__suppress_context__ or first.__context__ is None
    for secret in (KEY, "tok-123"):
        assert secret not in everything


@pytest.mark.parametrize("key", ["two\nlines", "naïve", "\x00", "space after "])
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(PlatformDenied) as caught:
        Rest("uv", "http://h", key=key, auth={"X-API-Key": key}, budget_ms=1)
    assert str(caught.value) == "uv: the API key holds characters that a header cannot carry"


@pytest.mark.parametrize(
    "url", ["", "api.vapi.ai", "ftp://h", "https://", "http://h:port", "http://[::1", "http://h:99999"]
)
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(PlatformDenied):
        rest(url)


async def test_without_a_key_no_header_is_sent() -> None:
    async with fake_api(says(201)) as api:
        client = Rest("uv", api.url, key="", auth={"X-API-Key": ""}, budget_ms=5000)
        await client.post("/", {})
        await client.close()
        await client.close()
    assert "x-api-key" not in api.asked[0].headers
