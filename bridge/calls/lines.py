"""The telephone line as the desk sees it: the sip process, kept alive.

A sip process that dies is replaced within seconds, on the same ports, and knows nothing of the calls before it: the
desk hears LineLost and tells every session. What a dead line is told is lost, which is what a dead line means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from bridge.calls.words import LineLost
from bridge.children import CARE, Care, Child, ChildFailed, Tongue
from sip import messages as sip

TONGUE: Tongue[sip.Command, sip.AnyEvent] = Tongue(
    encode=sip.encode,
    decode=sip.decode_event,
    ping=lambda number: sip.Ping(number=number),
    stop=sip.Stop(),
    pong=sip.Pong,
    max_bytes=sip.MAX_MESSAGE_BYTES,
    pieces=sip.pieces,
    joiner=lambda: sip.Joiner().add,
)


OnEvent = Callable[[sip.AnyEvent | LineLost], None]


class Line(Protocol):
    """What the desk needs of it."""

    def send(self, message: sip.Command) -> bool: ...


class SipLine:
    def __init__(
        self,
        options: sip.EndpointOptions,
        trunks: Sequence[sip.TrunkAccount],
        *,
        care: Care = CARE,
        module: str = "sip.process",
    ) -> None:
        self._options, self._trunks = options, tuple(trunks)
        self._on_event: OnEvent = lambda event: None
        self._why_not = ""
        self.started: sip.Started | None = None
        "Where it listens; None while it does not."
        self._has_listened_at: sip.Started | None = None
        self.child: Child[sip.Command, sip.AnyEvent] = Child(
            "sip",
            [module],
            TONGUE,
            first=self._first(),
            on_message=self._receive,
            on_lost=self._lost,
            care=care,
        )

    async def start(self, on_event: OnEvent) -> sip.Started:
        """`on_event` hears all there is. Raises ChildFailed with the stack's own sentence (port in use ...)."""
        self._on_event = on_event
        try:
            await self.child.start()
        except ChildFailed as error:
            raise ChildFailed(self._why_not or str(error)) from None
        if self.started is None:
            await self.child.stop()
            raise ChildFailed(self._why_not or "the sip process did not say where it listens")
        return self.started

    async def stop(self) -> None:
        await self.child.stop()

    def send(self, message: sip.Command) -> bool:
        return self.child.send(message)

    def set_trunks(self, trunks: Sequence[sip.TrunkAccount]) -> bool:
        """For this process and all after it. Answered by `TrunksSet`, when there is a process to answer."""
        self._trunks = tuple(trunks)
        self.child.first = self._first()
        return self.send(sip.SetTrunks(trunks=self._trunks))

    def _receive(self, event: sip.AnyEvent) -> None:
        match event:
            case sip.Pong():
                return
            case sip.Started():
                self.started = self._has_listened_at = event
                self.child.first = self._first()
            case sip.StartFailed():
                self._why_not = event.why
        self._on_event(event)

    def _first(self) -> sip.Start:
        """For the next process: on the ports that one before has found, which partners and Contacts know by now.

        The very first may fail for a trunk, in front of whoever starts it. Those after it carry the others' calls.
        """
        if (where := self._has_listened_at) is None:
            return sip.Start(options=self._options, trunks=self._trunks)
        options = msgspec.structs.replace(
            self._options, udp_port=where.udp_port, tcp_port=where.tcp_port, tls_port=where.tls_port
        )
        return sip.Start(options=options, trunks=self._trunks, must_have_all=False)

    def _lost(self, why: str) -> None:
        self.started = None
        self._on_event(LineLost(self._why_not or why))
