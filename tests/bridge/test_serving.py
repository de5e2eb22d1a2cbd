"""HTTP inside a loop that does other things too. As the settings have it: web/test_server."""

from __future__ import annotations

import signal
import socket

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from bridge.serving import HttpServer, bound, in_url


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


APP = Starlette(routes=[Route("/", hello)])


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_up_and_down_without_touching_the_signals(host: str) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    listener = bound(host, 0)
    port = listener.getsockname()[1]
    server = HttpServer(APP)
    await server.start(listener)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://{in_url(host)}:{port}/")).text == "hello"
    await server.stop()
    await server.stop()
    with bound(host, port):
        pass  # nobody holds it any more


async def test_one_that_was_never_started_stops_too() -> None:
    await HttpServer(APP).stop()


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        bound("127.0.0.1", taken.getsockname()[1])
