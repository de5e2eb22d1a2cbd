"""The HTTP server: uvicorn on the control process's loop, where it can delay no audio."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from bridge.config import WebSection
from bridge.errors import BridgeError

AT_ONCE = 64
"Connections served at a time; who comes then is told 503."


class WebFailed(BridgeError):
    """The port cannot be had."""


class _Server(uvicorn.Server):
    """uvicorn inside our loop: it tells when it listens, and leaves the signals to `bridge.app`."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class WebServer:
    def __init__(self, section: WebSection, app: ASGIApp) -> None:
        self._section, self._app = section, app
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self.url = ""
        "Known after the start; empty when the settings have it off."

    async def start(self) -> None:
        """Raises WebFailed when the port cannot be had."""
        if self._section.port < 0:
            return
        listener = _bound(self._section.host, self._section.port)
        host = f"[{self._section.host}]" if ":" in self._section.host else self._section.host
        self.url = f"http://{host}:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            self._app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=AT_ONCE,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]), name="web")
        await self._server.listening.wait()

    async def stop(self) -> None:
        """Twice is once."""
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
            self._server = self._serving = None


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise WebFailed(f"web port {port} on {host}: {os.strerror(error.errno or 0)}") from None
