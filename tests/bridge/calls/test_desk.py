"""The desk with everything around it in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from bridge.calls.desk import Desk
from bridge.calls.hunt import Candidate
from bridge.calls.inbound import InboundSession
from bridge.calls.outbound import Order
from bridge.calls.session import CallSettings
from bridge.calls.trunks import ListedTrunks, Trunks, Way
from bridge.calls.words import LineLost, WorkerLost
from bridge.errors import Blame, End, PlatformBusy
from bridge.platforms.base import CallFacts
from bridge.records import CallRecord
from media import wire
from sip import messages as sip
from tests.fakes import (
    CALL,
    FakeLine,
    FakePlatform,
    FakeRecords,
    FakeWorkers,
    closed,
    ended,
    far_spec,
    incoming,
    offer,
    opened,
    ready,
)


class Board:
    """A switchboard with one route."""

    def __init__(self, cap: int = 0, close_timeout_ms: int = 3000) -> None:
        self.cap, self.close_timeout_ms = cap, close_timeout_ms

    def inbound(self, call: sip.Incoming, now: float, started_at: str) -> InboundSession:
        settings = CallSettings(close_timeout_ms=self.close_timeout_ms)
        names = [Candidate("one"), Candidate("two")]
        return InboundSession(call, names, settings, now, started_at, context={"company": "Parcels"})

    def admit(self, call: sip.Incoming) -> End | None:
        return None

    def max_calls(self, platform: str) -> int:
        return self.cap


class Office:
    """A desk and its surroundings."""

    def __init__(
        self,
        one: FakePlatform | None = None,
        *,
        up: bool = True,
        cap: int = 0,
        close_timeout_ms: int = 3000,
        with_board: bool = True,
        trunks: Trunks | None = None,
    ) -> None:
        self.line, self.workers, self.records = FakeLine(), FakeWorkers(up), FakeRecords()
        self.one, self.two = one or FakePlatform("one"), FakePlatform("two")
        self.seen: list[tuple[str, str]] = []
        self.desk = Desk(
            self.line,
            self.workers,
            {"one": self.one, "two": self.two},
            self.records,
            Board(cap, close_timeout_ms) if with_board else None,
            trunks,
            watch=lambda call, received: self.seen.append((call, type(received).__name__)),
        )

    def sip(self) -> list[str]:
        return [type(message).__name__ for message in self.line.sent]

    def media(self) -> list[str]:
        return [type(message).__name__ for message in self.workers.sent]

    async def talk(self, call: str = CALL) -> None:
        self.desk.on_sip(incoming(call))
        self.desk.on_worker(call, opened(call))
        await until(lambda: any(isinstance(one, wire.ConnectFar) and one.call == call for one in self.workers.sent))
        self.desk.on_worker(call, ready(call))
        self.desk.on_sip(sip.Confirmed(call=call))


async def until(true: Callable[[], bool]) -> None:
    for _ in range(5000):
        if true():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never came true")


async def test_a_whole_call() -> None:
    office = Office()
    await office.talk()
    office.desk.on_sip(ended())
    office.desk.on_worker(CALL, closed())
    assert office.sip() == ["Ring", "Answer"]
    assert office.media() == ["OpenCall", "ConnectFar", "StartNear", "CloseCall"]
    [record] = office.records.written
    assert (record.reason, record.worker, record.media) == ("caller-hung-up", 0, wire.CallReport(duration_s=1.0))
    assert office.one.facts == [
        CallFacts(call=CALL, caller="+4930111", dialled="100", context={"company": "Parcels"}, codec="PCMA")
    ]
    assert (len(office.desk), office.workers.placed) == (0, [])
    await office.desk.close()


async def test_the_next_platform_when_one_refuses() -> None:
    office = Office(FakePlatform("one", PlatformBusy("one", "full")))
    await office.talk()
    assert [message.far for message in office.workers.sent if isinstance(message, wire.ConnectFar)] == [far_spec("two")]
    await office.desk.close(0)


async def test_a_bug_in_an_adapter_is_that_platforms_failure(caplog: pytest.LogCaptureFixture) -> None:
    office = Office(FakePlatform("one", ZeroDivisionError("oops")))
    await office.talk()
    assert "! bug in the adapter of one" in caplog.messages
    await office.desk.close(0)
    [record] = office.records.written
    assert [attempt.outcome for attempt in record.attempts] == ["internal-error", "ready"]


async def test_our_own_cap_counts_calls_at_the_platform() -> None:
    office = Office(cap=1)
    await office.talk("a")
    await office.talk("b")
    assert [message.far.platform for message in office.workers.sent if isinstance(message, wire.ConnectFar)] == [
        *("one", "two"),
    ]
    await office.desk.close(0)
    assert [attempt.outcome for attempt in office.records.written[1].attempts] == ["platform-busy", "ready"]


async def test_no_worker_is_up() -> None:
    office = Office(up=False)
    office.desk.on_sip(incoming())
    await until(lambda: bool(office.records.written))
    assert office.line.sent == [sip.Ring(call=CALL), sip.Refuse(call=CALL, status=503, retry_after_s=5)]
    assert office.records.written[0].detail == "no media worker is up"
    await office.desk.close()


async def test_cancel_while_the_platform_is_asked(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    office = Office()
    office.one.go.clear()
    office.desk.on_sip(incoming())
    office.desk.on_worker(CALL, opened())
    await until(lambda: bool(office.one.facts))
    office.desk.on_sip(ended(status=487))
    office.desk.on_worker(CALL, closed())
    assert office.records.written[0].reason == "caller-cancelled"
    office.one.go.set()
    await until(lambda: "> one call ref-one is left to its join time-out" in caplog.messages)
    assert office.media() == ["OpenCall", "CloseCall"]
    assert len(office.records.written) == 1
    await office.desk.close()


async def test_a_worker_without_a_last_word() -> None:
    office = Office(close_timeout_ms=1)
    await office.talk()
    office.desk.on_sip(ended())
    await until(lambda: bool(office.records.written))
    assert office.records.written[0].media is None
    await office.desk.close()


async def test_a_bug_in_a_session_ends_that_call_alone(caplog: pytest.LogCaptureFixture) -> None:
    office = Office()
    await office.talk("a")
    await office.talk("b")
    office.desk.on_sip(sip.Reoffer(call="a", sdp=None))  # type: ignore[arg-type]
    office.desk.on_sip(sip.Reoffer(call="a", sdp=3))  # type: ignore[arg-type]
    assert "bug in" in caplog.text
    assert office.sip()[-1] == "Hangup"
    office.desk.on_worker("a", closed("a"))
    [record] = office.records.written
    assert (record.call, record.blame, record.reason) == ("a", Blame.SERVER, "internal-error")
    assert len(office.desk) == 1
    await office.desk.close(0)


async def test_the_sip_process_dies() -> None:
    office = Office()
    await office.talk("a")
    office.one.go.clear()
    office.desk.on_sip(incoming("b"))
    office.desk.on_sip(LineLost("exited with 1"))
    office.desk.on_worker("b", closed("b"))
    assert [record.reason for record in office.records.written] == ["sip-process-lost"]
    assert len(office.desk) == 1  # "a" talks on
    office.desk.on_worker("a", wire.NearQuiet(call="a", silent_ms=15000))
    office.desk.on_worker("a", closed("a"))
    assert [record.reason for record in office.records.written] == ["sip-process-lost"] * 2
    assert "Hangup" not in office.sip()
    await office.desk.close()


async def test_a_worker_dies() -> None:
    office = Office()
    await office.talk()
    office.desk.on_worker(CALL, WorkerLost("media worker 0 exited with 1"))
    assert office.sip() == ["Ring", "Answer", "Hangup"]
    assert [record.reason for record in office.records.written] == ["worker-lost"]
    await office.desk.close()


async def test_closing_hangs_up_refuses_and_waits_for_the_record() -> None:
    office = Office()
    await office.talk("a")
    closing = asyncio.create_task(office.desk.close())
    await until(lambda: office.sip()[-1] == "Hangup")
    office.desk.on_sip(incoming("b"))
    assert office.line.sent[-1] == sip.Refuse(call="b", status=503, retry_after_s=5)
    assert not closing.done()
    office.desk.on_worker("a", closed("a"))
    await closing
    assert [(record.call, record.reason) for record in office.records.written] == [
        ("b", "shutdown"),
        ("a", "shutdown"),
    ]


async def test_closing_does_not_wait_for_ever() -> None:
    office = Office()
    office.one.go.clear()
    office.desk.on_sip(incoming())
    await office.desk.close(0)
    assert [record.reason for record in office.records.written] == ["shutdown"]
    assert len(office.desk) == 0


async def test_events_of_calls_that_are_over() -> None:
    office = Office()
    office.desk.on_sip(ended("gone"))
    office.desk.on_worker("gone", closed("gone"))
    assert (office.line.sent, office.records.written, office.seen) == ([], [], [])
    await office.desk.close()


async def test_events_without_a_call(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    office = Office()
    office.desk.on_sip(sip.Started(udp_port=5060, tcp_port=-1))
    office.desk.on_sip(sip.StartFailed(why="port 5060 is in use"))
    office.desk.on_sip(sip.Dropped(source="203.0.113.9:5060", method="INVITE", count=12, why="no trunk"))
    office.desk.on_sip(sip.RefusedByStack(source="192.0.2.7:5060", sip_call_id="x", status=400, why="bad SDP"))
    office.desk.on_sip(sip.Registration(trunk="p", state="refused", status=403, reason="No", expires_s=0))
    office.desk.on_sip(sip.Pong(number=1, calls=0))
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "= line up: udp 5060, tcp -1"),
        ("ERROR", "! line did not come up: port 5060 is in use"),
        ("WARNING", "! dropped 12 x INVITE from 203.0.113.9:5060: no trunk"),
        ("WARNING", "! refused by the SIP stack: 400 from 192.0.2.7:5060: bad SDP"),
    ]
    await office.desk.close()


def order(*names: str, far: str = "tape") -> Order:
    """One way over each trunk named; without any the URI alone."""
    ways = [Way(uri=f"sip:100@{name}.example", trunk=name) for name in names] or [Way(uri="sip:100@192.0.2.1")]
    spec = far_spec("tape") if far == "tape" else None
    return Order(to="sip:100@192.0.2.1", ways=tuple(ways), candidates=(Candidate(far, spec=spec),))


async def test_a_desk_for_test_calls() -> None:
    office = Office(with_board=False)
    call, record = office.desk.dial(order(), CallSettings())
    assert office.desk.knows(call)
    office.desk.on_worker(call, opened(call))
    await until(lambda: office.sip() == ["Dial"])
    office.desk.on_sip(sip.Answered(call=call, sdp=offer(formats="0")))
    assert office.desk.hang_up(call)
    office.desk.on_worker(call, closed(call))
    assert (await record).reason == "hung-up"
    assert not office.desk.hang_up(call)
    assert office.sip() == ["Dial", "Hangup"]
    assert office.seen[:3] == [(call, "CallOpened"), (call, "TrunkTaken"), (call, "Answered")]
    office.desk.on_sip(incoming())
    assert office.line.sent[-1] == sip.Refuse(call=CALL, status=480)
    await office.desk.close()


class TestTrunks:
    """Room is taken for each dialog and given back when that one is over, not when the call is."""

    async def dialled(self, office: Office, *names: str, call: str = "out") -> asyncio.Future[CallRecord]:
        _, record = office.desk.dial(order(*names), CallSettings(), call)
        office.desk.on_worker(call, opened(call))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return record

    async def test_room_is_taken_and_given_back(self) -> None:
        trunks = ListedTrunks()
        office = Office(with_board=False, trunks=trunks)
        record = await self.dialled(office, "one", "two")
        assert trunks.taken == {"one": 1}
        office.desk.on_sip(ended("out", status=503))
        await until(lambda: office.sip() == ["Dial", "Dial"])
        assert trunks.taken == {"one": 0, "two": 1}
        office.desk.on_sip(sip.Answered(call="out.2", sdp=offer(formats="0")))
        office.desk.on_sip(ended("out.2"))
        assert trunks.taken == {"one": 0, "two": 0}
        office.desk.on_worker("out", closed("out"))
        assert [attempt.outcome for attempt in (await record).trunk_attempts] == ["trunk-failed", "answered"]
        assert [(one.trunk, one.outcome) for one in trunks.outcomes] == [("one", "failed"), ("two", "answered")]
        await office.desk.close()

    async def test_a_trunk_that_is_found_dead_is_left_at_once(self) -> None:
        office = Office(with_board=False)
        record = await self.dialled(office, "one", "two")
        office.desk.on_trunk_down("two", "x")
        office.desk.on_trunk_down("one", "does not answer OPTIONS")
        assert office.sip() == ["Dial"]  # whoever says so may be in the middle of a call's step
        await until(lambda: office.sip() == ["Dial", "Hangup", "Dial"])
        await office.desk.close(0)
        attempts = (await record).trunk_attempts
        assert [(one.trunk, one.outcome) for one in attempts] == [("one", "setup-timeout"), ("two", "cancelled")]

    async def test_an_attempt_that_is_dying_fills_a_line_until_it_is_dead(self) -> None:
        trunks = ListedTrunks()
        office = Office(with_board=False, trunks=trunks)
        await self.dialled(office, "one", "two")
        office.desk.on_sip(LineLost("x"))
        assert trunks.taken == {"one": 1}
        office.desk.on_worker("out", closed("out"))
        assert trunks.taken == {"one": 0}
        await office.desk.close()

    async def test_a_full_trunk_is_passed_over(self) -> None:
        trunks = ListedTrunks(caps={"one": 1})
        office = Office(with_board=False, trunks=trunks)
        await self.dialled(office, "one", call="a")
        record = await self.dialled(office, "one", "two", call="b")
        await until(lambda: trunks.taken == {"one": 1, "two": 1})
        await office.desk.close(0)
        attempts = (await record).trunk_attempts
        assert [(one.trunk, one.outcome, one.detail) for one in attempts] == [
            ("one", "full", "1 calls stand already"),
            ("two", "cancelled", "shutdown"),
        ]

    async def test_a_call_that_nobody_can_place_is_lost_at_once(self) -> None:
        trunks = ListedTrunks()
        office = Office(with_board=False, trunks=trunks)
        office.line.is_up = False
        record = await self.dialled(office, "one", "two")
        await until(lambda: "CloseCall" in office.media())
        office.desk.on_worker("out", closed("out"))
        ended_so = await record
        assert (ended_so.outcome, ended_so.reason) == ("failed", "sip-process-lost")
        assert [one.counts_against_trunk for one in trunks.outcomes] == [False]
        assert trunks.taken == {"one": 0}
        await office.desk.close()

    async def test_a_platform_is_told_how_long_it_may_ring(self) -> None:
        office = Office(with_board=False)
        to = Order(
            to="+525512345678",
            ways=(Way(uri="sip:1@x"),),
            candidates=(Candidate("one"),),
            connect="while-ringing",
            context={"name": "Ana"},
        )
        office.desk.dial(to, CallSettings(ring_timeout_ms=30000), "out")
        office.desk.on_worker("out", opened("out"))
        await until(lambda: office.sip() == ["Dial"])
        office.desk.on_sip(sip.Ringing(call="out", status=180))
        await until(lambda: bool(office.one.facts))
        assert office.one.facts == [
            CallFacts(call="out", caller="puente", dialled="+525512345678", context={"name": "Ana"}, wait_ms=30000)
        ]
        await office.desk.close(0)


async def test_every_line_of_a_call_has_its_id_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="bridge")
    office = Office()
    await office.talk()
    await office.desk.close(0)
    lines = [record for record in caplog.records if record.name == "bridge.calls.desk"]
    assert {getattr(record, "call", CALL) for record in lines} == {CALL}
    assert "ws://" not in caplog.text
