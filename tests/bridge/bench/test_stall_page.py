from __future__ import annotations

from pathlib import Path

import pytest

from bridge.bench.stall import Episode, Point, Stalls
from bridge.bench.stall_page import HEAD, draw, markdown, row
from tests.bridge.bench.probes import CONDITIONS

CURVE = (Point(spoken_s=-1, trip_ms=5), Point(spoken_s=0, trip_ms=200), Point(spoken_s=0.02, trip_ms=None))


def an_episode(back_after_s: float | None = 0.75, stalled_ms: int = 200) -> Episode:
    return Episode(
        side="platform",
        stalled_ms=stalled_ms,
        before_ms=5.25,
        worst_ms=203.4,
        after_ms=6.0,
        back_after_s=back_after_s,
        frames_lost=9,
        curve=CURVE,
    )


def report(*episodes: Episode, trouble: tuple[str, ...] = ()) -> Stalls:
    return Stalls(conditions=CONDITIONS, platform="vapi", recovery_s=6, episodes=episodes, trouble=trouble)


def test_a_row() -> None:
    assert dict(zip(HEAD, row(an_episode()), strict=True)) == {
        "who stalls": "platform",
        "stall ms": "200",
        "round trip before ms": "5.2",
        "at worst ms": "203",
        "last second ms": "6.0",
        "back after s": "0.75",
        "audio left out ms": "180",
    }
    assert row(an_episode(None))[5] == "**never**"


def test_the_page_names_machine_and_trouble() -> None:
    text = markdown(report(an_episode(), trouble=("caller: no",)))
    assert text.startswith("`puente bench stall`, 2026-01-02 03:04 UTC: Chip, 2 cores, Linux 6.1")
    assert "steal 0.5 %, load before 1.25" in text
    assert "- not measured: caller: no." in text


@pytest.mark.parametrize(
    "episodes", [(an_episode(), an_episode(None), an_episode(1.5, 500)), ()], ids=["whole", "nothing measured"]
)
def test_a_picture_is_drawn_of_whatever_was_measured(episodes: tuple[Episode, ...], tmp_path: Path) -> None:
    draw(report(*episodes), tmp_path / "stall.png")
    assert (tmp_path / "stall.png").read_bytes().startswith(b"\x89PNG\r\n")
