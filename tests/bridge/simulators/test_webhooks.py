from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bridge.simulators.webhooks import Courier, Delivery


async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The path says what the answer is: /200/{"a":1}"""
    request = (await reader.readuntil(b"\r\n\r\n")).decode()
    _, status, body = request.split(" ")[1].replace("%7B", "{").replace("%7D", "}").split("/", 2)
    writer.write(f"HTTP/1.1 {status} -\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("path", "answer", "delivered"),
    [("/200/{}", {}, ["x"]), ("/200/nonsense", None, ["x"]), ("/500/{}", None, []), ("/404/", None, [])],
)
async def test_the_answer_is_handed_on_or_nothing_is(path: str, answer: Any, delivered: list[str]) -> None:
    told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    courier = Courier(first_pause_s=0)
    async with await asyncio.start_server(answers, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{path}"
        courier.send(Delivery(url, {"a": 1}, what="x", attempts=2, on_answer=told.set_result))
        assert await asyncio.wait_for(told, 5) == answer
        assert courier.delivered == delivered
        await courier.close()
        await courier.close()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://[nonsense/", "nonsense"])
async def test_a_url_that_leads_nowhere_is_given_up(url: str) -> None:
    told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    courier = Courier(first_pause_s=0)
    courier.send(Delivery(url, {}, attempts=2, on_answer=told.set_result))
    assert await asyncio.wait_for(told, 5) is None
    await courier.close()


async def test_closing_drops_what_waits_for_its_next_attempt() -> None:
    courier = Courier(first_pause_s=3600)
    courier.send(Delivery("nonsense", {}, what="x"))
    await asyncio.sleep(0.01)
    await courier.close()
    assert courier.delivered == []


def test_a_delivery_shows_no_secret() -> None:
    delivery = Delivery("http://host/?token=t0p", {"key": "s3cret"}, what="call.ended")
    assert repr(delivery) == "Delivery(what='call.ended', attempts=10)"
