"""HTTP on the loop that runs already: uvicorn, which tells when it listens and leaves the signals to others."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

BACKLOG = 1024


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """One application on one listening socket, which it owns from the start on."""

    def __init__(self, app: ASGIApp, *, at_once: int | None = None) -> None:
        """`at_once`: connections served at a time; who comes then is told 503."""
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=at_once,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._serving: asyncio.Task[None] | None = None

    async def start(self, listener: socket.socket) -> None:
        """Returns when it listens."""
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]), name="http")
        listening = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait([self._serving, listening], return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()

    async def stop(self) -> None:
        """Twice is once."""
        serving, self._serving = self._serving, None
        if serving is not None:
            self._server.should_exit = True
            await serving


def bound(host: str, port: int) -> socket.socket:
    """Listening on this address of either family. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
