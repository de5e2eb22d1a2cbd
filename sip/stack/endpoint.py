"""PJSUA2 behind one face: commands become its calls, its callbacks become our events.

    commands -> Endpoint.switchboard    \\                     / Leg      one call
                Endpoint.pump            > PJSUA2, no thread  <  Account  one trunk, or the nameless local one
    events   <- emit()                  /                     \\ Stack    which account an INVITE is for

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
from sip.stack.account import Account
from sip.stack.border import translated
from sip.stack.leg import Leg
from sip.stack.settings import account_config, endpoint_config
from sip.switchboard import Switchboard
from sip.trunks import LOCAL, Sources, address_of

T1_MS = 500
"RFC 3261, 17.1.1.1."
TRANSPORTS = {
    "udp": (pj.PJSIP_TRANSPORT_UDP, pj.PJSIP_TRANSPORT_UDP6),
    "tcp": (pj.PJSIP_TRANSPORT_TCP, pj.PJSIP_TRANSPORT_TCP6),
}


class Stack(pj.Endpoint):
    """The library, and which of our accounts an INVITE belongs to: by its source, not by what its To claims."""

    name = ""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self.endpoint = endpoint

    @guarded
    def onSelectAccount(self, prm: Any) -> None:
        prm.accountIndex = self.endpoint.account_of(prm.rdata.srcAddress).getId()

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
        self.host = ""
        self._sources = Sources(())
        self._stack = Stack(self)
        self._accounts: dict[str, Account] = {}

    def open(self, start: m.Start) -> m.Started:
        """Raises SipError naming what was wrong, e.g. a port in use."""
        options = start.options
        self.host = options.public_host or options.host
        self._sources = Sources(start.trunks)
        with translated():
            self._stack.libCreate()
            self._stack.libInit(endpoint_config(options))
            pj.puenteSetTimers(T1_MS, options.transaction_timeout_ms)
        if pj.puenteGateStart() != pj.PJ_SUCCESS:
            raise SipError("the gate in front of the stack could not be put up")
        self._admit()
        udp_port = self._bind("udp", options.udp_port, options)
        tcp_port = self._bind("tcp", options.tcp_port, options)
        with translated():
            self._stack.libStart()
        for trunk in (LOCAL, *start.trunks):
            self._open_account(trunk)
        return m.Started(udp_port=udp_port, tcp_port=tcp_port)

    def _open_account(self, trunk: m.TrunkAccount) -> None:
        account = Account(self, trunk)
        with translated(f"trunk {trunk.name}"):
            account.create(account_config(trunk, self.host), trunk is LOCAL)
        self._accounts[account.name] = account

    def _bind(self, kind: str, port: int, options: m.EndpointOptions) -> int:
        if port < 0:
            return -1
        config = pj.TransportConfig()
        config.boundAddress, config.port, config.publicAddress = options.host, port, options.public_host
        with translated(f"{kind} port {port} on {options.host}"):
            transport = self._stack.transportCreate(TRANSPORTS[kind][":" in options.host], config)
            return int(self._stack.transportGetInfo(transport).localName.rpartition(":")[2])

    def _admit(self) -> None:
        if pj.puenteGateAllow("\n".join(self._sources.networks())) < 0:
            raise SipError("too many source addresses of trunks")

    def fileno(self) -> int:
        """Readable when `pump` has work."""
        return int(pj.puenteEpollFd())

    def next_timer_s(self) -> float | None:
        wait_ms = pj.puenteNextTimerMs()
        return None if wait_ms < 0 else wait_ms / 1000

    def pump(self) -> None:
        self._stack.libHandleEvents(0)
        self.switchboard.forget()

    def calls(self) -> int:
        return int(pj.puenteCallCount())

    def report(self) -> None:
        self.switchboard.report(pj.puenteGateTakeDropped(), pj.puenteGateTakeRefused())

    def _new_leg(self, command: m.Dial) -> Leg:
        peers = (name for name, one in self._accounts.items() if name and one.trunk.kind == "peer")
        account = self._accounts.get(command.trunk or next(peers, ""))
        if account is None:
            raise SipError(f"no trunk is called {command.trunk}")
        return Leg(self, account, command.call)

    def leave(self) -> None:
        """Ends all calls and gives the registrations back; `is_quiet` tells when that is done."""
        self.switchboard.leave()
        for account in self._accounts.values():
            account.leave()

    def is_quiet(self) -> bool:
        """No BYE waits for its answer and no registration is left."""
        return self.calls() == 0 and not any(account.registrar.is_registered for account in self._accounts.values())

    def close(self) -> None:
        """The stack is taken down; whatever still stands is cut off. Needed after a failed `open` too."""
        self.switchboard.forget()
        while self._accounts:
            self._accounts.popitem()[1].shutdown()
        with translated():
            self._stack.libDestroy(pj.PJSUA_DESTROY_NO_NETWORK)  # else it waits a second for what is quiet already

    def account_of(self, source: str) -> Account:
        return self._accounts[self._sources.trunk_of(address_of(source)) or ""]

    def on_incoming(self, account: Account, call_id: int, invite: Message, source: str) -> None:
        leg = Leg(self, account, secrets.token_hex(6), call_id)
        leg.sip_call_id = invite.first("call-id")
        leg.negotiation.on_invite(sdp_of(invite))
        self.switchboard.on_incoming(leg, account.name, source, invite, self.name_of(pj.puenteReplacedCall()))

    def name_of(self, call_id: int) -> str:
        """Of the call that the stack has under this number; empty if there is none."""
        legs = (line for line in self.switchboard.lines if isinstance(line, Leg))
        return next((leg.name for leg in legs if leg.getId() == call_id), "") if call_id >= 0 else ""

    def on_registrar_heard(self, trunk: str, address: str) -> None:
        """A registrar's name led here: calls of that trunk come from there too."""
        if self._sources.learn(trunk, address):
            self._admit()
