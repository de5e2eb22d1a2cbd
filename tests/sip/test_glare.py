from __future__ import annotations

import pytest

from sip.glare import wait_s


@pytest.mark.parametrize(
    ("owns_call_id", "roll", "wait"),
    [(True, 0.0, 2.1), (True, 1.0, 4.0), (True, 0.4999, 3.05), (False, 0.0, 0.0), (False, 1.0, 2.0)],
)
def test_who_made_the_call_id_waits_longer(owns_call_id: bool, roll: float, wait: float) -> None:
    assert wait_s(owns_call_id, lambda: roll) == wait


def test_waits_are_whole_steps_of_10_ms() -> None:
    for number in range(100):
        steps = wait_s(True, lambda: number / 99) * 100  # noqa: B023 - asked at once
        assert steps == pytest.approx(round(steps))
