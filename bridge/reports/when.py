"""Moments and months as people type them, as the store has them: UTC in ISO 8601. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
MONTH = re.compile(r"(\d{4})-(\d{2})")


def moment(text: str, now: datetime) -> str:
    """`90m`, `2h`, `7d` ago; `2026-11`, `2026-11-22`, `2026-11-22T10:30`. UTC unless a zone is named. ValueError."""
    if ago := re.fullmatch(r"(\d{1,6})([mhdw])", text):
        return stamp(now - timedelta(**{UNITS[ago[2]]: int(ago[1])}))
    if MONTH.fullmatch(text):
        return month(text)[0]
    at = datetime.fromisoformat(text)
    return stamp(at if at.tzinfo else at.replace(tzinfo=UTC))


def month(text: str) -> tuple[str, str]:
    """Its first moment and the first one after it. Raises ValueError."""
    found = MONTH.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no month: 2026-11 is one")
    year, number = int(found[1]), int(found[2])
    return stamp(datetime(year, number, 1, tzinfo=UTC)), stamp(
        datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    )


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")
