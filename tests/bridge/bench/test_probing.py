from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from bridge.bench import rig
from bridge.bench.probing import checked, first_came, first_heard, probe
from bridge.bench.results import Came, Heard
from bridge.bench.rig import House, Meter, Trouble, child, told_port
from tests.bridge.bench.probes import probed


async def test_a_probe_is_run_and_something_else_meanwhile(tmp_path: Path) -> None:
    done: list[str] = []

    async def meanwhile() -> None:
        await asyncio.sleep(0.1)
        done.append("done")

    log = tmp_path / "log"
    async with child("bridge.bench.reflector", log=log) as reflector:
        up = House(await told_port(reflector, log), 0, Meter({reflector.pid: "reflector"}))
        found = await probe(up, 1.0, tmp_path, stalls=[(0.2, 100)], meanwhile=meanwhile)
    assert done == ["done"]
    assert (found.status, len(found.stalls)) == (200, 1)
    assert [one.role for one in up.meter.processes()] == ["reflector", "caller"]
    assert 0.9 < up.meter.seconds < 1.5


async def test_nobody_there_is_trouble_and_what_ran_meanwhile_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.bench.probing.LOAD_EXTRA_S", 0.5)
    up = House(rig.free_udp_port(), 0, Meter({}))
    with pytest.raises(Trouble, match="did not come to an end"):
        await probe(up, 0.1, tmp_path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [({"status": 503}, "answered with 503"), ({"ended_early": True}, "hung up on")],
)
def test_a_call_that_did_not_stand_is_trouble(change: dict[str, int], complaint: str) -> None:
    with pytest.raises(Trouble, match=complaint):
        checked(msgspec.structs.replace(probed(1, lambda at: 5.0), **change))


def test_the_first_packet_with_a_frame_counts_and_what_cannot_be_does_not() -> None:
    call = probed(0.1, lambda at: None, lost_in=frozenset({3}))
    packets = [(1.0, 0), (1.1, 0), (0.001, 1), (1.2, 2), (1.3, 3), (1.4, 99), (1.5, -1)]
    came = tuple(Came(at_s=at, timestamp=n, number=number, begins_ms=0.0) for n, (at, number) in enumerate(packets))
    found = first_came(msgspec.structs.replace(call, came=came))
    # 1 came before it left, 3 was lost on the way, 99 was never spoken.
    assert {number: one.at_s for number, one in found.items()} == {0: 1.0, 2: 1.2}


def test_the_first_time_the_platform_heard_a_frame_counts() -> None:
    notes = [Heard(call=1, index=2, at_s=1.0), Heard(call=1, index=2, at_s=2.0), Heard(call=0, index=2, at_s=3.0)]
    assert {number: one.at_s for number, one in first_heard(notes).items()} == {34: 1.0, 2: 3.0}
