"""One call at the stack: its commands become PJSUA2's calls, PJSUA2's callbacks our events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import pjsua2 as pj

from sip import messages as m
from sip.border import guarded
from sip.cause import Cause
from sip.headers import info_digit, parse_message
from sip.negotiation import Negotiation
from sip.stack.account import Account
from sip.stack.border import translated
from sip.stack.settings import add_headers, call_prm
from sip.switchboard import Switchboard
from sip.trunks import domain_of, our_uri, target_uri


class Home(Protocol):
    """Whose call it is: the endpoint."""

    emit: Callable[[m.AnyEvent], None]
    later: Callable[[float, Callable[[], None]], object]
    switchboard: Switchboard
    host: str


class Leg(pj.Call):
    """One call at the stack."""

    def __init__(self, endpoint: Home, account: Account, name: str, call_id: int = pj.PJSUA_INVALID_ID) -> None:
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
        info, cause = self.getInfo(), cause_of(prm)
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
        cause = cause_of(prm)
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
        prm = call_prm(status)
        if text := self.negotiation.on_our_word(sdp):
            prm.sdp.wholeSdp = text
        with translated():
            pj.Call.answer(self, prm)

    def hang_up(self, command: m.Hangup, retry_after_s: int = 0) -> None:
        if self.negotiation.is_reasked:  # nobody may be left waiting for the answer to a re-INVITE
            self.refuse_reoffer(pj.PJSIP_SC_REQUEST_TERMINATED)
        self.hung_up = self.hung_up or command
        prm = call_prm(command.status)
        prm.reason = command.reason
        if retry_after_s > 0:
            add_headers(prm, [("Retry-After", str(retry_after_s))])
        with translated():
            self.hangup(prm)

    def dial(self, command: m.Dial) -> None:
        trunk, host = self.account.trunk, self.endpoint.host
        self.negotiation.on_our_word(command.sdp)
        prm = call_prm(0)
        prm.txOption.localUri = f"<{our_uri(trunk, host, command.from_user)}>"
        add_headers(prm, command.headers)
        with translated():
            self.makeCall(target_uri(command.uri, domain_of(trunk, host)), prm)
            self.sip_call_id = self.getInfo().callIdString


def cause_of(prm: Any) -> Cause:
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
