"""Barge-in as a table and as curves."""

from __future__ import annotations

from pathlib import Path

from bridge.bench import pages
from bridge.bench.bargein import BargeIn, BargeIns
from bridge.bench.table import grid

HEAD = (
    "calls",
    "interruptions",
    "silent after p50",
    "p95",
    "p99",
    "max",
    "over the goal",
    "never silent",
    "old audio after silence",
    "busiest worker, whole",
)
NOTE = (
    "Times in ms, from `playback_clear_buffer` being handed to the platform's socket until the first silent packet is "
    "in the caller's kernel, with up to 30 s of speech waiting in the bridge. Interruptions fall anywhere into the "
    "20 ms between two packets: the ideal is an even spread from 0 to 20 ms plus the way over the sockets."
)


def row(one: BargeIn) -> tuple[str, ...]:
    wait = one.silent_after_ms
    busiest = max((process.cpu_percent for process in one.processes if process.role == "worker"), default=None)
    return (
        str(one.calls),
        str(one.interruptions),
        *(pages.ms(value if wait.count else None) for value in (wait.p50, wait.p95, wait.p99, wait.max)),
        str(one.over_goal),
        f"**{one.never_silent}**" if one.never_silent else "0",
        f"**{one.broke_silence}**" if one.broke_silence else "0",
        pages.ms(busiest, 0),
    )


def markdown(report: BargeIns) -> str:
    goal = f"goal {report.goal_ms:g} ms + wire ({report.wire_ms:g} ms)"
    return "\n\n".join(
        (
            f"`puente bench bargein`, {report.conditions.started_at}: {report.conditions}; "
            f"{report.seconds:g} s per row; {goal}.",
            grid(HEAD, map(row, report.rows)),
            NOTE,
            *(f"- {one.calls} calls: not measured: {one.trouble}." for one in report.rows if one.trouble),
            *(f"- {one.calls} calls: {one.calls_failed} failed." for one in report.rows if one.calls_failed),
            "",
        )
    )


def draw(report: BargeIns, path: Path) -> None:
    title = "Puente: from the platform's interruption to silence at the caller"
    figure, (axes,) = pages.picture(title, report.conditions, 1)
    measured = [one for one in report.rows if one.silent_after_ms.count]
    for colour, one in zip(pages.COLOURS * len(measured), measured, strict=False):
        wait = one.silent_after_ms
        label = f"{one.calls} at once, {one.interruptions} interruptions: p50 {wait.p50:.1f}, max {wait.max:.1f} ms"
        axes.plot(wait.percentiles, range(101), color=colour, linewidth=2, label=label)
    axes.plot(
        [0, report.goal_ms], [0, 100], color=pages.GREY, linestyle="--", label="ideal: evenly within one packet time"
    )
    axes.axvline(
        report.goal_ms, color="black", linestyle="--", linewidth=1, label=f"goal: {report.goal_ms:g} ms + wire"
    )
    axes.set_xlim(0, None)
    axes.set_xlabel("ms from the clear message to the first silent packet")
    axes.set_ylabel("percent of interruptions that were faster")
    axes.grid(visible=True, alpha=0.25)
    axes.legend(fontsize=9)
    pages.save(figure, path)
