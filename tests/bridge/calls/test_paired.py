"""A call beside another one: what it tells the first, and when it joins."""

from __future__ import annotations

from bridge.calls.paired import PairedSession
from bridge.calls.session import CallSettings, State
from bridge.calls.trunks import Way
from bridge.calls.words import HangUp, Join, LegAnswered, LegFailed, LegJoined, TellCall, ToWorker, TrunkTaken
from media import wire
from sip import messages as sip
from tests.fakes import OFFER, STARTED_AT, Drive, brief, end_of, ended, opened

BESIDE = "c1.b1-1"
WAY = Way(uri="sip:+4930222@192.0.2.9", trunk="local")


def placed() -> Drive:
    session = PairedSession(BESIDE, "c1", "+4930222", (WAY,), CallSettings(), 0.0, STARTED_AT)
    call = Drive(session, session.start(0.0))
    call.feed(opened(BESIDE), TrunkTaken(0), sip.Ringing(call=BESIDE, status=180))
    return call


def answered() -> Drive:
    call = placed()
    call.feed(sip.Answered(call=BESIDE, sdp=OFFER))
    return call


def joined() -> Drive:
    call = answered()
    call.feed(Join(), wire.FarReady(call=BESIDE, took_ms=1.0))
    return call


def told(call: Drive) -> list[object]:
    assert all(one.call == "c1" for one in call.all if isinstance(one, TellCall))
    return [one.received for one in call.all if isinstance(one, TellCall)]


def test_it_has_to_be_at_the_worker_of_the_first() -> None:
    assert placed().session.beside == "c1"


def test_it_waits_for_the_word_of_the_first() -> None:
    call = answered()
    assert told(call) == [LegAnswered(BESIDE)]
    assert "ConnectFar" not in brief(call.all)
    [connect] = [one.message for one in call.feed(Join()) if isinstance(one, ToWorker)]
    assert isinstance(connect, wire.ConnectFar)
    assert (connect.far.dialect, connect.far.options) == ("pair", {"with": "c1"})


def test_joined() -> None:
    call = joined()
    assert told(call) == [LegAnswered(BESIDE), LegJoined()]
    call.feed(wire.FarEnded(call=BESIDE, by="platform", reason="the other party has gone"))
    assert end_of(call) == ("success", "other-party-hung-up", 0)


def test_its_own_peer_hangs_up() -> None:
    call = joined()
    call.feed(ended(BESIDE))
    assert end_of(call) == ("success", "callee-hung-up", 0)
    assert len(told(call)) == 2


def test_what_ends_before_is_told() -> None:
    busy, gone, lost, cancelled = placed(), answered(), answered(), placed()
    busy.feed(ended(BESIDE, status=486, reason="Busy Here"))
    gone.feed(ended(BESIDE))
    lost.feed(Join(), wire.FarFailed(call=BESIDE, cause="lost", detail="the other call is gone"))
    cancelled.feed(HangUp())
    for call, reason in ((busy, "busy"), (gone, "callee-hung-up"), (lost, "not-joined"), (cancelled, "cancelled")):
        last = told(call)[-1]
        assert isinstance(last, LegFailed)
        assert last.end.reason == reason
        assert call.session.state is State.CLOSING
