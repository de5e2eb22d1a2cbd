"""A call that we place, row by row: with a tape, as test calls have it, and with platforms."""

from __future__ import annotations

import random

import msgspec
import pytest

from bridge.calls.hunt import Candidate
from bridge.calls.outbound import Order, OutboundSession
from bridge.calls.session import CallSettings, State
from bridge.calls.trunks import Way
from bridge.calls.words import (
    Arm,
    HangUp,
    Input,
    LineLost,
    PlatformRefused,
    RingTimeout,
    SetupTimeout,
    Shutdown,
    TakeTrunk,
    TellTrunks,
    TimeUp,
    ToSip,
    ToWorker,
    TrunkDown,
    TrunkFull,
    TrunkTaken,
    WorkerLost,
)
from bridge.errors import PlatformDown
from media import wire
from sip import messages as sip
from tests.fakes import CALL, NEAR, STARTED_AT, Drive, brief, closed, created, ended, offer, opened

TAPE = wire.FarSpec(platform="tape", dialect="tape", options={"script": []})
EAR = wire.FarSpec(platform="tape", dialect="tape")
SECOND = f"{CALL}.2"
TWO_WAYS = (
    Way(uri="sip:100@192.0.2.1", trunk="one", region="latam", from_user="ana", because=("primary",)),
    Way(uri="sip:100@192.0.2.2", trunk="two", region="europe", codecs=("PCMU",), public_host="203.0.113.7"),
)


def outbound(talk_ms: int = 0, *, ways: tuple[Way, ...] = TWO_WAYS[:1]) -> Drive:
    order = Order(
        to="sip:100@192.0.2.1",
        ways=ways,
        candidates=(Candidate("tape", spec=TAPE),),
        caller="ana",
        talk_ms=talk_ms,
        listener=EAR,
    )
    session = OutboundSession(CALL, order, CallSettings(codecs=("PCMA",)), 0.0, STARTED_AT)
    return Drive(session, session.start(0.0))


def to_platforms(*names: str, connect: str = "when-answered", ways: tuple[Way, ...] = TWO_WAYS[:1]) -> Drive:
    order = Order(
        to="+525512345678",
        ways=ways,
        candidates=tuple(Candidate(name) for name in names or ("one", "two")),
        connect=connect,  # type: ignore[arg-type]
        country="MX",
        context={"name": "Ana"},
        request_id="key-1",
    )
    session = OutboundSession(CALL, order, CallSettings(), 0.0, STARTED_AT)
    call = Drive(session, session.start(0.0))
    call.feed(opened(), TrunkTaken(0))
    return call


def answered(sdp: str = "", leg: str = CALL) -> sip.Answered:
    return sip.Answered(call=leg, sdp=sdp or offer(formats="8 101"))


def ringing(status: int = 180, sdp: str = "", leg: str = CALL) -> sip.Ringing:
    return sip.Ringing(call=leg, status=status, sdp=sdp)


def dialled(*, ways: tuple[Way, ...] = TWO_WAYS[:1]) -> Drive:
    call = outbound(ways=ways)
    call.feed(opened(), TrunkTaken(0))
    return call


def talking(talk_ms: int = 0) -> Drive:
    call = outbound(talk_ms)
    call.feed(opened(), TrunkTaken(0), answered(), sip.Confirmed(call=CALL))
    assert call.session.state is State.TALKING
    return call


def last_dial(call: Drive) -> sip.Dial:
    return [one.message for one in call.all if isinstance(one, ToSip) and isinstance(one.message, sip.Dial)][-1]


def first_audio() -> wire.FarEvent:
    return wire.FarEvent(call=CALL, moment=wire.Moment(kind="first-audio", at_s=1.0, who="agent"))


