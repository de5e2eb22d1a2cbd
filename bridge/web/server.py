"""The HTTP server of the settings: on the control process's loop, where it can delay no audio."""

from __future__ import annotations

import os

from starlette.types import ASGIApp

from bridge.config import WebSection
from bridge.errors import BridgeError
from bridge.serving import HttpServer, bound, in_url

AT_ONCE = 64
"Connections served at a time; who comes then is told 503."


class WebFailed(BridgeError):
    """The port cannot be had."""


class WebServer:
    def __init__(self, section: WebSection, app: ASGIApp) -> None:
        self._section, self._app = section, app
        self._server: HttpServer | None = None
        self.url = ""
        "Known after the start; empty when the settings have it off."

    async def start(self) -> None:
        """Raises WebFailed when the port cannot be had."""
        host, port = self._section.host, self._section.port
        if port < 0:
            return
        try:
            listener = bound(host, port)
        except OSError as error:
            raise WebFailed(f"web port {port} on {host}: {os.strerror(error.errno or 0)}") from None
        self.url = f"http://{in_url(host)}:{listener.getsockname()[1]}"
        self._server = HttpServer(self._app, at_once=AT_ONCE)
        await self._server.start(listener)

    async def stop(self) -> None:
        """Twice is once."""
        if self._server is not None:
            await self._server.stop()
