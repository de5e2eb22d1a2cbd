"""The stalls as a table and as curves."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes

from bridge.bench import pages
from bridge.bench.stall import BACK_WITHIN_MS, SIDES, Episode, Side, Stalls
from bridge.bench.table import grid

HEAD = (
    "who stalls",
    "stall ms",
    "round trip before ms",
    "at worst ms",
    "last second ms",
    "back after s",
    "audio left out ms",
)
NOTE = (
    "Round trips of every 20 ms frame of one call; before and last second: medians. Back: from the end of the stall "
    f"until half a second is within {BACK_WITHIN_MS:g} ms of the p95 before. Audio left out: frames that were spoken "
    "after the stall began and never came back."
)


def row(one: Episode) -> tuple[str, ...]:
    return (
        one.side,
        str(one.stalled_ms),
        pages.ms(one.before_ms),
        pages.ms(one.worst_ms, 0),
        pages.ms(one.after_ms),
        "**never**" if one.back_after_s is None else f"{one.back_after_s:.2f}",
        str(20 * one.frames_lost),
    )


def markdown(report: Stalls) -> str:
    return "\n\n".join(
        (
            f"`puente bench stall`, {report.conditions.started_at}: {report.conditions}; platform {report.platform}, "
            f"one call, watched for {report.recovery_s:g} s after each stall.",
            grid(HEAD, map(row, report.episodes)),
            NOTE,
            *(f"- not measured: {trouble}." for trouble in report.trouble),
            "",
        )
    )


def draw(report: Stalls, path: Path) -> None:
    title = "Puente: round trip before, during and after a stall"
    figure, axes = pages.picture(title, report.conditions, len(SIDES))
    for panel, side in zip(axes, SIDES, strict=True):
        _curves(panel, side, [one for one in report.episodes if one.side == side])
    pages.save(figure, path)


def _curves(axes: Axes, side: Side, episodes: list[Episode]) -> None:
    lengths = sorted({one.stalled_ms for one in episodes})
    colours = dict(zip(lengths, pages.COLOURS * len(lengths), strict=False))
    named: set[int] = set()
    for one in episodes:
        points = [(point.spoken_s, point.trip_ms) for point in one.curve if point.trip_ms is not None]
        axes.plot(
            [spoken for spoken, _ in points],
            [trip for _, trip in points],
            ".",
            markersize=3,
            color=colours[one.stalled_ms],
            label=None if one.stalled_ms in named else f"{one.stalled_ms} ms: {_back(one.stalled_ms, episodes)}",
        )
        axes.axvspan(0, one.stalled_ms / 1000, color=colours[one.stalled_ms], alpha=0.04)
        named.add(one.stalled_ms)
    axes.set_title(f"the {side} stalls", fontsize=11)
    axes.set_yscale("log")
    axes.set_xlabel("frame spoken, seconds since the stall began (shaded: stall)")
    axes.set_ylabel("round trip of that frame, ms")
    axes.grid(visible=True, which="both", alpha=0.25)
    if episodes:
        axes.set_ylim(None, 20 * max(one.worst_ms for one in episodes))  # room for the legend
        axes.legend(loc="upper left", fontsize=9)


def _back(stalled_ms: int, episodes: list[Episode]) -> str:
    times = [one.back_after_s for one in episodes if one.stalled_ms == stalled_ms]
    known = [time for time in times if time is not None]
    return f"back after {max(known):.2f} s" if len(known) == len(times) else "NOT BACK"
