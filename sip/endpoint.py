"""PJSUA2, and the only file that knows it: commands become its calls, its callbacks become our events.

    commands -> Endpoint.switchboard    \\                     / _Leg      one call
                Endpoint.pump            > PJSUA2, no thread  <  _Account  one trunk, or the nameless local one
    events   <- emit()                  /                     \\ _Stack    which account an INVITE is for

Everything runs in the one thread that called `open`. What PJSUA2 wants of its users, each of it learnt the hard way:
a `Call` without a reference is hung up with 603, so the switchboard keeps them; what a callback is given dies with it
(it lies on the C stack), so values are copied out; a `Call` is not dropped inside its own callback, so ended ones wait
for the pump; an exception in a callback is swallowed by SWIG, so `guarded` logs it and ends the call.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pjsua2 as pj

from sip import messages as m
from sip.border import SipError, guarded, log_line
from sip.cause import Cause
from sip.headers import Message, info_digit, parse_message, sdp_of
from sip.negotiation import Negotiation
from sip.switchboard import Switchboard
from sip.trunks import LOCAL, Registrar, Sources, address_of, domain_of, our_uri, target_uri

T1_MS = 500
"RFC 3261, 17.1.1.1."
TRANSPORTS = {
    "udp": (pj.PJSIP_TRANSPORT_UDP, pj.PJSIP_TRANSPORT_UDP6),
    "tcp": (pj.PJSIP_TRANSPORT_TCP, pj.PJSIP_TRANSPORT_TCP6),
}


@contextmanager
def translated(what: str = "") -> Iterator[None]:
    """The border: nobody above ever sees a PJSUA2 error."""
    try:
        yield
    except pj.Error as error:
        raise SipError(f"{what or error.title}: {error.reason}") from None


class _Log(pj.LogWriter):
    """PJSIP's own log lines. Messages are never among them (`msgLogging` is off): they hold SRTP keys."""

    def write(self, entry: Any) -> None:
        log_line(entry.level, entry.msg)


class _Stack(pj.Endpoint):
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


class _Account(pj.Account):
    """One trunk at the stack."""

    def __init__(self, endpoint: Endpoint, trunk: m.TrunkAccount) -> None:
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


