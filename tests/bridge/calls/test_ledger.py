"""The ledger: nobody is told yes before his call is in the records, and nothing overtakes what is held back."""

from __future__ import annotations

import asyncio
import logging

import pytest

from bridge.calls import ledger as module
from bridge.calls.ledger import Ledger
from bridge.records import CallRecord
from sip import messages as sip
from tests.fakes import CALL, STARTED_AT, FakeLine, FakeRecords
from tests.helpers.rig import eventually

ANSWER = sip.Answer(call=CALL, sdp="v=0")
DIAL = sip.Dial(call=CALL, uri="sip:1@192.0.2.1", sdp="v=0")
HANGUP = sip.Hangup(call=CALL)


class Office:
    def __init__(self, direction: str = "inbound") -> None:
        self.line, self.records, self.now = FakeLine(), FakeRecords(), 100.0
        self.ledger = Ledger(self.line, self.records, lambda: self.now)
        self.record = CallRecord(call=CALL, direction=direction, started_at=STARTED_AT)  # type: ignore[arg-type]

    def is_slow(self) -> asyncio.Future[None]:
        self.records.durable = asyncio.get_running_loop().create_future()
        return self.records.durable


@pytest.mark.parametrize("message", [ANSWER, DIAL])
async def test_what_commits_us_waits_for_the_row_and_all_else_behind_it(message: sip.Command) -> None:
    office = Office()
    durable = office.is_slow()
    office.ledger.send(office.record, message)
    office.ledger.send(office.record, HANGUP)
    other = CallRecord(call="c2", direction="inbound", started_at=STARTED_AT)
    office.ledger.send(other, sip.Ring(call="c2"))
    assert office.line.sent == [sip.Ring(call="c2")]  # other calls do not wait
    durable.set_result(None)
    await asyncio.sleep(0)
    assert office.line.sent == [sip.Ring(call="c2"), message, HANGUP]
    office.ledger.send(office.record, HANGUP)
    assert office.line.sent[-1] is HANGUP


async def test_what_commits_us_to_nothing_goes_at_once() -> None:
    office = Office()
    office.is_slow()
    for message in (sip.Ring(call=CALL), HANGUP):
        office.ledger.send(office.record, message)
    assert office.line.sent == [sip.Ring(call=CALL), HANGUP]
    assert office.records.begun == []


async def test_a_store_that_is_in_time_costs_no_turn_of_the_loop() -> None:
    office = Office()
    office.ledger.send(office.record, ANSWER)
    assert office.line.sent == [ANSWER]


async def test_a_caller_is_not_kept_ringing_by_a_disk(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.003)
    caplog.set_level(logging.INFO)
    office, record = Office(), CallRecord(call="", direction="inbound", started_at=STARTED_AT)
    for call in ("c1", "c2"):  # one line in the log for both
        late = office.is_slow()
        record.call = call
        office.ledger.send(record, sip.Answer(call=call, sdp=""))
        await eventually(lambda: office.line.sent[-1:] == [sip.Answer(call=record.call, sdp="")], "answer")
        late.set_result(None)  # after all: it is not said twice
        await asyncio.sleep(0)
    assert len(office.line.sent) == 2
    durable = office.is_slow()
    office.ledger.send(office.record, ANSWER)
    durable.set_result(None)
    await asyncio.sleep(0)
    assert caplog.messages == [
        "! records are late: calls are answered without them",
        "= records are in time again",
    ]


async def test_moments_of_the_call_as_the_wall_clock_had_them() -> None:
    office = Office("outbound")
    office.ledger.opened(office.record)
    office.ledger.moved(office.record)
    office.record.times["answered"] = 100.0
    office.now = 107.0
    for _ in range(2):
        office.ledger.moved(office.record)
    assert [one.answered_at != "" for one in office.records.begun] == [False, True]  # told once
    office.record.times["ended"] = 105.0
    office.ledger.closed(office.record)
    [written] = office.records.written
    assert written.answered_at < written.ended_at
    seconds = float(written.ended_at[17:23]) - float(written.answered_at[17:23])
    assert seconds % 60 == pytest.approx(5.0, abs=0.5)  # the clock went on between the two looks


async def test_an_inbound_answer_is_begun_with_its_moment() -> None:
    office = Office()
    office.record.times["answered"] = office.now
    office.ledger.moved(office.record)
    office.ledger.send(office.record, ANSWER)
    [begun] = office.records.begun
    assert begun.answered_at
    assert not begun.ended_at


async def test_a_call_that_never_began_to_end_has_an_end_all_the_same() -> None:
    office = Office()
    office.ledger.closed(office.record)
    assert office.records.written[0].ended_at