def test_every_step_of_it() -> None:
    call = outbound(talk_ms=5000)
    assert call.all == [ToWorker(wire.OpenCall(call=CALL))]
    assert call.feed(opened()) == [TakeTrunk(0, "one", CALL)]
    assert brief(call.feed(TrunkTaken(0))) == ["Dial", "Arm", "Arm"]
    dial = last_dial(call)
    assert (dial.uri, dial.trunk, dial.from_user) == ("sip:100@192.0.2.1", "one", "ana")
    assert "m=audio 20000 RTP/AVP 8 101" in dial.sdp
    assert call.feed(sip.Dialled(call=CALL, sip_call_id="abc@x")) == []
    assert call.feed(ringing()) == [Arm(RingTimeout(), 20000)]
    out = call.feed(answered())
    assert brief(out) == ["TellTrunks", "StartNear", "ConnectFar", "Arm"]
    assert out[1:] == [
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
        "invite": 2.0,
        "ringing": 4.0,
        "answered": 5.0,
        "confirmed": 6.0,
        "far-ready": 7.0,
        "ended": 8.0,
        "closed": 9.0,
    }
    assert (record.direction, record.caller, record.dialled, record.platform, record.codec) == (
        *("outbound", "ana", "sip:100@192.0.2.1", "tape"),
        "PCMA",
    )
    assert (record.trunk, record.region, record.source, record.sip_call_id) == (
        *("one", "latam", "sip:100@192.0.2.1"),
        "abc@x",
    )
    assert (record.outcome, record.blame, record.reason, record.duration_s) == ("answered", "success", "time-up", 3.0)
    assert [(one.trunk, one.outcome, one.because) for one in record.trunk_attempts] == [
        ("one", "answered", ("primary",))
    ]


@pytest.mark.parametrize(
    ("received", "blame", "reason", "told"),
    [
        (ended(), "success", "callee-hung-up", []),
        (wire.FarEnded(call=CALL, by="platform", reason="script"), "success", "script-ended", ["Hangup"]),
        (wire.FarEnded(call=CALL, by="error", reason="x"), "server_error", "script-failed", ["Hangup"]),
        (wire.FarFailed(call=CALL, cause="nonsense", detail="step 1"), "server_error", "script-failed", ["Hangup"]),
        (wire.NearQuiet(call=CALL, silent_ms=15000), "upstream_error", "media-timeout", ["Hangup"]),
        (Shutdown(), "server_error", "shutdown", ["Hangup"]),
        (HangUp(), "success", "hung-up", ["Hangup"]),
    ],
)
def test_ends_of_a_call_that_stood(received: Input, blame: str, reason: str, told: list[str]) -> None:
    call = talking()
    assert brief(call.feed(received)) == [*told, "CloseCall", "Arm"] or brief(call.all)[-3:] == [
        *told,
        "CloseCall",
        "Arm",
    ]
    record = call.session.record
    assert (record.outcome, record.blame, record.reason) == ("answered", blame, reason)


@pytest.mark.parametrize(
    ("received", "outcome", "blame", "reason", "status", "told"),
    [
        (ended(status=486, reason="Busy Here"), "busy", "client_error", "busy", 486, []),
        (ended(status=603), "declined", "client_error", "declined", 603, []),
        (ended(status=503), "failed", "upstream_error", "trunk-failed", 503, []),
        (ended(status=408, by="error"), "failed", "upstream_error", "unreachable", 408, []),
        (ended(status=404), "failed", "client_error", "not-found", 404, []),
        (WorkerLost("gone"), "failed", "server_error", "worker-lost", 503, ["Hangup"]),
        (LineLost("gone"), "failed", "server_error", "sip-process-lost", 0, []),
        (Shutdown(), "failed", "server_error", "shutdown", 503, ["Hangup"]),
        (HangUp(), "cancelled", "client_error", "cancelled", 480, ["Hangup"]),
    ],
)
def test_ends_of_a_call_that_rang(
    received: Input, outcome: str, blame: str, reason: str, status: int, told: list[str]
) -> None:
    call = dialled()
    out = [one for one in brief(call.feed(received)) if one != "TellTrunks"]
    assert out == [*told, *(["WriteRecord"] if reason == "worker-lost" else ["CloseCall", "Arm"])]
    record = call.session.record
    assert (record.outcome, record.blame, record.reason, record.sip_status) == (outcome, blame, reason, status)
    assert len(record.trunk_attempts) == 1