class _Leg(pj.Call):
    """One call at the stack."""

    def __init__(self, endpoint: Endpoint, account: _Account, name: str, call_id: int = pj.PJSUA_INVALID_ID) -> None:
        super().__init__(account, call_id)
        self.endpoint, self.account, self.name, self.emit = endpoint, account, name, endpoint.emit
        self.sip_call_id = ""
        self.is_inbound = call_id != pj.PJSUA_INVALID_ID
        self.negotiation = Negotiation(name)
        self.early_sdp = ""
        self.hung_up: m.Hangup | None = None

    # --- what PJSUA2 tells

    @guarded
    def onCallState(self, prm: Any) -> None:
        info, cause = self.getInfo(), _cause(prm)
        status, reason = cause.redirection or info.lastStatusCode, info.lastReason
        match info.state:
            case pj.PJSIP_INV_STATE_EARLY if not self.is_inbound:
                self.early_sdp = cause.sdp or self.early_sdp
                self.emit(m.Ringing(call=self.name, status=status, sdp=cause.sdp))
            case pj.PJSIP_INV_STATE_CONNECTING if not self.is_inbound:
                self.emit(m.Answered(call=self.name, sdp=cause.sdp or self.early_sdp))
            case pj.PJSIP_INV_STATE_CONFIRMED:
                self.negotiation.is_confirmed = True
                self.emit(m.Confirmed(call=self.name))
            case pj.PJSIP_INV_STATE_DISCONNECTED if self.hung_up:
                self.endpoint.switchboard.on_ended(self, status, self.hung_up.reason or reason, "local")
            case pj.PJSIP_INV_STATE_DISCONNECTED:
                self.endpoint.switchboard.on_ended(self, status, reason, cause.ended_by)

    @guarded
    def onCallSdpCreated(self, prm: Any) -> None:
        """Whatever SDP leaves in this call passes here; untouched it would be PJSUA's own 127.0.0.1:4000."""
        text, told = self.negotiation.say(prm.remSdp.wholeSdp)
        if text:
            prm.sdp.wholeSdp = text
        if told:
            self.emit(told)

    @guarded
    def onCallRxReinvite(self, prm: Any) -> None:
        prm.isAsync = True
        self.emit(self.negotiation.on_reoffer(prm.offer.wholeSdp))

    @guarded
    def onCallMediaState(self, prm: Any) -> None:
        if told := self.negotiation.on_agreed(pj.puenteCallSdp(self.getId(), 1)):
            self.emit(told)

    @guarded
    def onCallTsxState(self, prm: Any) -> None:
        cause = _cause(prm)
        if cause.method != "INFO" or cause.is_ours or not cause.received:
            return
        if digit := info_digit(parse_message(cause.received)):
            self.emit(m.InfoDigit(call=self.name, digit=digit[0], duration_ms=digit[1]))

    @guarded
    def onCallTransferRequest(self, prm: Any) -> None:
        prm.statusCode = pj.PJSIP_SC_DECLINE  # left alone, PJSUA accepts and dials by itself

    onCallReplaceRequest = onCallTransferRequest

    def on_failure(self) -> None:
        self.endpoint.later(0, lambda: self.endpoint.switchboard.perform(m.Hangup(call=self.name, status=500)))

    # --- what we are told to do

    def ring(self, command: m.Ring) -> None:
        if self.negotiation.is_offering and not command.sdp:
            return  # with its first response PJSUA makes the offer, and ours is not known yet: 100 must do
        self._answer(command.status, command.sdp)

    def answer(self, sdp: str) -> None:
        self._answer(pj.PJSIP_SC_OK, sdp)
        self.negotiation.on_answered()

    def refuse_reoffer(self, status: int) -> None:
        self._answer(status, "")
        self.negotiation.on_answered()

    def _answer(self, status: int, sdp: str) -> None:
        prm = _call_prm(status)
        if text := self.negotiation.on_our_word(sdp):
            prm.sdp.wholeSdp = text
        with translated():
            pj.Call.answer(self, prm)

    def hang_up(self, command: m.Hangup, retry_after_s: int = 0) -> None:
        if self.negotiation.is_reasked:  # nobody may be left waiting for the answer to a re-INVITE
            self.refuse_reoffer(pj.PJSIP_SC_REQUEST_TERMINATED)
        self.hung_up = self.hung_up or command
        prm = _call_prm(command.status)
        prm.reason = command.reason
        if retry_after_s > 0:
            _add_headers(prm, [("Retry-After", str(retry_after_s))])
        with translated():
            self.hangup(prm)

    def dial(self, command: m.Dial) -> None:
        trunk, host = self.account.trunk, self.endpoint.host
        self.negotiation.on_our_word(command.sdp)
        prm = _call_prm(0)
        prm.txOption.localUri = f"<{our_uri(trunk, host, command.from_user)}>"
        _add_headers(prm, command.headers)
        with translated():
            self.makeCall(target_uri(command.uri, domain_of(trunk, host)), prm)
            self.sip_call_id = self.getInfo().callIdString


def _cause(prm: Any) -> Cause:
    if prm.e.type != pj.PJSIP_EVENT_TSX_STATE:
        return Cause()
    event = prm.e.body.tsxState
    return Cause(
        is_message=event.type in (pj.PJSIP_EVENT_RX_MSG, pj.PJSIP_EVENT_TX_MSG),
        method=event.tsx.method,
        is_ours=event.tsx.role == pj.PJSIP_ROLE_UAC,
        status=event.tsx.statusCode,
        received=event.src.rdata.wholeMsg if event.type == pj.PJSIP_EVENT_RX_MSG else "",
    )


def _call_prm(status: int) -> Any:
    prm = pj.CallOpParam()
    prm.statusCode = status
    prm.opt.audioCount, prm.opt.videoCount, prm.opt.textCount = 1, 0, 0  # 2.17 offers m=text by default
    return prm


