"""One hosted service on two loopback ports: REST by starlette and uvicorn, media sockets by picows, on one loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from starlette.applications import Starlette

from bridge.serving import HttpServer, bound, in_url
from bridge.simulators.account import Account, Service
from bridge.simulators.calls import CallBook
from bridge.simulators.failures import NONE, Failures
from bridge.simulators.part import ECHO, Part
from bridge.simulators.sockets import MediaPort
from bridge.simulators.twilio.service import TwilioService
from bridge.simulators.ultravox.service import UltravoxService
from bridge.simulators.vapi.service import VapiService
from bridge.simulators.webhooks import Courier

ServiceName = Literal["twilio", "ultravox", "vapi"]

SERVICES: dict[ServiceName, Callable[[Account], Service]] = {
    "twilio": TwilioService,
    "ultravox": UltravoxService,
    "vapi": VapiService,
}

MEDIA_PATH = "/media"
"Of an agent's socket. It takes any path; a signature is over the one that is used."


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
        self._rest: HttpServer | None = None
        self.url = ""
        "Base of the REST interface, or where an agent's media socket is to be opened; known after the start."

    @property
    def calls(self) -> CallBook:
        return self.account.calls

    async def start(self) -> None:
        """Returns when its ports listen. OSError when one of them cannot be had; neither is then held."""
        if not self._service.routes:
            await self._media.start(self._host, self._port or self._media_port)
            self.account.media_url = f"ws://{in_url(self._host)}:{self._media.port}"
            self.url = f"{self.account.media_url}{MEDIA_PATH}"
            return
        listener = bound(self._host, self._port)
        try:
            await self._media.start(self._host, self._media_port)
        except OSError:
            listener.close()
            raise
        self.account.media_url = f"ws://{in_url(self._host)}:{self._media.port}"
        self.url = self.account.rest_url = f"http://{in_url(self._host)}:{listener.getsockname()[1]}"
        self._rest = HttpServer(Starlette(routes=self._service.routes))
        await self._rest.start(listener)

    async def stop(self) -> None:
        """Twice is once."""
        await self._media.stop()
        self._service.stop()
        await self.account.courier.close()
        if self._rest is not None:
            await self._rest.stop()

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