def test_nobody_answers() -> None:
    call = dialled()
    call.feed(ringing())
    call.now += 20
    assert brief(call.feed(RingTimeout())) == ["TellTrunks", "Hangup", "CloseCall", "Arm"]
    record = call.session.record
    assert (record.outcome, record.reason, record.detail) == ("no-answer", "no-answer", "no answer in 20 s")


def test_no_port_no_call() -> None:
    call = outbound()
    assert brief(call.feed(wire.CallFailed(call=CALL, why="no port"))) == ["Hangup", "WriteRecord"]
    assert (call.session.record.outcome, call.session.record.reason) == ("failed", "no-media")


def test_an_answer_we_cannot_use() -> None:
    call = dialled()
    assert brief(call.feed(answered(offer(formats="0")))) == ["TellTrunks", "Hangup", "CloseCall", "Arm"]
    assert call.session.record.reason == "no-common-codec"


def test_the_callee_holds_and_resumes() -> None:
    call = talking()
    held = sip.Reoffer(call=CALL, sdp=offer(formats="8 101", direction="sendonly"))
    assert brief(call.feed(held)) == ["AnswerReoffer", "StartNear"]


class TestSeveralTrunks:
    def test_a_refusal_leads_to_the_next_one(self) -> None:
        call = dialled(ways=TWO_WAYS)
        call.feed(sip.Dialled(call=CALL, sip_call_id="first@x"))
        assert brief(call.feed(ended(status=503))) == ["TellTrunks", "TakeTrunk"]
        assert brief(call.feed(TrunkTaken(1))) == ["Dial", "Arm", "Arm"]
        dial = last_dial(call)
        assert (dial.call, dial.trunk) == (SECOND, "two")
        assert "c=IN IP4 203.0.113.7" in dial.sdp
        assert "RTP/AVP 0 101" in dial.sdp
        call.feed(sip.Dialled(call=SECOND, sip_call_id="second@x"))
        call.feed(answered(offer(formats="0 101"), SECOND))
        assert brief(call.feed(HangUp()))[0] == "Hangup"
        record = call.session.record
        assert (record.trunk, record.region, record.sip_call_id, record.codec) == ("two", "europe", "second@x", "PCMU")
        assert [one.outcome for one in record.trunk_attempts] == ["trunk-failed", "answered"]
        assert ToSip(sip.Hangup(call=SECOND, reason="hung-up")) in call.all

    def test_a_silent_one_is_cancelled(self) -> None:
        call = dialled(ways=TWO_WAYS)
        assert brief(call.feed(SetupTimeout(0))) == ["Hangup", "TellTrunks", "TakeTrunk"]
        call.feed(TrunkTaken(1))
        assert last_dial(call).call == SECOND
        # the cancelled attempt dies in its own time, and that is nobody's business
        assert call.feed(ended(status=408, by="local")) == []
        assert call.session.state is State.RINGING

    def test_its_late_answer_is_hung_up(self) -> None:
        call = dialled(ways=TWO_WAYS)
        call.feed(SetupTimeout(0), TrunkTaken(1))
        assert call.feed(answered()) == [ToSip(sip.Hangup(call=CALL, reason="answered too late"))]
        call.feed(answered(offer(formats="0 101"), SECOND))
        assert call.session.state is State.TALKING
        assert call.feed(ended()) == []
        assert call.session.state is State.TALKING

    def test_a_full_one_is_passed_over(self) -> None:
        call = outbound(ways=TWO_WAYS)
        call.feed(opened())
        assert call.feed(TrunkFull(0, "30 of 30 calls stand")) == [TakeTrunk(1, "two", SECOND)]
        assert "invite" not in call.session.record.times
        call.feed(TrunkFull(1, "5 calls a second"))
        record = call.session.record
        assert (record.outcome, record.reason) == ("failed", "trunk-full")
        assert [one.detail for one in record.trunk_attempts] == ["30 of 30 calls stand", "5 calls a second"]

    def test_room_that_is_no_longer_wanted(self) -> None:
        call = dialled(ways=TWO_WAYS)
        assert call.feed(TrunkTaken(0)) == []

    def test_never_after_busy(self) -> None:
        call = dialled(ways=TWO_WAYS)
        call.feed(ended(status=486))
        assert call.session.state is State.CLOSING
        assert [one.trunk for one in call.session.record.trunk_attempts] == ["one"]

    def test_no_way(self) -> None:
        call = outbound(ways=())
        call.feed(opened())
        assert (call.session.record.outcome, call.session.record.reason) == ("failed", "no-trunk")


