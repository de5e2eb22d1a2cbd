"""The load caller as a process against the reflector as a process: are the figures what they say?"""

from __future__ import annotations

import socket
from pathlib import Path

import msgspec
import pytest

from bridge.bench import marks
from bridge.bench.caller import Caller, Plan
from bridge.bench.results import CallOutcome, FromCaller, Load, Measured, Measuring
from bridge.bench.rig import child, told_port

DELAY_MS = 60


async def call_reflector(folder: Path, *arguments: str) -> tuple[list[FromCaller], Load]:
    log = folder / "log"
    async with child("bridge.bench.reflector", log=log) as reflector:
        port = await told_port(reflector, log)
        target = ("--target", f"127.0.0.1:{port}", "--settle", "0.3")
        async with child("bridge.bench.caller", *target, *arguments, log=log) as process:
            assert process.stdout is not None
            said = [msgspec.json.decode(line, type=FromCaller) async for line in process.stdout]
    assert log.read_text() == ""
    assert isinstance(said[-1], Load)
    return said, said[-1]


def round_trips_ms(call: CallOutcome) -> list[float]:
    return [(mark.returned_s - mark.sent_s) * 1e3 for mark in call.marks if mark.returned_s is not None]


async def test_a_known_delay_is_measured(tmp_path: Path) -> None:
    said, load = await call_reflector(
        tmp_path, "--calls", "2", "--seconds", "1.2", "--users", f"bench,delay-{DELAY_MS}"
    )
    assert said[:-1] == [Measuring(calls_up=2), Measured()]
    at_once, delayed = load.calls
    for call in load.calls:
        assert (call.status, call.ended_early, call.lost, call.duplicate, call.reordered, call.restarts) == (
            (200, False, 0, 0, 0, 0)
        ), call
        assert len(round_trips_ms(call)) == len(call.marks) >= 5
        assert call.set_up_ms is not None
    # Only the difference between the two is known: the machine may be busy, but for both alike.
    fast, slow = sorted(round_trips_ms(at_once)), sorted(round_trips_ms(delayed))
    assert min(fast) > 0
    assert min(slow) >= DELAY_MS
    assert 0.9 * DELAY_MS < slow[len(slow) // 2] - fast[len(fast) // 2] < 1.3 * DELAY_MS
    # What was on its way when we hung up is not counted as lost, but it did not come.
    assert at_once.received == at_once.sent
    assert delayed.sent - 10 <= delayed.received < delayed.sent


def test_nobody_there_is_a_call_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.bench.uac.GIVE_UP_S", 0.3)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        load = Caller(Plan(target=deaf.getsockname(), calls=1, seconds=1)).run()
    (outcome,) = load.calls
    assert (outcome.status, outcome.set_up_ms, outcome.sent, outcome.marks) == (408, None, 0, ())


@pytest.mark.parametrize("calls", [0, marks.CALLS + 1])
def test_more_calls_than_marks_can_tell_apart(calls: int) -> None:
    with pytest.raises(ValueError, match=f"{calls} calls"):
        Caller(Plan(target=("127.0.0.1", 9), calls=calls, seconds=1))
