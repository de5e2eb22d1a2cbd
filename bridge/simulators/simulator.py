"""One hosted service on two loopback ports: REST by starlette and uvicorn, media sockets by picows, on one loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Literal

import uvicorn
from starlette.applications import Starlette

from bridge.simulators.account import Account, Service
from bridge.simulators.calls import CallBook
from bridge.simulators.failures import NONE, Failures
from bridge.simulators.part import ECHO, Part
from bridge.simulators.sockets import MediaPort
from bridge.simulators.ultravox.service import UltravoxService
from bridge.simulators.vapi.service import VapiService
from bridge.simulators.webhooks import Courier

ServiceName = Literal["ultravox", "vapi"]

SERVICES: dict[ServiceName, Callable[[Account], Service]] = {
    "ultravox": UltravoxService,
    "vapi": VapiService,
}


class _Server(uvicorn.Server):
    """uvicorn inside somebody else's loop: it tells when it listens, and leaves the signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Simulator:
    """`async with Simulator("ultravox", part=converse()) as simulator: ... simulator.url`"""

    def __init__(
        self,
        service: ServiceName,
        *,
        part: Part = ECHO,
        failures: Failures = NONE,
        api_key: str = "",
        host: str = "127.0.0.1",
        port: int = 0,
        media_port: int = 0,
        courier: Courier | None = None,
    ) -> None:
        self.account = Account(part, failures, api_key, courier=courier or Courier())
        self._service = SERVICES[service](self.account)
        self._media = self.account.media = MediaPort(self._service.open)
        self._host, self._port, self._media_port = host, port, media_port
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self.url = ""
        "Base of the REST interface, known after the start."

    @property
    def calls(self) -> CallBook:
        return self.account.calls

    async def start(self) -> None:
        """Returns when both ports listen. OSError when one of them cannot be had; neither is then held."""
        listener = _bound(self._host, self._port)
        try:
            await self._media.start(self._host, self._media_port)
        except OSError:
            listener.close()
            raise
        self.account.media_url = f"ws://{_in_url(self._host)}:{self._media.port}"
        self.url = self.account.rest_url = f"http://{_in_url(self._host)}:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            Starlette(routes=self._service.routes),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        listening = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait([self._serving, listening], return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()

    async def stop(self) -> None:
        """Twice is once."""
        await self._media.stop()
        self._service.stop()
        await self.account.courier.close()
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
            self._server = self._serving = None

    def cut(self, call_id: str) -> bool:
        """The media connection of this call breaks. False when there is none."""
        found = self._media.find(call_id)
        if found is not None:
            found.cut()
        return found is not None

    async def __aenter__(self) -> Simulator:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=1024)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
