"""PJSUA2, and the only file that knows it: commands become its calls, its callbacks become our events.

    commands -> Endpoint.perform        \\                     / _Leg      one call
                Endpoint.pump            > PJSUA2, no thread  <  _Account  one trunk, or the nameless local one
    events   <- emit()                  /                     \\ _Stack    which account an INVITE is for

Everything runs in the one thread that called `open`. What PJSUA2 wants of its users, each of it learnt the hard way:
a `Call` without a reference is hung up with 603, so `_legs` keeps them; what a callback is given dies with the callback
(it lies on the C stack), so values are copied out; a `Call` is not dropped inside its own callback, so ended ones wait
for the pump; an exception in a callback is swallowed by SWIG, so `guarded` logs it and ends the call.
"""

from __future__ import annotations

import functools
import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

import pjsua2 as pj

from sip import messages as m
from sip.headers import Message, info_digit, name_and_uri, parse_message, sdp_of, told_headers
from sip.sdp import SdpError, answer_again, offer_again
from sip.trunks import Registrar, Sources, address_of, host_of, target_uri

log = logging.getLogger("sip")
P = ParamSpec("P")
L = TypeVar("L", bound="_Leg | _Account | _Stack")

T1_MS = 500
"RFC 3261, 17.1.1.1."
NO_ANSWER_FROM_PEER = frozenset({pj.PJSIP_EVENT_TIMER, pj.PJSIP_EVENT_TRANSPORT_ERROR})
TRANSPORTS = {
    ("udp", False): pj.PJSIP_TRANSPORT_UDP,
    ("udp", True): pj.PJSIP_TRANSPORT_UDP6,
    ("tcp", False): pj.PJSIP_TRANSPORT_TCP,
    ("tcp", True): pj.PJSIP_TRANSPORT_TCP6,
}
PJSIP_LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO}
"PJSIP's 4 to 6 are our debug."


class SipError(Exception):
    """The stack would not do it."""


@contextmanager
def translated() -> Iterator[None]:
    """The border: nobody above ever sees a PJSUA2 error."""
    try:
        yield
    except pj.Error as error:
        raise SipError(f"{error.title}: {error.reason}") from None


