"""One call at the stack: its commands become PJSUA2's calls, PJSUA2's callbacks our events."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import pjsua2 as pj

from sip import messages as m
from sip.border import SipError, guarded
from sip.cause import Cause
from sip.glare import MAX_TRIES, REFRESH_AGAIN_S, wait_s
from sip.headers import info_digit, name_and_uri, parse_message
from sip.negotiation import Negotiation
from sip.refer import SIPFRAG, is_clean, parse_refer_to, sipfrag, subscription_state, why_no_target
from sip.sdp import has_audio
from sip.stack.account import HOP_HEADER, Account
from sip.stack.border import translated
from sip.stack.courier import Courier
from sip.stack.settings import add_headers, call_prm
from sip.switchboard import Switchboard

log = logging.getLogger("sip")

NO_REQUIRE_REPLACES = 1
"PJSUA_XFER_NO_REQUIRE_REPLACES, which has no name in Python: a peer that does not know Replaces may still try."


class Home(Protocol):
    """Whose call it is: the endpoint."""

    emit: Callable[[m.AnyEvent], None]
    later: Callable[[float, Callable[[], None]], object]
    switchboard: Switchboard
    courier: Courier

    def name_of(self, call_id: int) -> str:
        """Of the call that the stack has under this number; empty if there is none."""


class Leg(pj.Call):
    """One call at the stack."""

    def __init__(self, endpoint: Home, account: Account, name: str, call_id: int = pj.PJSUA_INVALID_ID) -> None:
        super().__init__(account, call_id)
        self.endpoint, self.account, self.name, self.emit = endpoint, account, name, endpoint.emit
        self.sip_call_id = ""
        self.is_inbound = call_id != pj.PJSUA_INVALID_ID
        self.negotiation = Negotiation(name)
        self.reasked = ""
        "CSeq of the re-INVITE whose offer was told last."
        self.early_sdp = ""
        self.target: m.Target | None = None
        "Where we have called, if it was not left to the URI."
        self.hung_up: m.Hangup | None = None
        self.reoffer: m.Reinvite | None = None
        "Ours, not taken yet; without SDP it is a refresh of the session."
        self.offer_method = ""
        "By which it is on its way; empty while it waits to be sent."
        self.offers = 0
        "How often it has been made."
        self.refers = 0
        "REFERs of the peer so far: NOTIFYs for the second and later ones say which is meant (RFC 3515, 2.4.6)."
        self.asked_event = self.refer_event = "refer"
        "Of the REFER that waits for its answer, and of the one that was accepted last."

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
            case pj.PJSIP_INV_STATE_DISCONNECTED:
                if self.target and not cause.is_message:
                    reason = self.endpoint.courier.why(self.target, reason)
                self._end(status, reason, cause)

    def _end(self, status: int, reason: str, cause: Cause) -> None:
        pj.puenteAnswerRefer(self.getId(), pj.PJSIP_SC_REQUEST_TERMINATED)  # if one still waits
        on_ended = self.endpoint.switchboard.on_ended
        if self.hung_up:
            on_ended(self, status, self.hung_up.reason or reason, "local")
        else:
            on_ended(
                *(self, status, reason, cause.ended_by), contacts=cause.contacts, retry_after_s=cause.retry_after_s
            )

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
        offer = prm.offer.wholeSdp
        if offer and not has_audio(offer):  # PJSUA would refuse it by itself, later on: nobody need be asked
            log.info("a re-INVITE without audio is refused: 488", extra={"call": self.name})
            self.endpoint.switchboard.settle(self)
            prm.statusCode = pj.PJSIP_SC_NOT_ACCEPTABLE_HERE
            return
        prm.isAsync, self.reasked = True, parse_message(prm.rdata.wholeMsg).first("cseq")
        self.emit(self.negotiation.on_reoffer(offer))

    @guarded
    def onCallMediaState(self, prm: Any) -> None:
        told = self.negotiation.on_agreed(pj.puenteCallSdp(self.getId(), 1))
        if told:
            self.emit(told)

    @guarded
    def onCallTsxState(self, prm: Any) -> None:
        cause = cause_of(prm)
        match cause.method:
            case "INFO" if cause.received and not cause.is_ours:
                self._on_info(cause)
            case "REFER" if cause.received and not cause.is_ours and self.negotiation.is_confirmed:
                self._on_refer(cause)
            case "INVITE" if not cause.is_ours and cause.answered_cseq == self.reasked:
                self.negotiation.on_answered()  # by the stack, if we have not: it was cancelled, or no use to it
                if cause.status >= pj.PJSIP_SC_MULTIPLE_CHOICES:
                    pj.puenteForgetOffer(self.getId())
                if cause.status == pj.PJSIP_SC_REQUEST_TERMINATED:
                    self.endpoint.switchboard.settle(self)
            case "INVITE" | "UPDATE" if cause.is_ours and cause.status >= 200 and self.negotiation.is_confirmed:
                self._on_offer_answered(cause)

    def _on_info(self, cause: Cause) -> None:
        if digit := info_digit(parse_message(cause.received)):
            self.emit(m.InfoDigit(call=self.name, digit=digit[0], duration_ms=digit[1]))

    def _on_refer(self, cause: Cause) -> None:
        request = parse_message(cause.received)
        if status := why_no_target(request.all("refer-to")):
            pj.puenteAnswerRefer(self.getId(), status)
            return
        target = parse_refer_to(request.first("refer-to"))
        self.refers += 1
        number = request.first("cseq").partition(" ")[0]
        self.asked_event = "refer" if self.refers == 1 else f"refer;id={number}"
        ours = ""
        if dialog := target.replaces:
            ours = self.endpoint.name_of(pj.puenteFindCall(dialog.sip_call_id, dialog.to_tag, dialog.from_tag))
        self.emit(
            m.Referred(
                call=self.name,
                to_uri=target.uri,
                replaces=ours,
                replaces_header=dialog.header if dialog and not ours else "",
                referred_by=name_and_uri(request.first("referred-by"))[1],
            )
        )

    @guarded
    def onCallTransferStatus(self, prm: Any) -> None:
        prm.cont = not prm.finalNotify
        self.emit(m.ReferProgress(call=self.name, status=prm.statusCode, reason=prm.reason, final=prm.finalNotify))

    @guarded
    def onCallTransferRequest(self, prm: Any) -> None:
        prm.statusCode = pj.PJSIP_SC_DECLINE  # before the call stands; later ones do not come here (native/dialog.c)

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

    def answer_reoffer(self, command: m.AnswerReoffer) -> None:
        if self.negotiation.awaits(command.number):
            self.answer(command.sdp)

    def refuse_reoffer(self, command: m.RefuseReoffer) -> None:
        if self.negotiation.awaits(command.number):
            self._refuse_reoffer(command.status)

    def _refuse_reoffer(self, status: int) -> None:
        try:
            self._answer(status, "")
        finally:
            self.negotiation.on_answered()

    def _answer(self, status: int, sdp: str) -> None:
        prm = call_prm(status)
        if text := self.negotiation.on_our_word(sdp):
            prm.sdp.wholeSdp = text
        with translated():
            pj.Call.answer(self, prm)

    # --- our own offers

    def reinvite(self, command: m.Reinvite) -> None:
        self.reoffer, self.offers = command, 0
        self._offer()

    def _offer(self) -> None:
        """Made now or, when something else is being agreed on, a little later: nobody has refused it yet."""
        if self.reoffer is None or self.hung_up:
            return
        self.offers += 1
        if not self.negotiation.may_offer:
            self._offer_again(pj.PJSIP_SC_REQUEST_PENDING)
            return
        self.negotiation.on_our_offer(self.reoffer.sdp)
        self.offer_method = "INVITE" if self.negotiation.is_confirmed else "UPDATE"
        send = pj.Call.reinvite if self.negotiation.is_confirmed else pj.Call.update
        try:
            with translated():
                send(self, call_prm(0))
        except SipError:
            self.negotiation.on_offer_refused()
            self._offer_again(pj.PJSIP_SC_REQUEST_PENDING)

    def _on_offer_answered(self, cause: Cause) -> None:
        """Our own offer, or a refresh that the stack has sent. Challenges and 422 it answers by itself; 408 and 481 end
        the call.
        """
        if cause.status in (401, 407, 408, 422, 481):
            return
        is_own = cause.method == self.offer_method
        if cause.status < 300:
            self.reoffer = None if is_own else self.reoffer
            self.offer_method = "" if is_own else self.offer_method
        elif is_own or self.reoffer is None:
            self.reoffer = self.reoffer or m.Reinvite(call=self.name, sdp="")
            self.negotiation.on_offer_refused()
            self._offer_again(cause.status)

    def _offer_again(self, status: int) -> None:
        assert self.reoffer is not None
        self.offer_method = ""
        is_refresh = not self.reoffer.sdp
        if status == pj.PJSIP_SC_REQUEST_PENDING and (is_refresh or self.offers < MAX_TRIES):
            self.endpoint.later(wait_s(not self.is_inbound), self._guarded_offer)
        elif is_refresh:  # a session that is not refreshed ends (RFC 4028, 10)
            self.endpoint.later(REFRESH_AGAIN_S, self._guarded_offer)
        else:
            self.reoffer = None
            self.emit(m.ReofferRefused(call=self.name, status=status))

    @guarded
    def _guarded_offer(self) -> None:
        self._offer()

    # --- transfers and digits

    def refer(self, command: m.Refer, replaced: Leg | None) -> None:
        if not is_clean(command.to_uri):
            raise SipError("no URI to be referred to")
        prm = call_prm(0)
        with translated():
            if replaced is None:
                self.xfer(f"<{command.to_uri}>", prm)
            else:
                prm.options = NO_REQUIRE_REPLACES
                self.xferReplaces(replaced, prm)

    def answer_refer(self, status: int) -> None:
        if pj.puenteAnswerRefer(self.getId(), status) != pj.PJ_SUCCESS:
            raise SipError("the REFER was not answered")
        if status < pj.PJSIP_SC_MULTIPLE_CHOICES:
            self.refer_event = self.asked_event

    def notify_refer(self, command: m.NotifyRefer) -> None:
        headers = [("Event", self.refer_event), ("Subscription-State", subscription_state(command.status))]
        self._request("NOTIFY", headers, SIPFRAG, sipfrag(command.status, command.reason))

    def send_digit(self, command: m.SendInfoDigit) -> None:
        body = f"Signal={command.digit}\r\nDuration={command.duration_ms}\r\n"
        self._request("INFO", [], "application/dtmf-relay", body)

    def _request(self, method: str, headers: list[tuple[str, str]], kind: str, body: str) -> None:
        prm = pj.CallSendRequestParam()
        prm.method = method
        add_headers(prm, headers)
        prm.txOption.contentType, prm.txOption.msgBody = kind, body
        with translated():
            self.sendRequest(prm)

    def replaces(self) -> str:
        return str(pj.puenteReplacesOf(self.getId()))

    def hang_up(self, command: m.Hangup, retry_after_s: int = 0) -> None:
        if self.negotiation.is_reasked:  # nobody may be left waiting for the answer to a re-INVITE
            with suppress(SipError):  # the stack has taken it out of our hands
                self._refuse_reoffer(pj.PJSIP_SC_REQUEST_TERMINATED)
        self.hung_up = self.hung_up or command
        prm = call_prm(command.status)
        prm.reason = command.reason
        if retry_after_s > 0:
            add_headers(prm, [("Retry-After", str(retry_after_s))])
        with translated():
            self.hangup(prm)

    def dial(self, command: m.Dial) -> None:
        uri, self.target = self.account.route(command)
        self.negotiation.on_our_word(command.sdp)
        prm = call_prm(0)
        prm.txOption.localUri = command.from_uri or f"<{self.account.identity(command.from_user)}>"
        add_headers(prm, (*command.headers, (HOP_HEADER, self.account.hop(self.target))))
        with translated():
            self.makeCall(uri, prm)
            self.sip_call_id = self.getInfo().callIdString


def cause_of(prm: Any) -> Cause:
    if prm.e.type != pj.PJSIP_EVENT_TSX_STATE:
        return Cause()
    event = prm.e.body.tsxState
    is_answer = event.tsx.role == pj.PJSIP_ROLE_UAS and event.tsx.state == pj.PJSIP_TSX_STATE_COMPLETED
    return Cause(
        is_message=event.type in (pj.PJSIP_EVENT_RX_MSG, pj.PJSIP_EVENT_TX_MSG),
        method=event.tsx.method,
        is_ours=event.tsx.role == pj.PJSIP_ROLE_UAC,
        status=event.tsx.statusCode,
        answered_cseq=parse_message(event.tsx.lastTx.wholeMsg).first("cseq") if is_answer else "",
        received=event.src.rdata.wholeMsg if event.type == pj.PJSIP_EVENT_RX_MSG else "",
    )
