"""PJSUA2 behind one face: commands become its calls, its callbacks become our events.

    commands -> Endpoint.perform        \\                     / Leg      one call
                Endpoint.pump            > PJSUA2, no thread  <  Account  one trunk, or the nameless local one
    events   <- emit()                  /                     \\ Courier  REGISTER and OPTIONS

Everything runs in the one thread that called `open`. What PJSUA2 wants of its users, each of it learnt the hard way:
a `Call` without a reference is hung up with 603, so the switchboard keeps them; what a callback is given dies with it
(it lies on the C stack), so values are copied out; a `Call` is not dropped inside its own callback, so ended ones wait
for the pump; an exception in a callback is swallowed by SWIG, so `guarded` logs it and ends the call.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pjsua2 as pj

from sip import messages as m
from sip.border import SipError, guarded
from sip.headers import Message, sdp_of
from sip.options import Transport
from sip.stack.account import Account
from sip.stack.border import translated
from sip.stack.courier import Courier
from sip.stack.leg import Leg
from sip.stack.partners import Partners
from sip.stack.settings import check_certificates, endpoint_config, transport_config
from sip.switchboard import Switchboard

T1_MS = 500
"RFC 3261, 17.1.1.1."
TRANSPORTS = {
    "udp": (pj.PJSIP_TRANSPORT_UDP, pj.PJSIP_TRANSPORT_UDP6),
    "tcp": (pj.PJSIP_TRANSPORT_TCP, pj.PJSIP_TRANSPORT_TCP6),
    "tls": (pj.PJSIP_TRANSPORT_TLS, pj.PJSIP_TRANSPORT_TLS6),
}


class Stack(pj.Endpoint):
    """The library, and which of our accounts an INVITE belongs to: as the gate has found, not as its To claims."""

    name = ""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self.endpoint = endpoint

    @guarded
    def onSelectAccount(self, prm: Any) -> None:
        account = self.endpoint.partners.number(pj.puenteGateMatched())
        if account is not None:
            prm.accountIndex = account.getId()

    def on_failure(self) -> None:
        """PJSUA then chooses the account by the To header."""


class Endpoint:
    """The SIP stack of this process. There can be only one."""

    def __init__(
        self, emit: Callable[[m.AnyEvent], None], later: Callable[[float, Callable[[], None]], object]
    ) -> None:
        """`later(seconds, function)` is the loop's: PJSIP's own timers are not for us."""
        self.emit, self.later = emit, later
        self.switchboard = Switchboard(emit, self._new_leg)
        self.options = m.EndpointOptions()
        self.ports: dict[Transport, int] = {}
        "Where we listen; -1 for a transport that is off."
        self.partners = Partners(self)
        self.courier = Courier(self.partners.on_loss)
        self._stack = Stack(self)

    @property
    def host(self) -> str:
        return self.options.public_host or self.options.host

    def open(self, start: m.Start) -> None:
        """Tells `Started`. Raises SipError naming what was wrong, e.g. a port in use."""
        options = self.options = start.options
        check_certificates(options)
        with translated():
            self._stack.libCreate()
            self._stack.libInit(endpoint_config(options))
            pj.puenteSetTimers(T1_MS, options.transaction_timeout_ms)
        if pj.puenteGateStart() != pj.PJ_SUCCESS:
            raise SipError("the gate in front of the stack could not be put up")
        self.ports["udp"] = self._bind("udp", options.udp_port, options)
        self.ports["tcp"] = self._bind("tcp", options.tcp_port, options)
        self.ports["tls"] = self._bind("tls", options.tls_port, options)
        with translated():
            self._stack.libStart()
        done = self.partners.open(start.trunks)
        if done.problems and start.must_have_all:
            raise SipError(done.problems[0])
        self.emit(m.Started(udp_port=self.ports["udp"], tcp_port=self.ports["tcp"], tls_port=self.ports["tls"]))
        if not start.must_have_all:
            self.emit(done)

    def _bind(self, kind: Transport, port: int, options: m.EndpointOptions) -> int:
        if port < 0:
            return -1
        with translated(f"{kind} port {port} on {options.host}"):
            transport = self._stack.transportCreate(
                TRANSPORTS[kind][":" in options.host], transport_config(options, kind, port)
            )
            return int(self._stack.transportGetInfo(transport).localName.rpartition(":")[2])

    def fileno(self) -> int:
        """Readable when `pump` has work."""
        return int(pj.puenteEpollFd())

    def next_timer_s(self) -> float | None:
        wait_ms = pj.puenteNextTimerMs()
        return None if wait_ms < 0 else wait_ms / 1000

    def pump(self) -> None:
        self._stack.libHandleEvents(0)
        self.courier.collect()
        self.switchboard.forget()

    def perform(self, command: m.AnyCommand) -> None:
        match command:
            case m.SetTrunks():
                self.emit(self.partners.replace(command.trunks))
            case m.SetTargets():
                self.partners.set_targets(command)
            case m.Renew():
                self.partners.renew(command)
            case m.Probe():
                self.partners.probe(command)
            case _:
                self.switchboard.perform(command)

    def calls(self) -> int:
        return int(pj.puenteCallCount())

    def report(self) -> None:
        self.switchboard.report(pj.puenteGateTakeDropped(), pj.puenteGateTakeRefused())
        self.partners.tell_excess()
        self.partners.sweep()

    def _new_leg(self, command: m.Dial) -> Leg:
        return Leg(self, self.partners.named(command.trunk), command.call)

    def leave(self) -> None:
        """Ends all calls and gives the registrations back; `is_quiet` tells when that is done."""
        self.switchboard.leave()
        self.partners.leave()

    def is_quiet(self) -> bool:
        """No BYE waits for its answer and no registration is left."""
        return self.calls() == 0 and self.partners.is_quiet()

    def close(self) -> None:
        """The stack is taken down; whatever still stands is cut off. Needed after a failed `open` too."""
        self.switchboard.forget()
        self.partners.close()
        with translated():
            self._stack.libDestroy(pj.PJSUA_DESTROY_NO_NETWORK)  # else it waits a second for what is quiet already

    def on_incoming(self, account: Account, call_id: int, invite: Message, source: str) -> None:
        leg = Leg(self, account, secrets.token_hex(6), call_id)
        leg.sip_call_id = invite.first("call-id")
        leg.negotiation.on_invite(sdp_of(invite))
        self.switchboard.on_incoming(
            leg,
            account.name,
            source,
            invite,
            replaces=self.name_of(pj.puenteReplacedCall()),
            matched_by=pj.puenteGateMatchedBy(),
        )

    def name_of(self, call_id: int) -> str:
        """Of the call that the stack has under this number; empty if there is none."""
        legs = (line for line in self.switchboard.lines if isinstance(line, Leg))
        return next((leg.name for leg in legs if leg.getId() == call_id), "") if call_id >= 0 else ""