class TestEarlyMedia:
    def test_it_is_heard_before_the_answer(self) -> None:
        call = dialled()
        out = call.feed(ringing(183, offer(formats="8 101")))
        assert out == [
            Arm(RingTimeout(), 20000),
            ToWorker(wire.StartNear(call=CALL, near=NEAR)),
            ToWorker(wire.ConnectFar(call=CALL, far=EAR)),
        ]
        assert call.feed(ringing(183, offer(formats="8 101"))) == []
        # the script begins with the answer, whatever was said of the audio before
        assert brief(call.feed(answered())) == ["TellTrunks", "StartNear", "ConnectFar"]

    def test_a_description_we_cannot_use_is_not_the_last_word(self) -> None:
        call = dialled()
        assert brief(call.feed(ringing(183, "nonsense"))) == ["Arm"]
        assert brief(call.feed(answered())) == ["TellTrunks", "StartNear", "ConnectFar"]

    def test_another_address_in_the_answer(self) -> None:
        call = dialled()
        call.feed(ringing(183, offer(formats="8 101", port=5000)))
        out = call.feed(answered())
        assert ToWorker(wire.StartNear(call=CALL, near=NEAR)) in out

    def test_a_trunk_that_was_left_hears_no_more(self) -> None:
        call = dialled(ways=TWO_WAYS)
        call.feed(ringing(183, offer(formats="8 101")), ended(status=503))
        hold = msgspec.structs.replace(NEAR, sends=False, receives=False)
        assert call.feed(TrunkTaken(1))[0] == ToWorker(wire.StartNear(call=CALL, near=hold))

    def test_an_update_while_it_rings(self) -> None:
        call = dialled()
        call.feed(ringing(183, offer(formats="8 101")))
        moved = sip.Reoffer(call=CALL, sdp=offer(formats="8 101", port=5000), answered=True)
        assert brief(call.feed(moved)) == ["StartNear"]


@pytest.mark.parametrize("seed", range(100))
def test_every_call_ends_once_whatever_comes(seed: int) -> None:
    dice = random.Random(seed)
    leg = dice.choice((CALL, SECOND))
    pool: list[Input] = [
        TrunkTaken(0), TrunkTaken(1), TrunkFull(0, "x"), TrunkFull(1, "x"), SetupTimeout(0), RingTimeout(),
        TrunkDown("one", "x"), TrunkDown("two", "x"),
        TimeUp(), HangUp(), Shutdown(), LineLost("x"), WorkerLost("x"), created(), created(1, "two"), closed(),
        PlatformRefused(0, PlatformDown("one", "x").end()), ringing(leg=leg), ringing(183, offer(), leg), first_audio(),
        answered(leg=leg), answered(), ended(status=503), ended(SECOND, status=486), ended(), sip.Confirmed(call=leg),
        wire.FarReady(call=CALL, took_ms=1.0), wire.FarFailed(call=CALL, cause="lost", detail="x"),
        wire.FarEnded(call=CALL, by="error", reason="x"), wire.FarEnded(call=CALL, by="platform", reason="x"),
        wire.CallFailed(call=CALL, why="x"), wire.NearQuiet(call=CALL, silent_ms=15000), sip.Reoffer(call=leg, sdp=""),
        sip.Negotiated(call=leg, sdp=offer()),
    ]  # fmt: skip
    call = to_platforms(connect=dice.choice(("when-answered", "while-ringing")), ways=TWO_WAYS)
    for _ in range(60):
        call.feed(dice.choice(pool))
    call.feed(Shutdown(), closed())
    assert call.session.state is State.CLOSED
    assert brief(call.all).count("WriteRecord") == 1
    dials = [one.message for one in call.all if isinstance(one, ToSip) and isinstance(one.message, sip.Dial)]
    assert len(dials) == sum(isinstance(one, TellTrunks) for one in call.all)
    assert call.session.record.outcome in ("answered", "busy", "failed", "cancelled", "no-answer")
