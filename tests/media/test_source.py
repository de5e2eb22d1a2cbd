from __future__ import annotations

import pytest

from media.rtp import Reception
from media.source import MISSED_S, MOVED_AFTER_S, goes_on


@pytest.mark.parametrize(
    ("sequence", "silent_s", "ptime_ms", "is_authentic", "yes"),
    [
        pytest.param(104, MISSED_S + 0.001, 20, False, True, id="three packets lost"),
        pytest.param(104, MISSED_S, 20, False, False, id="too soon"),
        pytest.param(104, 0.1, 60, False, False, id="too soon for long packets"),
        pytest.param(104, 0.181, 60, False, True, id="long packets"),
        pytest.param(130, 0.1, 20, False, False, id="more than can have been sent"),
        pytest.param(130, MOVED_AFTER_S + 0.001, 20, False, True, id="near, after a second"),
        pytest.param(99, 0.5, 20, False, False, id="old"),
        pytest.param(101, 0.0, 20, True, True, id="authentic"),
        pytest.param(99, 0.0, 20, True, False, id="an authentic straggler"),
        pytest.param(9_000, 9.0, 20, True, False, id="from nowhere"),
    ],
)
def test_goes_on(sequence: int, silent_s: float, ptime_ms: int, is_authentic: bool, yes: bool) -> None:
    reception = Reception(8000)
    reception.arrive(100, 0, 0.0)
    assert goes_on(reception, sequence, silent_s, ptime_ms, is_authentic) is yes
