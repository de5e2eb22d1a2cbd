"""The server: on, off, and a port that somebody else has."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from bridge.config import WebSection
from bridge.web.server import WebFailed, WebServer


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


APP = Starlette(routes=[Route("/", hello)])


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_up_and_down(host: str) -> None:
    server = WebServer(WebSection(host=host, port=0), APP)
    assert server.url == ""
    await server.start()
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(server.url)).text == "hello"
    await server.stop()
    await server.stop()
    port = int(server.url.rpartition(":")[2])
    with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
        pass  # nobody holds it any more


async def test_a_client_that_stays_does_not_hold_up_the_end() -> None:
    server = WebServer(WebSection(port=0), APP)
    await server.start()
    _, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")  # and never the end of it
    await writer.drain()
    async with asyncio.timeout(10):
        await server.stop()
    writer.close()


async def test_off() -> None:
    server = WebServer(WebSection(), APP)
    await server.start()
    assert server.url == ""
    await server.stop()


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = WebServer(WebSection(port=port), APP)
        with pytest.raises(WebFailed, match=f"^web port {port} on 127.0.0.1: Address already in use$"):
            await server.start()
        await server.stop()