def guarded(callback: Callable[Concatenate[L, P], None]) -> Callable[Concatenate[L, P], None]:
    """No exception may pass back into C++. Around one call or one account, so its end is the worst that follows."""

    @functools.wraps(callback)
    def wrapper(self: L, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            callback(self, *args, **kwargs)
        except Exception:
            log.exception("%s failed", callback.__name__, extra={"call": self.name})
            self.on_failure()

    return wrapper


class _Log(pj.LogWriter):
    """PJSIP's own log lines. Message bodies are never among them (`msgLogging` is off): they hold SRTP keys."""

    def write(self, entry: Any) -> None:
        log.log(PJSIP_LEVELS.get(entry.level, logging.DEBUG), "pjsip: %s", entry.msg.strip())


class _Stack(pj.Endpoint):
    """The library, and which of our accounts an INVITE belongs to: by its source, not by what its To claims."""

    name = ""

    def __init__(self, accounts: dict[str, _Account], sources: Sources) -> None:
        super().__init__()
        self._accounts, self._sources = accounts, sources

    @guarded
    def onSelectAccount(self, prm: Any) -> None:
        account = self._accounts.get(self._sources.trunk_of(address_of(prm.rdata.srcAddress)) or "")
        if account is not None:
            prm.accountIndex = account.getId()

    def on_failure(self) -> None:
        """PJSUA then chooses the account by the To header."""


class _Account(pj.Account):
    """One trunk at the stack."""

    def __init__(self, endpoint: Endpoint, trunk: m.TrunkAccount | None) -> None:
        super().__init__()
        self.endpoint, self.trunk = endpoint, trunk
        self.name = trunk.name if trunk else ""
        self._registrar = Registrar(trunk.retry_s if trunk else 0)
        self._leaving = False

    @guarded
    def onIncomingCall(self, prm: Any) -> None:
        self.endpoint.on_incoming(self, prm.callId, parse_message(prm.rdata.wholeMsg), prm.rdata.srcAddress)

    @guarded
    def onRegState(self, prm: Any) -> None:
        status, expires_s = prm.code, prm.expiration
        if status // 100 == 2 and expires_s:
            self._registrar.on_success()
            self.endpoint.on_registrar_heard(self.name, address_of(prm.rdata.srcAddress))
            self._tell("registered", status, prm.reason, expires_s)
        elif self._leaving:
            self._tell("unregistered", status, prm.reason)
        else:
            state, wait_s = self._registrar.on_failure(status)
            self._tell(state, status, prm.reason, retry_in_s=wait_s)
            self.endpoint.later(wait_s, self._register)

    @guarded
    def onIncomingSubscribe(self, prm: Any) -> None:
        prm.code = 489  # Bad Event: nobody here has a presence (RFC 6665, 4.2.1.1)

    def leave(self) -> None:
        """Un-register, if we ever did."""
        self._leaving = True
        if self.trunk and self.trunk.kind == "register" and self.getInfo().regIsActive:
            self.setRegistration(False)

    def _register(self) -> None:
        if self._leaving:
            return
        try:
            with translated():
                self.setRegistration(True)
        except SipError as error:  # e.g. the registrar's name does not resolve just now
            state, wait_s = self._registrar.on_failure(503)
            self._tell(state, 503, str(error), retry_in_s=wait_s)
            self.endpoint.later(wait_s, self._register)

    def _tell(
        self,
        state: Literal["registered", "refused", "unreachable", "unregistered"],
        status: int,
        reason: str,
        expires_s: int = 0,
        retry_in_s: float = 0.0,
    ) -> None:
        self.endpoint.emit(
            m.Registration(
                trunk=self.name,
                state=state,
                status=status,
                reason=reason,
                expires_s=expires_s,
                retry_in_s=round(retry_in_s, 1),
            )
        )

    def on_failure(self) -> None:
        """An INVITE that could not be taken in is refused by PJSUA when its `Call` is collected."""


class _Leg(pj.Call):
    """One call at the stack."""

    def __init__(self, endpoint: Endpoint, account: _Account, name: str, call_id: int = pj.PJSUA_INVALID_ID) -> None:
        super().__init__(account, call_id)
        self.endpoint, self.account, self.name = endpoint, account, name
        self.sip_call_id = ""
        self.is_inbound = call_id != pj.PJSUA_INVALID_ID
        self.is_confirmed = False
        self.is_asked = False
        "An INVITE or an offer in a re-INVITE waits for our side's word."
        self.is_offering = False
        "We made an offer in the call: what they make of it comes with their ACK or 200."
        self.local_sdp = ""
        "What we sent last; empty before the first."
        self.early_sdp = ""
        self.hung_up: m.Hangup | None = None

    # --- what PJSUA2 tells

    @guarded
    def onCallState(self, prm: Any) -> None:
        info = self.getInfo()
        status, reason = info.lastStatusCode, info.lastReason
        match info.state:
            case pj.PJSIP_INV_STATE_EARLY if not self.is_inbound:
                self.early_sdp = _received_sdp(prm) or self.early_sdp
                self._emit(m.Ringing(call=self.name, status=status, sdp=_received_sdp(prm)))
            case pj.PJSIP_INV_STATE_CONNECTING if not self.is_inbound:
                self._emit(m.Answered(call=self.name, sdp=_received_sdp(prm) or self.early_sdp))
            case pj.PJSIP_INV_STATE_CONFIRMED:
                self.is_confirmed = True
                self._emit(m.Confirmed(call=self.name))
            case pj.PJSIP_INV_STATE_DISCONNECTED:
                self.endpoint.on_ended(self, status, reason, self._ended_by(prm))

    def _ended_by(self, prm: Any) -> Literal["remote", "local", "error"]:
        if self.hung_up is not None:
            return "local"
        event = prm.e
        if event.type == pj.PJSIP_EVENT_TSX_STATE and event.body.tsxState.type == pj.PJSIP_EVENT_RX_MSG:
            return "remote"
        return "error"

    @guarded
    def onCallSdpCreated(self, prm: Any) -> None:
        """Whatever SDP leaves in this call passes here; untouched it would be PJSUA's own 127.0.0.1:4000."""
        offer = prm.remSdp.wholeSdp
        if self.is_confirmed and not offer:  # a re-INVITE without SDP, or our own refresh of the session timer
            self.is_offering = True
            self.local_sdp = offer_again(self.local_sdp)
        elif offer and self.local_sdp and not self.is_asked:  # UPDATE: must be answered on the spot
            self.local_sdp = self._answer_again(offer)
            self._emit(m.Reoffer(call=self.name, sdp=offer, answered=True))
        if self.local_sdp:
            prm.sdp.wholeSdp = self.local_sdp

    def _answer_again(self, offer: str) -> str:
        try:
            return answer_again(offer, self.local_sdp)
        except SdpError as error:
            log.warning("offer on the fly not understood: %s", error, extra={"call": self.name})
            return self.local_sdp

    @guarded
    def onCallRxReinvite(self, prm: Any) -> None:
        prm.isAsync = True
        self.is_asked = True
        self._emit(m.Reoffer(call=self.name, sdp=prm.offer.wholeSdp))

    @guarded
    def onCallMediaState(self, prm: Any) -> None:
        """An offer has found its answer."""
        if self.is_offering and not self.is_asked:
            self.is_offering = False
            self._emit(m.Negotiated(call=self.name, sdp=pj.puenteCallSdp(self.getId(), 1)))

    @guarded
    def onCallTsxState(self, prm: Any) -> None:
        event = prm.e.body.tsxState
        if event.type != pj.PJSIP_EVENT_RX_MSG or event.tsx.method != "INFO" or event.tsx.role != pj.PJSIP_ROLE_UAS:
            return
        digit = info_digit(parse_message(event.src.rdata.wholeMsg))
        if digit:
            self._emit(m.InfoDigit(call=self.name, digit=digit[0], duration_ms=digit[1]))

    @guarded
    def onCallTransferRequest(self, prm: Any) -> None:
        prm.statusCode = pj.PJSIP_SC_DECLINE  # left alone, PJSUA accepts and dials by itself

    @guarded
    def onCallReplaceRequest(self, prm: Any) -> None:
        prm.statusCode = pj.PJSIP_SC_DECLINE

    def on_failure(self) -> None:
        self.endpoint.later(0, lambda: self.endpoint.perform(m.Hangup(call=self.name, status=500)))

    # --- what we are told to do

    def ring(self, command: m.Ring) -> None:
        if command.sdp:
            self.local_sdp = command.sdp
        self._answer(command.status, self.local_sdp if command.sdp else "")

    def answer(self, sdp: str) -> None:
        self.local_sdp = sdp
        self._answer(pj.PJSIP_SC_OK, self.local_sdp)
        self.is_asked = False

    def refuse_reoffer(self, status: int) -> None:
        self._answer(status, "")
        self.is_asked = False

    def _answer(self, status: int, sdp: str) -> None:
        prm = _call_prm(status)
        if sdp and not self.is_offering:  # an offer of ours goes out through the hook
            prm.sdp.wholeSdp = sdp
        pj.Call.answer(self, prm)

    def hang_up(self, command: m.Hangup, retry_after_s: int = 0) -> None:
        self.hung_up = self.hung_up or command
        prm = _call_prm(command.status)
        prm.reason = command.reason
        if retry_after_s > 0:
            prm.txOption.headers.append(_header("Retry-After", str(retry_after_s)))
        self.hangup(prm)

    def dial(self, command: m.Dial, uri: str, from_uri: str) -> None:
        self.local_sdp = command.sdp
        prm = _call_prm(0)
        prm.txOption.localUri = from_uri
        for name, value in command.headers:
            prm.txOption.headers.append(_header(name, value))
        self.makeCall(uri, prm)
        self.sip_call_id = self.getInfo().callIdString

    def _emit(self, event: m.AnyEvent) -> None:
        self.endpoint.emit(event)


def _received_sdp(prm: Any) -> str:
    """The SDP of the response that moved the call on."""
    event = prm.e.body.tsxState
    if prm.e.type != pj.PJSIP_EVENT_TSX_STATE or event.type != pj.PJSIP_EVENT_RX_MSG:
        return ""
    return sdp_of(parse_message(event.src.rdata.wholeMsg))


def _call_prm(status: int) -> Any:
    prm = pj.CallOpParam()
    prm.statusCode = status
    prm.opt.audioCount, prm.opt.videoCount, prm.opt.textCount = 1, 0, 0  # 2.17 offers m=text by default
    return prm


def _header(name: str, value: str) -> Any:
    header = pj.SipHeader()
    header.hName, header.hValue = name, value
    return header


class Endpoint:
    """The SIP stack of this process. There can be only one."""

    def __init__(
        self, emit: Callable[[m.AnyEvent], None], later: Callable[[float, Callable[[], None]], object]
    ) -> None:
        """`later(seconds, function)` is the loop's: PJSIP's own timers are not for us."""
        self.emit, self.later = emit, later
        self._legs: dict[str, _Leg] = {}
        self._ended: list[_Leg] = []
        self._settled: set[str] = set()
        "SIP Call-IDs whose refusals, if any, were told by other events."
        self._accounts: dict[str, _Account] = {}

    def open(self, start: m.Start) -> m.Started:
        """Raises SipError naming what was wrong, e.g. a port in use."""
        options = start.options
        self._sources = Sources(start.trunks)
        self._stack = _Stack(self._accounts, self._sources)
        with translated():
            self._stack.libCreate()
            self._stack.libInit(_endpoint_config(options))
            pj.puenteSetTimers(T1_MS, options.transaction_timeout_ms)
            pj.puenteGateStart()
        self._admit()
        started = m.Started(
            udp_port=self._bind("udp", options.udp_port, options), tcp_port=self._bind("tcp", options.tcp_port, options)
        )
        with translated():
            self._stack.libStart()
            self._host = options.public_host or options.host
            for trunk in (None, *start.trunks):
                account = _Account(self, trunk)
                account.create(_account_config(trunk, self._host), trunk is None)
                self._accounts[account.name] = account
        return started

    def _bind(self, kind: str, port: int, options: m.EndpointOptions) -> int:
        if port < 0:
            return -1
        config = pj.TransportConfig()
        config.boundAddress, config.port, config.publicAddress = options.host, port, options.public_host
        try:
            transport = self._stack.transportCreate(TRANSPORTS[kind, ":" in options.host], config)
            return int(self._stack.transportGetInfo(transport).localName.rpartition(":")[2])
        except pj.Error as error:
            raise SipError(f"{kind} port {port} on {options.host}: {error.reason}") from None

    def _admit(self) -> None:
        if pj.puenteGateAllow("\n".join(self._sources.networks())) < 0:
            raise SipError("too many source addresses of trunks")

    # --- the loop's side

    def fileno(self) -> int:
        """Readable when `pump` has work."""
        return int(pj.puenteEpollFd())

    def next_timer_s(self) -> float | None:
        wait_ms = pj.puenteNextTimerMs()
        return None if wait_ms < 0 else wait_ms / 1000

    def pump(self) -> None:
        self._stack.libHandleEvents(0)
        self._ended.clear()

    def calls(self) -> int:
        return int(pj.puenteCallCount())

    def report(self) -> None:
        """Once a second: what the gate dropped and what the stack refused without asking us."""
        for line in pj.puenteGateTakeDropped().splitlines():
            source, method, count = line.split(" ")
            why = "no SIP" if method == "garbage" else "no trunk has this address"
            self.emit(m.Dropped(source=source, method=method, count=int(count), why=why))
        for line in pj.puenteGateTakeRefused().splitlines():
            source, sip_call_id, _, status, why = line.split("\t")
            if sip_call_id not in self._settled:
                self.emit(m.RefusedByStack(source=source, sip_call_id=sip_call_id, status=int(status), why=why))
        self._settled.clear()

    # --- commands

    def perform(self, command: m.AnyCommand) -> None:
        """A command for a call that is gone is nothing wrong: a BYE has crossed it."""
        if isinstance(command, m.Dial):
            self._dial(command)
            return
        leg = self._legs.get(getattr(command, "call", ""))
        if leg is None:
            log.debug("%s for no call", type(command).__name__, extra={"call": getattr(command, "call", "")})
            return
        try:
            with translated():
                self._perform(leg, command)
        except SipError as error:
            log.warning("%s failed: %s", type(command).__name__, error, extra={"call": leg.name})
            if not isinstance(command, m.Hangup):
                self.perform(m.Hangup(call=leg.name, status=500))

    def _perform(self, leg: _Leg, command: m.AnyCommand) -> None:
        match command:
            case m.Ring():
                leg.ring(command)
            case m.Answer() | m.AnswerReoffer():
                leg.answer(command.sdp)
            case m.Refuse():
                leg.hang_up(
                    m.Hangup(call=leg.name, status=command.status, reason=command.reason), command.retry_after_s
                )
            case m.RefuseReoffer():
                self._settled.add(leg.sip_call_id)
                leg.refuse_reoffer(command.status)
            case m.Hangup():
                leg.hang_up(command)

    def _dial(self, command: m.Dial) -> None:
        account = self._accounts.get(command.trunk) if command.trunk else self._default_account()
        if account is None:
            why = f"no trunk is called {command.trunk}"
            self.emit(m.Ended(call=command.call, status=404, reason=why, by="error"))
            return
        domain = _domain(account.trunk, self._host)
        leg = _Leg(self, account, command.call)
        self._legs[leg.name] = leg
        user = account.trunk.username if account.trunk and account.trunk.username else command.from_user
        try:
            with translated():
                leg.dial(command, target_uri(command.uri, domain), f"<sip:{user}@{domain}>")
        except SipError as error:
            if self._legs.pop(leg.name, None):
                self.emit(m.Ended(call=leg.name, status=500, reason=str(error), by="error"))

    def _default_account(self) -> _Account:
        peers = (one for one in self._accounts.values() if one.trunk and one.trunk.kind == "peer")
        return next(peers, self._accounts[""])

    def hang_up_all(self) -> None:
        for name in list(self._legs):
            self.perform(m.Hangup(call=name, status=503))
        for account in self._accounts.values():
            with translated():
                account.leave()

    def is_quiet(self) -> bool:
        """No call stands and no registration is left."""
        return not self._legs and not any(account.getInfo().regIsActive for account in self._accounts.values())

    def close(self) -> None:
        """The stack is taken down; whatever still stands is cut off. May be called twice."""
        self._ended.clear()
        self._legs.clear()
        while self._accounts:
            self._accounts.popitem()[1].shutdown()
        with translated():
            self._stack.libDestroy()

    # --- what accounts and legs report

    def on_incoming(self, account: _Account, call_id: int, invite: Message, source: str) -> None:
        leg = _Leg(self, account, secrets.token_hex(6), call_id)
        self._legs[leg.name] = leg
        offer = sdp_of(invite)
        leg.is_asked, leg.is_offering = True, not offer
        leg.sip_call_id = invite.first("call-id")
        from_name, from_uri = name_and_uri(invite.first("from"))
        self.emit(
            m.Incoming(
                call=leg.name,
                trunk=self._sources.trunk_of(address_of(source)) or account.name,
                source=source,
                sip_call_id=leg.sip_call_id,
                from_uri=from_uri,
                from_name=from_name,
                to_uri=name_and_uri(invite.first("to"))[1],
                request_uri=invite.request_uri,
                offer=offer,
                headers=told_headers(invite),
            )
        )

    def on_ended(self, leg: _Leg, status: int, reason: str, by: Literal["remote", "local", "error"]) -> None:
        if self._legs.pop(leg.name, None) is None:
            return
        self._ended.append(leg)
        self._settled.add(leg.sip_call_id)
        self.emit(m.Ended(call=leg.name, status=status, reason=reason, by=by))

    def on_registrar_heard(self, trunk: str, address: str) -> None:
        """A registrar's name led here: calls of that trunk come from there too."""
        if self._sources.learn(trunk, address):
            self._admit()


def _domain(trunk: m.TrunkAccount | None, host: str) -> str:
    return (trunk and (trunk.domain or host_of(trunk.registrar))) or host


def _endpoint_config(options: m.EndpointOptions) -> Any:
    config = pj.EpConfig()
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.uaConfig.maxCalls = options.max_calls
    config.uaConfig.userAgent = options.user_agent
    for server in options.name_servers:
        config.uaConfig.nameserver.append(server)
    config.medConfig.hasIoqueue = False
    config.medConfig.threadCnt = 0
    writer = _Log()
    writer.__disown__()  # libDestroy deletes it
    config.logConfig.writer = writer
    config.logConfig.level = config.logConfig.consoleLevel = options.log_level
    config.logConfig.decor = 0
    config.logConfig.msgLogging = False
    return config


def _account_config(trunk: m.TrunkAccount | None, host: str) -> Any:
    config = pj.AccountConfig()
    config.idUri = f"sip:{(trunk and trunk.username) or 'puente'}@{_domain(trunk, host)}"
    config.mediaConfig.useLoopMedTp = True  # no sockets: RTP belongs to the media workers
    config.mediaConfig.lockCodecEnabled = False  # no re-INVITE of its own when an answer lists two codecs
    config.mediaConfig.srtpUse = pj.PJMEDIA_SRTP_OPTIONAL  # otherwise PJSUA refuses RTP/SAVP before we are asked
    config.mediaConfig.srtpSecureSignaling = 0
    config.callConfig.prackUse = pj.PJSUA_100REL_OPTIONAL
    config.callConfig.timerUse = pj.PJSUA_SIP_TIMER_OPTIONAL
    if trunk is None:
        return config
    if trunk.proxy:
        config.sipConfig.proxies.append(trunk.proxy if ";lr" in trunk.proxy else f"{trunk.proxy};lr")
    if trunk.username:
        config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", trunk.realm, trunk.username, 0, trunk.password))
    if trunk.kind == "register":
        config.regConfig.registrarUri = trunk.registrar
        config.regConfig.timeoutSec = trunk.expires_s
        config.regConfig.retryIntervalSec = 0  # PJSUA would retry at a fixed pace; sip.trunks has the dice
    return config
