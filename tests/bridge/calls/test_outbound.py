"""A test call, row by row."""

from __future__ import annotations

import pytest

from bridge.calls.outbound import Order, OutboundSession
from bridge.calls.session import CallSettings, State
from bridge.calls.words import Arm, Input, LineLost, RingTimeout, Shutdown, TimeUp, ToSip, ToWorker, WorkerLost
from media import wire
from sip import messages as sip
from tests.fakes import CALL, NEAR, STARTED_AT, Drive, brief, closed, ended, offer, opened

TAPE = wire.FarSpec(platform="tape", dialect="tape", options={"script": []})


def outbound(talk_ms: int = 0) -> Drive:
    order = Order(uri="sip:100@192.0.2.1", far=TAPE, from_user="ana", talk_ms=talk_ms)
    session = OutboundSession(CALL, order, CallSettings(codecs=("PCMA",)), 0.0, STARTED_AT)
    return Drive(session, session.start(0.0))


def answered(sdp: str = "") -> sip.Answered:
    return sip.Answered(call=CALL, sdp=sdp or offer(formats="8 101"))


def talking(talk_ms: int = 0) -> Drive:
    call = outbound(talk_ms)
    call.feed(opened(), answered(), sip.Confirmed(call=CALL))
    assert call.session.state is State.TALKING
    return call


def test_every_step_of_it() -> None:
    call = outbound(talk_ms=5000)
    assert call.all == [ToWorker(wire.OpenCall(call=CALL)), Arm(RingTimeout(), 20000)]
    [dial] = call.feed(opened())
    assert isinstance(dial, ToSip)
    assert isinstance(dial.message, sip.Dial)
    assert (dial.message.uri, dial.message.from_user) == ("sip:100@192.0.2.1", "ana")
    assert "m=audio 20000 RTP/AVP 8 101" in dial.message.sdp
    assert call.feed(sip.Ringing(call=CALL, status=180)) == []
    assert call.feed(answered()) == [
        ToWorker(wire.StartNear(call=CALL, near=NEAR)),
        ToWorker(wire.ConnectFar(call=CALL, far=TAPE)),
        Arm(TimeUp(), 5000),
    ]
    call.feed(sip.Confirmed(call=CALL), wire.FarReady(call=CALL, took_ms=0.0))
    assert call.feed(TimeUp())[0] == ToSip(sip.Hangup(call=CALL, reason="time-up"))
    call.feed(closed())
    record = call.session.record
    assert record.times == {
        "port": 1.0,
        "invite": 1.0,
        "ringing": 2.0,
        "answered": 3.0,
        "confirmed": 4.0,
        "far-ready": 5.0,
        "ended": 6.0,
        "closed": 7.0,
    }
    assert (record.direction, record.caller, record.dialled, record.platform, record.codec) == (
        *("outbound", "ana", "sip:100@192.0.2.1", "tape"),
        "PCMA",
    )
    assert (record.blame, record.reason, record.duration_s) == ("success", "time-up", 3.0)


@pytest.mark.parametrize(
    ("received", "blame", "reason", "told"),
    [
        (ended(), "success", "callee-hung-up", []),
        (wire.FarEnded(call=CALL, by="platform", reason="script"), "success", "script-ended", ["Hangup"]),
        (wire.FarEnded(call=CALL, by="error", reason="x"), "server_error", "script-failed", ["Hangup"]),
        (wire.FarFailed(call=CALL, cause="nonsense", detail="step 1"), "server_error", "script-failed", ["Hangup"]),
        (wire.NearQuiet(call=CALL, silent_ms=15000), "upstream_error", "media-timeout", ["Hangup"]),
        (Shutdown(), "server_error", "shutdown", ["Hangup"]),
    ],
)
def test_ends_of_a_call_that_stood(received: Input, blame: str, reason: str, told: list[str]) -> None:
    call = talking()
    assert brief(call.feed(received)) == [*told, "CloseCall", "Arm"]
    assert (call.session.record.blame, call.session.record.reason) == (blame, reason)


@pytest.mark.parametrize(
    ("received", "blame", "reason", "status", "told"),
    [
        (ended(status=486, reason="Busy Here"), "client_error", "refused", 486, ["CloseCall", "Arm"]),
        (ended(status=503), "upstream_error", "refused", 503, ["CloseCall", "Arm"]),
        (ended(status=408, by="error"), "upstream_error", "refused", 408, ["CloseCall", "Arm"]),
        (RingTimeout(), "client_error", "no-answer", 408, ["Hangup", "CloseCall", "Arm"]),
        (WorkerLost("gone"), "server_error", "worker-lost", 503, ["Hangup", "WriteRecord"]),
        (LineLost("gone"), "server_error", "sip-process-lost", 0, ["CloseCall", "Arm"]),
    ],
)
def test_ends_of_a_call_that_rang(received: Input, blame: str, reason: str, status: int, told: list[str]) -> None:
    call = outbound()
    call.feed(opened())
    assert brief(call.feed(received)) == told
    record = call.session.record
    assert (record.blame, record.reason, record.sip_status) == (blame, reason, status)


def test_an_answer_we_cannot_use() -> None:
    call = outbound()
    call.feed(opened())
    assert brief(call.feed(answered(offer(formats="0")))) == ["Hangup", "CloseCall", "Arm"]
    assert call.session.record.reason == "no-common-codec"


def test_the_callee_holds_and_resumes() -> None:
    call = talking()
    held = sip.Reoffer(call=CALL, sdp=offer(formats="8 101", direction="sendonly"))
    assert brief(call.feed(held)) == ["AnswerReoffer", "StartNear"]
