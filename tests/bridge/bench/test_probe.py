"""The probe as a process against the reflector as a process: is every frame followed?"""

from __future__ import annotations

import random
import struct
from pathlib import Path

import msgspec
import pytest

from bridge.bench.marks import SILENCE, mark
from bridge.bench.probe import NUMBERS, Ear, Mouth, read_frame, stall_of
from bridge.bench.probing import first_came
from bridge.bench.results import FromProbe, Measured, Measuring, Probed
from bridge.bench.rig import child, told_port


async def probe_reflector(folder: Path, *arguments: str) -> Probed:
    log = folder / "log"
    async with child("bridge.bench.reflector", log=log) as reflector:
        target = ("--target", f"127.0.0.1:{await told_port(reflector, log)}")
        async with child("bridge.bench.probe", *target, *arguments, log=log) as process:
            assert process.stdout is not None
            said = [msgspec.json.decode(line, type=FromProbe) async for line in process.stdout]
    assert log.read_text() == ""
    assert said[:-1] == [Measuring(calls_up=1), Measured()]
    assert isinstance(said[-1], Probed)
    return said[-1]


async def test_a_line_and_a_stall_are_seen_frame_by_frame(tmp_path: Path) -> None:
    line = '{"one_way_ms": 40, "jitter_ms": 10}'
    probed = await probe_reflector(tmp_path, "--seconds", "1.5", "--line", line, "--stall", "0.5:300")
    assert (probed.status, probed.ended_early) == (200, False)
    assert 1.4 < probed.until_s - probed.since_s < 1.6
    (stall,) = probed.stalls
    assert (round(stall.began_s - probed.since_s, 3), round(stall.ended_s - stall.began_s, 3)) == (0.5, 0.3)
    came = first_came(probed)
    left = [number for number, one in enumerate(probed.spoken) if one.left_s is not None]
    # What was on its way when we hung up has not come; all the rest has, in order.
    assert left[: len(came)] == list(came)
    assert len(left) - len(came) < 3
    held = early = 0
    for number in came:
        one = probed.spoken[number]
        assert one.left_s is not None
        assert one.left_s - one.spoken_s >= 0.0299  # one_way - jitter: nothing leaves before its time
        assert one.left_s <= came[number].at_s + 0.001
        through_s = (one.spoken_s + 0.03, one.spoken_s + 0.05)
        if stall.began_s <= through_s[0] and through_s[1] < stall.ended_s:
            held += 1
            early += one.left_s < stall.ended_s
    assert held >= 10
    assert early == 0


async def test_lost_frames_are_known(tmp_path: Path) -> None:
    probed = await probe_reflector(tmp_path, "--seconds", "1", "--line", '{"loss_percent": 50}')
    lost = {number for number, one in enumerate(probed.spoken) if one.left_s is None}
    assert 0.2 < len(lost) / len(probed.spoken) < 0.8
    assert not lost & {came.number for came in probed.came}


@pytest.mark.parametrize("number", [0, 31, 32, 5000, NUMBERS - 1])
def test_a_frame_says_its_number(number: int) -> None:
    mouth = Mouth(random.Random(1))
    mouth.number = number
    assert read_frame(mouth.packet()[12:]) == (number, 0)
    assert mouth.number == number + 1


def test_a_frame_that_was_cut_says_where_it_begins() -> None:
    assert read_frame(SILENCE[:40] + mark(2, 7)[:120]) == (2 * 32 + 7, 40)
    assert read_frame(SILENCE) == (-1, 0)
    assert read_frame(SILENCE[:156] + mark(2, 7)[:4]) == (-1, 0)


def test_two_frames_in_one_packet_are_the_larger_one() -> None:
    number, _ = read_frame(mark(2, 7)[100:] + mark(2, 8)[:100])
    assert number == 2 * 32 + 8


def test_timestamps_run_on_over_their_wrap_and_over_swapped_packets() -> None:
    ear = Ear()
    for timestamp in (0xFFFFFF60, 0, 0x140, 0xA0):
        ear.receive(struct.pack("!BBHII", 0x80, 0, 1, timestamp, 1) + SILENCE, 0)
    steps = [came.timestamp - ear.came[0].timestamp for came in ear.came]
    assert steps == [0, 0xA0, 0x1E0, 0x140]
    ear.receive(b"\x80" * 12, 0)
    assert len(ear.came) == 4


def test_stalls_of_a_command_line() -> None:
    assert stall_of("3.5:500") == (3.5, 500)
