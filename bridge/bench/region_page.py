"""The routes as tables, and each hop's budget as a stacked bar."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes

from bridge.bench import pages
from bridge.bench.figures import Figures
from bridge.bench.region import Region
from bridge.bench.route import HOPS, MODELLED, Passage
from bridge.bench.table import grid

HOP_COLOURS = dict(
    zip(HOPS, ("#bbbbbb", "#9fc5e8", "#1b6ca8", "#c9b6e4", "#6a4c93", "#d1495b", "#6fa8dc", "#e9d8a6"), strict=True)
)
"The bridge's own two stand out."

TOTAL_HEAD = ("route", "p50", "p95", "p99", "max", "promise p50 / p99", "bridge p50", "bridge p99", "kept")
LOSS_HEAD = ("route", "frames", "lost to the bridge", "left out by the bridge", "lost to the ear", "late for the ear")
NOTE = (
    "Times in ms, one frame of audio each, from its first sample spoken to that sample heard; what came back only. "
    "**Measured**: `bridge up` (packet at the bridge's port → platform's socket) and `bridge down` (echo leaves the "
    "platform's socket → its packet in the caller's kernel), with the real bridge under the imagined network. "
    "**Imagined but really waited for**: `trunk in` and `platform line` (there and back; TCP, nothing overtakes). "
    "**Computed**: `packetisation` (one 20 ms frame), `trunk out` and `receiver buffer` (nothing reacts to them). "
    "The platform is an echo: an agent's own thinking time comes on top. Loss is imagined on both trunk ways; what the "
    "bridge conceals is not counted as arrived."
)


def total_row(one: Passage) -> tuple[str, ...]:
    total, promised = one.total_ms, one.route
    promise = f"{promised.promise_p50_ms:g} / {promised.promise_p99_ms:g}" if promised.promise_p99_ms else "-"
    kept = "-"
    if promised.promise_p99_ms:
        kept = "yes" if one.keeps_promise and one.reaches_goal else "p99 only" if one.keeps_promise else "**no**"
    return (
        promised.name,
        *(pages.ms(value) for value in (total.p50, total.p95, total.p99, total.max)),
        promise,
        pages.ms(one.bridge_ms.p50),
        pages.ms(one.bridge_ms.p99),
        kept,
    )


def hop_rows(passages: tuple[Passage, ...]) -> list[tuple[str, ...]]:
    """One row per hop; mean and p99 for each route. Means add up, percentiles do not."""
    rows = []
    for hop in HOPS:
        cells = [one.hops_ms.get(hop, Figures()) for one in passages]
        kind = "computed" if hop in MODELLED else "measured" if hop.startswith("bridge") else "imagined, waited for"
        rows.append((hop, kind, *(pages.ms(value) for cell in cells for value in (cell.mean, cell.p50, cell.p99))))
    return rows


def loss_row(one: Passage) -> tuple[str, ...]:
    return (one.route.name, *map(str, (one.frames, one.lost_in, one.lost_bridge, one.lost_out, one.too_late)))


def markdown(report: Region) -> str:
    hop_head = ["hop", "how"]
    for one in report.passages:
        hop_head += [f"{one.route.name} mean", "p50", "p99"]
    return "\n\n".join(
        (
            f"`puente bench region`, {report.conditions.started_at}: {report.conditions}; platform {report.platform}, "
            f"{report.seconds:g} s per route.",
            grid(TOTAL_HEAD, map(total_row, report.passages)),
            grid(hop_head, hop_rows(report.passages)),
            grid(LOSS_HEAD, map(loss_row, report.passages)),
            NOTE,
            *(f"- not measured: {trouble}." for trouble in report.trouble),
            "",
        )
    )


def draw(report: Region, path: Path) -> None:
    title = "Puente: mouth → platform → ear, hop by hop"
    figure, (left, right) = pages.picture(title, report.conditions, 2, (3, 2))
    passages = [one for one in report.passages if one.total_ms.count]
    _bars(left, passages)
    _curves(right, passages)
    pages.save(figure, path)


def _bars(axes: Axes, passages: list[Passage]) -> None:
    for at, one in enumerate(passages):
        start = 0.0
        for hop in HOPS:
            mean = one.hops_ms[hop].mean
            hatch = None if hop.startswith("bridge") else "//" if hop in MODELLED else None
            axes.barh(
                at,
                mean,
                0.5,
                left=start,
                color=HOP_COLOURS[hop],
                hatch=hatch,
                edgecolor="white",
                label=None if at else hop,
            )
            if mean >= 4:
                axes.annotate(f"{mean:.0f}", (start + mean / 2, at), ha="center", va="center", fontsize=9)
            start += mean
        total = one.total_ms
        in_words = f"p50 {total.p50:.0f}, p95 {total.p95:.0f}, p99 {total.p99:.0f}, max {total.max:.0f} ms"
        axes.annotate(in_words, (2, at + 0.34), va="center", fontsize=10)
    for one in passages:
        if one.route.promise_p99_ms:
            axes.axvline(one.route.promise_p99_ms, color="black", linestyle="--", linewidth=1)
            axes.axvline(one.route.promise_p50_ms, color="black", linestyle=":", linewidth=1)
    axes.set_yticks(range(len(passages)), [one.route.name for one in passages])
    axes.set_ylim(len(passages) - 0.2, -0.6)
    axes.set_xlabel("mean of each hop, ms (hatched: computed; dotted and dashed lines: promise for p50 and p99)")
    if passages:
        axes.legend(loc="lower center", ncols=4, fontsize=8)


def _curves(axes: Axes, passages: list[Passage]) -> None:
    for colour, one in zip(pages.COLOURS, passages, strict=False):
        axes.plot(one.total_ms.percentiles, range(101), color=colour, linewidth=2, label=one.route.name)
        axes.plot(one.bridge_ms.percentiles, range(101), color=colour, linestyle=":", label=f"{one.route.name}: bridge")
        if one.route.promise_p99_ms:
            axes.axvline(one.route.promise_p99_ms, color="black", linestyle="--", linewidth=1)
    axes.set_xlim(0, None)
    axes.set_xlabel("ms (solid: mouth to ear, dotted: the bridge's share)")
    axes.set_ylabel("percent of frames that were faster")
    axes.grid(visible=True, alpha=0.25)
    if passages:
        axes.legend(loc="center", fontsize=8)
