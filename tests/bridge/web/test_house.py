"""What the web sees: a desk with calls, and stand-ins for line and workers."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from bridge.calls.desk import Desk
from bridge.calls.hunt import Candidate
from bridge.calls.inbound import InboundSession
from bridge.calls.session import CallSettings
from bridge.errors import End
from bridge.metrics import Process
from bridge.records import CallRecord
from bridge.store import Forgetful
from bridge.web import house as module
from bridge.web.house import Health, House
from media import wire
from sip import messages as sip
from tests.fakes import FakeLine, FakePlatform, FakeWorkers, ended, incoming, opened, ready
from tests.helpers.workerbench import until

FIGURES = wire.Figures(opened=1, near={}, far={}, latencies={})


@dataclass
class FakeChild:
    name: str
    pid: int = 77
    is_ready: bool = True
    starts: int = 1


@dataclass
class FakeLineProcess:
    child: FakeChild = field(default_factory=lambda: FakeChild("sip"))
    started: sip.Started | None = field(default_factory=lambda: sip.Started(udp_port=5060, tcp_port=-1))


@dataclass
class FakePooled:
    child: FakeChild
    figures: wire.Figures | None = None


class FakePool:
    """Answers when told to, and knows how many ask at once."""

    def __init__(self) -> None:
        self.workers = [FakePooled(FakeChild("media0"), FIGURES), FakePooled(FakeChild("media1", starts=0))]
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self.silent = False

    async def report(self, call: str, timeout_s: float) -> wire.CallReport | None:
        assert 0 < timeout_s <= module.SURVEY_S
        self.asked.append(call)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(timeout_s if self.silent else 0)
        self.at_once -= 1
        return None if self.silent else wire.CallReport(duration_s=len(self.asked))


class Board:
    def inbound(self, call: sip.Incoming, now: float, started_at: str) -> InboundSession:
        return InboundSession(call, [Candidate("one")], CallSettings(), now, started_at)

    def admit(self, call: sip.Incoming) -> End | None:
        return None

    def max_calls(self, platform: str) -> int:
        return 0


class Stage:
    """A house with a desk that works."""

    def __init__(self) -> None:
        self.line, self.pool, self.workers = FakeLineProcess(), FakePool(), FakeWorkers()
        self.platform = FakePlatform("one")
        self.store = Forgetful()
        self.desk = Desk(FakeLine(), self.workers, {"one": self.platform}, self.store, Board())
        self.house = House(self.desk, cast(Any, self.line), cast(Any, self.pool), self.store)

    async def talk(self, call: str) -> None:
        """A call that stands, with something said in it."""
        self.desk.on_sip(incoming(call))
        self.desk.on_worker(call, opened(call))
        await until(lambda: any(isinstance(one, wire.ConnectFar) and one.call == call for one in self.workers.sent))
        self.desk.on_worker(call, ready(call))
        self.desk.on_sip(sip.Confirmed(call=call))
        moment = wire.Moment(kind="transcript", at_s=1.0, who="agent", text="Hello.")
        self.desk.on_worker(call, wire.FarEvent(call=call, moment=moment))


def test_health() -> None:
    stage = Stage()
    assert stage.house.health() == Health()
    assert stage.house.health().is_well
    stage.pool.workers[0].child.is_ready = False
    assert stage.house.health().is_well  # one is enough
    stage.pool.workers[1].child.is_ready = False
    assert stage.house.health() == Health(("no media worker is up",))
    stage.line.started = None  # it runs, but does not listen
    assert stage.house.health() == Health(("the sip process is not up", "no media worker is up"))
    assert not stage.house.health().is_well


def test_a_store_that_is_away_keeps_no_call_from_coming() -> None:
    stage = Stage()
    stage.store.is_well = False
    assert stage.house.health() == Health((), ("the store takes no records just now; they wait in the spool",))
    stage.store.is_in_memory_alone = True
    why = "the store takes no records just now; nor does the spool; they wait in memory"
    assert stage.house.health() == Health((), (why,))


def test_processes() -> None:
    stage = Stage()
    stage.line.child.starts = 3
    assert stage.house.processes() == [
        Process("control", os.getpid(), True),
        Process("sip", 77, True, restarts=2),
        Process("media0", 77, True, 0, FIGURES),
        Process("media1", 77, True, 0),  # not started yet is not restarted either
    ]


async def test_calls_that_stand_with_their_figures_of_now() -> None:
    stage = Stage()
    assert await stage.house.calls() == []
    for call in ("a", "b"):
        await stage.talk(call)
    stage.platform.go.clear()  # the third one's platform takes its time
    stage.desk.on_sip(incoming("c"))
    listed = await stage.house.calls()
    assert [(one.record.call, one.state, one.record.platform) for one in listed] == [
        ("a", "talking", "one"),
        ("b", "talking", "one"),
        ("c", "ringing", "one"),
    ]
    assert [one.record.media for one in listed[:2]] == [wire.CallReport(duration_s=n) for n in (1, 2)]
    assert [one.record.moments for one in listed] == [[], [], []]
    assert stage.house.in_progress() == {("inbound", "one"): 3}
    stage.desk.on_sip(ended("a"))
    assert [one.state for one in await stage.house.calls()] == ["closing", "talking", "ringing"]
    stage.platform.go.set()
    await stage.desk.close(0.0)
    assert stage.house.in_progress() == {}


async def test_one_call_with_all_that_happened_in_it() -> None:
    stage = Stage()
    await stage.talk("a")
    found = await stage.house.call("a")
    assert found is not None
    assert [moment.text for moment in found.record.moments] == ["Hello."]
    assert found.record.media == wire.CallReport(duration_s=1)
    assert await stage.house.call("x") is None
    # what is shown is a copy: the record itself is written when the call has ended, not before
    assert stage.desk.standing()[0].record.media is None
    await stage.desk.close(0.0)


async def test_a_call_that_has_ended_is_found_in_the_store() -> None:
    stage = Stage()
    await stage.talk("a")
    other = CallRecord(call="other", direction="inbound", started_at="2026-11-22T10:00:00+00:00")
    await stage.store.begin(other)
    await stage.desk.close(0.0)
    found = await stage.house.call("a")
    assert found is not None
    assert (found.state, found.record.reason) == ("ended", "shutdown")
    assert [moment.text for moment in found.record.moments] == ["Hello."]
    elsewhere = await stage.house.call("other")
    assert elsewhere is not None
    assert elsewhere.state == "elsewhere"


async def test_workers_are_asked_for_one_call_at_a_time() -> None:
    stage = Stage()
    for call in ("a", "b", "c"):
        await stage.talk(call)
    await asyncio.gather(stage.house.calls(), stage.house.calls(), stage.house.call("b"))
    assert stage.pool.asked == ["a", "b", "c", "a", "b", "c", "b"]
    assert stage.pool.most_at_once == 1
    await stage.desk.close(0.0)


async def test_a_worker_that_does_not_answer_costs_the_figures_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SURVEY_S", 0.05)
    stage = Stage()
    for call in ("a", "b", "c"):
        await stage.talk(call)
    stage.pool.silent = True
    assert [one.record.media for one in await stage.house.calls()] == [None, None, None]
    assert stage.pool.asked == ["a"]  # its silence has used up everybody's time
    await stage.desk.close(0.0)
