"""One trunk at the stack: who calls in over it, and its registration."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import pjsua2 as pj

from sip import messages as m
from sip.border import SipError, guarded
from sip.headers import Message, parse_message
from sip.stack.border import translated
from sip.trunks import Registrar, address_of


class Home(Protocol):
    """Whose account it is: the endpoint."""

    emit: Callable[[m.AnyEvent], None]
    later: Callable[[float, Callable[[], None]], object]

    def on_incoming(self, account: Account, call_id: int, invite: Message, source: str) -> None: ...
    def on_registrar_heard(self, trunk: str, address: str) -> None: ...


class Account(pj.Account):
    """One trunk at the stack."""

    def __init__(self, endpoint: Home, trunk: m.TrunkAccount) -> None:
        super().__init__()
        self.endpoint, self.trunk, self.name = endpoint, trunk, trunk.name
        self.registrar = Registrar(trunk, self._register, endpoint.emit, endpoint.later)

    @guarded
    def onIncomingCall(self, prm: Any) -> None:
        self.endpoint.on_incoming(self, prm.callId, parse_message(prm.rdata.wholeMsg), prm.rdata.srcAddress)

    @guarded
    def onRegState(self, prm: Any) -> None:
        if prm.code // 100 == 2:
            self.endpoint.on_registrar_heard(self.name, address_of(prm.rdata.srcAddress))
        self.registrar.on_answer(prm.code, prm.reason, prm.expiration)

    def leave(self) -> None:
        """Un-register, if we ever did."""
        self.registrar.leave()
        if self.registrar.is_registered:
            with suppress(SipError), translated():  # busy with another REGISTER: then it runs out by itself
                self.setRegistration(False)

    def _register(self) -> None:
        with translated():
            self.setRegistration(True)

    def on_failure(self) -> None:
        """An INVITE that could not be taken in is refused by PJSUA when its `Call` is collected."""
