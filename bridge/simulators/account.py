"""What a service knows of its customer, and what it is given to work with. One per simulator."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from starlette.routing import Route

from bridge.simulators.calls import CallBook, Knock, Opened
from bridge.simulators.failures import NONE, Failures
from bridge.simulators.part import ECHO, Part
from bridge.simulators.sockets import MediaPort
from bridge.simulators.webhooks import Courier


@dataclass
class Account:
    """`part` and `failures` may be exchanged while the simulator runs: calls created later follow them."""

    part: Part = ECHO
    failures: Failures = NONE
    api_key: str = field(default="", repr=False)
    "The only key that is accepted. Empty: any is."
    rest_url: str = ""
    media_url: str = ""
    "Where media sockets are to be opened: `ws://host:port`, known, like `rest_url`, after the start."
    calls: CallBook = field(default_factory=CallBook)
    courier: Courier = field(default_factory=Courier)
    media: MediaPort | None = None

    def failures_of_next_call(self) -> Failures:
        return self.failures if self.failures.hit(self.calls.created + 1) else NONE

    def accepts(self, key: str) -> bool:
        return bool(key) and (not self.api_key or key == self.api_key)


class Service(Protocol):
    """One vendor."""

    routes: list[Route]
    "Empty: there is no REST interface, calls begin at the media port."

    def open(self, knock: Knock, now: float) -> Opened:
        """A client knocks at the media port."""

    def stop(self) -> None: ...