def _add_headers(prm: Any, headers: Iterable[tuple[str, str]]) -> None:
    for name, value in headers:
        header = pj.SipHeader()
        header.hName, header.hValue = name, value
        prm.txOption.headers.append(header)


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
        self._stack = _Stack(self)
        self._accounts: dict[str, _Account] = {}

    def open(self, start: m.Start) -> m.Started:
        """Raises SipError naming what was wrong, e.g. a port in use."""
        options = start.options
        self.host = options.public_host or options.host
        self._sources = Sources(start.trunks)
        with translated():
            self._stack.libCreate()
            self._stack.libInit(_endpoint_config(options))
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
        account = _Account(self, trunk)
        with translated(f"trunk {trunk.name}"):
            account.create(_account_config(trunk, self.host), trunk is LOCAL)
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

    def _new_leg(self, command: m.Dial) -> _Leg:
        peers = (name for name, one in self._accounts.items() if name and one.trunk.kind == "peer")
        account = self._accounts.get(command.trunk or next(peers, ""))
        if account is None:
            raise SipError(f"no trunk is called {command.trunk}")
        return _Leg(self, account, command.call)

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

    def account_of(self, source: str) -> _Account:
        return self._accounts[self._sources.trunk_of(address_of(source)) or ""]

    def on_incoming(self, account: _Account, call_id: int, invite: Message, source: str) -> None:
        leg = _Leg(self, account, secrets.token_hex(6), call_id)
        leg.sip_call_id = invite.first("call-id")
        leg.negotiation.on_invite(sdp_of(invite))
        self.switchboard.on_incoming(leg, account.name, source, invite)

    def on_registrar_heard(self, trunk: str, address: str) -> None:
        """A registrar's name led here: calls of that trunk come from there too."""
        if self._sources.learn(trunk, address):
            self._admit()


def _endpoint_config(options: m.EndpointOptions) -> Any:
    config = pj.EpConfig()
    config.uaConfig.threadCnt, config.uaConfig.mainThreadOnly = 0, True
    config.uaConfig.maxCalls = options.max_calls
    config.uaConfig.userAgent = options.user_agent
    for server in options.name_servers:
        config.uaConfig.nameserver.append(server)
    config.medConfig.hasIoqueue, config.medConfig.threadCnt = False, 0
    writer = _Log()
    writer.__disown__()  # libDestroy deletes it
    config.logConfig.writer = writer
    config.logConfig.level = config.logConfig.consoleLevel = options.log_level
    config.logConfig.decor, config.logConfig.msgLogging = 0, False
    return config


def _account_config(trunk: m.TrunkAccount, host: str) -> Any:
    config = pj.AccountConfig()
    config.idUri = our_uri(trunk, host)
    config.mediaConfig.useLoopMedTp = True  # no sockets: RTP belongs to the media workers
    config.mediaConfig.lockCodecEnabled = False  # no re-INVITE of its own when an answer lists two codecs
    config.mediaConfig.srtpUse = pj.PJMEDIA_SRTP_OPTIONAL  # otherwise PJSUA refuses RTP/SAVP before we are asked
    config.mediaConfig.srtpSecureSignaling = 0
    config.callConfig.prackUse = pj.PJSUA_100REL_OPTIONAL
    config.callConfig.timerUse = pj.PJSUA_SIP_TIMER_OPTIONAL
    if trunk.proxy:
        config.sipConfig.proxies.append(trunk.proxy if ";lr" in trunk.proxy else f"{trunk.proxy};lr")
    if trunk.username:
        config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", trunk.realm, trunk.username, 0, trunk.password))
    if trunk.kind == "register":
        config.regConfig.registrarUri = trunk.registrar
        config.regConfig.timeoutSec = trunk.expires_s
        config.regConfig.retryIntervalSec = 0  # PJSUA would retry at a fixed pace; sip.trunks has the dice
    return config
