"""Thousands of short calls through the whole bridge, one after the other and many at once: nothing is left of any."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from bridge.records import CallRecord
from tests.helpers import proc
from tests.helpers.rig import Rig, eventually, rig
from tests.helpers.sipp import sipp
from tests.helpers.weight import weighing

SLACK_KIB = 6 * 1024
"An allocator keeps what it once had; what it had depends on how many calls happened to meet."
BYTES_PER_CALL = 200
"What may stay of a call that is over. It must be nothing; so small a leak would not be seen in a day's traffic."
WARM_UP = 0.25
"Share of the time until every process has had as many calls at once as it will have."
PER_SECOND = 20
POOL = 8
"Threads that look names up and write to disk: started one by one, then kept."


@pytest.mark.parametrize(
    "calls",
    [
        pytest.param(300, marks=pytest.mark.timeout(120)),
        pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
    ],
)
async def test_many_short_calls_leave_nothing(tmp_path: Path, calls: int) -> None:
    async with rig(tmp_path) as house:
        seconds = calls // PER_SECOND
        async with weighing(house) as scales:
            await sipp("normal", house.udp, tmp_path, calls=calls, per_second=PER_SECOND, within_s=2 * seconds + 30)
            await eventually(lambda: calls_over(house) >= calls, f"{calls} records", within_s=30)
        await house.settled()
        print(scales)
        assert calls_over(house) == calls
        assert_all_well(house.records())
        assert house.log(level="error") == []
        allowed_kib = SLACK_KIB + calls * BYTES_PER_CALL // 1024
        growth = scales.growth_kib(WARM_UP)
        assert all(grown <= allowed_kib for grown in growth.values()), f"{growth}, allowed {allowed_kib}\n{scales}"
        for name, pid in scales.pids.items():
            first = scales.samples[name][0]
            assert proc.threads(pid) <= first.threads + POOL, f"{name}\n{scales}"
            assert proc.descriptors(pid) <= first.descriptors + 2, f"{name}\n{scales}"


def calls_over(house: Rig) -> int:
    with closing(sqlite3.connect(house.records_path)) as database:
        [(count,)] = database.execute("select count(*) from calls where ended_at != ''").fetchall()
    return int(count)


def assert_all_well(records: list[CallRecord]) -> None:
    """Each was answered, heard and ended by its caller, and is one of its own."""
    assert Counter((record.reason, record.sip_status) for record in records) == {("caller-hung-up", 0): len(records)}
    assert len({record.sip_call_id for record in records}) == len(records)
    odd = [msgspec.to_builtins(record.media) for record in records if not is_whole(record)]
    assert odd == []


def is_whole(record: CallRecord) -> bool:
    if record.media is None:
        return False
    near, far = record.media.near, record.media.far
    return near.received > 0 and near.lost == near.malformed == near.send_errors == 0 == far.trouble
