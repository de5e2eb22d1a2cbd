"""Calls that last: half an hour with a session timer that we refresh, SIPp at the other end, in real time.

The same on a fast clock, without audio, is in tests/sip/stack/test_session_timers.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.rig import Rig, eventually
from tests.helpers.sipp import SCENARIOS, sipp

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.soak]

REFRESH_S = 45


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("rounds", [1, 40], ids=["one refresh", "half an hour"])
async def test_session_timer(bridge: Rig, tmp_path: Path, rounds: int) -> None:
    before = len(bridge.records())
    scenario = tmp_path / "session_timer.xml"
    scenario.write_text((SCENARIOS / scenario.name).read_text().replace('value="40"', f'value="{rounds}"'))
    await sipp(str(scenario.with_suffix("")), bridge.udp, tmp_path, within_s=rounds * REFRESH_S + 60)
    await eventually(lambda: len(bridge.records()) > before, "record")
    [record] = bridge.records()[before:]
    assert record.reason == "caller-hung-up"
    assert rounds * REFRESH_S - 5 < record.duration_s < rounds * REFRESH_S + 60
    assert record.media
    near = record.media.near
    assert near.received > rounds * REFRESH_S * 40
    assert near.lost <= near.received // 1000
    assert near.max_gap_ms < 2000
