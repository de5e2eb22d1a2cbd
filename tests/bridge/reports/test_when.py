"""Times as people type them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bridge.reports.when import moment, month

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("90m", "2026-11-22T09:00:00.000+00:00"),
        ("2h", "2026-11-22T08:30:00.000+00:00"),
        ("7d", "2026-11-15T10:30:00.000+00:00"),
        ("1w", "2026-11-15T10:30:00.000+00:00"),
        ("2026-11", "2026-11-01T00:00:00.000+00:00"),
        ("2026-11-22", "2026-11-22T00:00:00.000+00:00"),
        ("2026-11-22T10:30", "2026-11-22T10:30:00.000+00:00"),
        ("2026-11-22T10:30:05.250Z", "2026-11-22T10:30:05.250+00:00"),
        ("2026-11-22T10:30-06:00", "2026-11-22T16:30:00.000+00:00"),
    ],
)
def test_moments(text: str, at: str) -> None:
    assert moment(text, NOW) == at


@pytest.mark.parametrize("text", ["", "soon", "2026-13", "2026-11-31", "5", "h", "-2h", "2026-11-22T25:00"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        moment(text, NOW)


def test_months_meet_without_a_gap() -> None:
    assert month("2026-11") == ("2026-11-01T00:00:00.000+00:00", "2026-12-01T00:00:00.000+00:00")
    assert month("2026-12")[1] == month("2027-01")[0]
    for text in ("2026", "2026-00", "2026-13", "11-2026"):
        with pytest.raises(ValueError, match=r"."):
            month(text)
