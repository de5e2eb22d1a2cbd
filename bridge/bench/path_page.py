"""What a call costs with one part exchanged at a time, as a table and as bars."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from statistics import median

from bridge.bench import pages
from bridge.bench.path import FiguresRow, PathReport, VariantRow
from bridge.bench.table import grid

HEAD = ("variant", "% of a core per call", "least", "most", "us per frame", "to the product's", "frames back")
NOTE = (
    "Process time of the media worker alone, user and system, per call that talks all the time: median, least and most "
    "of the rounds. The variants take turns in each round. Us per frame: the same for 20 ms of one call, that is one "
    "packet up, one frame down, one tick, with all their system calls. Frames back: of those that the callers sent, "
    "how many the echo brought; silence that stands in counts."
)

FIGURES_HEAD = ("live figures in", "us per frame", "least", "most", "of a frame's us", "%")
FIGURES_NOTE = (
    "Live figures: of the calls in one worker every second one keeps none. Us per frame: by how much the two halves "
    "differ in CPU time of the callbacks that carry audio, the longest 2 % of them left out, and what sorting notes "
    "every few seconds takes. In every second round the halves change places; least and most of the pairs of rounds."
)


def cells(row: VariantRow, product: VariantRow) -> tuple[str, ...]:
    if row.trouble:
        return (row.name, f"NOT MEASURED: {row.trouble}", *["-"] * (len(HEAD) - 2))
    ratio = row.typical_percent / product.typical_percent if product.typical_percent else 0.0
    return (
        row.name,
        f"{row.typical_percent:.2f}",
        f"{min(row.cpu_percent):.2f}",
        f"{max(row.cpu_percent):.2f}",
        f"{row.frame_us:.0f}",
        f"{ratio:.2f}",
        f"{row.frames_back} of {row.frames_sent}",
    )


def figures_cells(row: FiguresRow) -> tuple[str, ...]:
    if row.trouble:
        return (row.name, f"NOT MEASURED: {row.trouble}", *["-"] * (len(FIGURES_HEAD) - 2))
    return (
        row.name,
        f"{row.typical_us:.2f}",
        f"{min(row.pairs_us):.2f}",
        f"{max(row.pairs_us):.2f}",
        f"{median(row.frame_us):.0f}",
        f"{row.share_percent:.1f}",
    )


def markdown(report: PathReport) -> str:
    product = report.variants[0]
    return "\n\n".join(
        (
            f"`puente bench path`, {report.conditions.started_at}: {report.conditions}; {report.calls} calls, "
            f"{len(product.cpu_percent)} rounds of {report.seconds:g} s.",
            grid(HEAD, [cells(row, product) for row in report.variants]),
            NOTE,
            grid(FIGURES_HEAD, [figures_cells(row) for row in report.figures]),
            FIGURES_NOTE + "\n",
        )
    )


def draw(report: PathReport, path: Path) -> None:
    figure, (axes,) = pages.picture("Puente: what a call costs", report.conditions, 1)
    rows = [row for row in report.variants if row.cpu_percent]
    for at, row in enumerate(rows):
        axes.barh(at, row.typical_percent, 0.6, color=pages.COLOURS[0] if at == 0 else pages.COLOURS[2])
        axes.plot(_spread(row.cpu_percent), (at, at), color="#333333", linewidth=1)
    axes.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(f"% of a core per call, {report.calls} calls (line: least to most of the rounds)")
    axes.grid(visible=True, axis="x", alpha=0.25)
    pages.save(figure, path)


def _spread(values: Iterable[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return ordered[0], ordered[-1]
