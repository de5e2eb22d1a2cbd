"""One trunk at the stack: who calls in over it, where its calls go, and its registration."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Protocol

import pjsua2 as pj

from sip import letters
from sip import messages as m
from sip.border import SipError, guarded
from sip.headers import Message, parse_message
from sip.letters import Reply, Thread
from sip.options import Transport
from sip.registrar import Answer, Question, Registrar
from sip.stack.courier import Courier, host_towards, source_of
from sip.trunks import contact_user, host_on, our_uri, route_of_call, targets_of
from sip.trunks import hop as hop_in_words

HOP_HEADER = "Puente-Hop"
"Takes a call's next hop through PJSUA (native/hop.c); never sent."
SERVICE_UNAVAILABLE = 503


class Home(Protocol):
    """Whose account it is: the endpoint."""

    options: m.EndpointOptions
    ports: dict[Transport, int]
    courier: Courier
    emit: Callable[[m.AnyEvent], None]
    later: Callable[[float, Callable[[], None]], object]

    def on_incoming(self, account: Account, call_id: int, invite: Message, source: str) -> None: ...


class Account(pj.Account):
    """One trunk at the stack."""

    def __init__(self, endpoint: Home, trunk: m.TrunkAccount) -> None:
        super().__init__()
        self.endpoint, self.trunk, self.name = endpoint, trunk, trunk.name
        self.host = host_on(trunk, endpoint.options)
        self.targets = targets_of(trunk)
        self.former: tuple[str, ...] = ()
        "Addresses of targets it had until just now: its calls may still come from there."
        self.registration: Registration | None = None
        if trunk.kind == "register":
            self.registration = Registration(endpoint, trunk)

    @guarded
    def onIncomingCall(self, prm: Any) -> None:
        self.endpoint.on_incoming(self, prm.callId, parse_message(prm.rdata.wholeMsg), prm.rdata.srcAddress)

    def set_targets(self, targets: tuple[m.Target, ...]) -> None:
        """Where the partner is now."""
        gone = {target.address for target in self.targets} - {target.address for target in targets}
        self.former = tuple(sorted(gone))
        self.targets = targets
        if self.registration is not None:
            self.registration.registrar.set_targets(targets)

    def route(self, command: m.Dial) -> tuple[str, m.Target | None]:
        """Request URI of a call, and where it goes (None: where the URI leads). Raises SipError when nobody knows."""
        target = command.target or (self.targets[0] if self.targets else None)
        return route_of_call(self.trunk, target, command.uri, self.host or self.endpoint.options.host)

    def hop(self, target: m.Target | None) -> str:
        """The next hop of a call in words for `HOP_HEADER`."""
        return hop_in_words(target, self.host)

    def identity(self, user: str) -> str:
        """Who calls over this trunk, as a URI, when nothing else is said."""
        return our_uri(self.trunk, self.host or self.endpoint.options.host, user)

    def on_failure(self) -> None:
        """An INVITE that could not be taken in is refused by PJSUA when its `Call` is collected."""


class Registration:
    """A registrar (sip.registrar) that speaks to the network."""

    def __init__(self, endpoint: Home, trunk: m.TrunkAccount) -> None:
        self._endpoint, self.trunk = endpoint, trunk
        self._call_id, self._tag, self._cseq = f"{secrets.token_hex(8)}@puente", secrets.token_hex(4), 0
        self._account = -1
        self.registrar = Registrar(
            trunk,
            self._ask,
            endpoint.emit,
            endpoint.later,
            patience_ms=endpoint.options.transaction_timeout_ms,
        )

    def is_of(self, trunk: m.TrunkAccount) -> bool:
        """Whether these are other settings of the same registration: what we are there, and under which URI."""
        return self._identity(trunk) == self._identity(self.trunk)

    def _identity(self, trunk: m.TrunkAccount) -> tuple[str, ...]:
        host = host_on(trunk, self._endpoint.options)
        return (trunk.kind, trunk.registrar, our_uri(trunk, host), contact_user(trunk), host)

    def open(self, account: int, within_s: float) -> None:
        self._account = account
        self.registrar.start(within_s)

    def change(self, trunk: m.TrunkAccount, account: int) -> None:
        """Goes on under another account of the stack."""
        pj.puenteHold(self._account, "")
        self.trunk, self._account = trunk, account
        self.registrar.change(trunk)

    def leave(self) -> None:
        self.registrar.leave()

    def on_loss(self, source: str, transport: str) -> None:
        """A connection has ended. Whether it was ours is found by its far end."""
        target = self.registrar.target
        if target and (source_of(target), target.transport) == (source, transport):
            pj.puenteHold(self._account, "")
            self.registrar.on_connection_lost()

    def _ask(self, question: Question, on_answer: Callable[[Answer], None]) -> None:
        endpoint, target = self._endpoint, question.target
        try:
            port = endpoint.ports.get(target.transport, -1)
            if port < 0:
                raise SipError(f"{target.transport} is off")
            host = host_on(self.trunk, endpoint.options) or host_towards(target)
            contact = letters.contact(self.trunk, host, port, target)
            self._cseq += 10  # challenges count on from here
            request = letters.register(
                self.trunk,
                Thread(self._call_id, self._tag, self._cseq),
                host=host,
                contact=contact,
                expires_s=question.expires_s,
                agent=endpoint.options.user_agent,
            )
            endpoint.courier.send(
                request,
                target,
                host,
                lambda reply: self._on_reply(reply, question, contact, on_answer),
                timeout_ms=question.timeout_ms,
                trunk=self.trunk,
            )
        except SipError as error:
            failure = Answer(SERVICE_UNAVAILABLE, str(error))
            endpoint.later(0, lambda: on_answer(failure))  # not before the question has been asked

    def _on_reply(self, reply: Reply, question: Question, contact: str, on_answer: Callable[[Answer], None]) -> None:
        answer = letters.answer_to_register(reply, contact, question.expires_s)
        if not reply.is_answered:
            answer = Answer(reply.status, self._endpoint.courier.why(question.target, reply.reason))
        held = question.target if reply.status // 100 == 2 and question.expires_s > 0 else None
        if question.target.transport != "udp":
            pj.puenteHold(self._account, hop_in_words(held, "") if held else "")
        on_answer(answer)
