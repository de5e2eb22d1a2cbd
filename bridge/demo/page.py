"""The page a call ends with: who said what to whom and when, and what it cost. Made for one screen of a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bridge.demo.story import Figure, Line, Party, Story, figures, flow, spreads
from bridge.records import CallRecord
from media.wire import Spread

WIDTH = 118
"Columns the page is made for. A narrower terminal folds it."

TIME_WIDTH = 10
LIFELINES: dict[Party, int] = {"caller": 4, "bridge": 52, "platform": 100}
"Column of each party's lifeline, right of the time."
LADDER_WIDTH = 105

COLOURS = {"sip": "cyan", "platform": "magenta", "speech": "green", "turn": "bold yellow", "end": "bold red"}


@dataclass(frozen=True, slots=True)
class File:
    """Something that lies on the disk afterwards."""

    what: str
    path: str


def report(story: Story, files: Sequence[File]) -> RenderableType:
    """The whole page."""
    return Panel(
        Group(
            ladder(flow(story)),
            Text(),
            latency_table(spreads(story)),
            Text(),
            figure_table(figures(story)),
            Text(),
            *(Text.assemble((f"{file.what:<9} ", "dim"), file.path) for file in files),
        ),
        title=headline(story.record),
        border_style="green" if story.record.blame == "success" else "red",
        width=WIDTH,
    )


def headline(record: CallRecord) -> str:
    codec = f" · {record.codec}" if record.codec else ""
    return (
        f"call {record.call} · {record.dialled} → {record.platform or 'no platform'}{codec} · {record.duration_s:.1f} s"
    )


def ladder(lines: Sequence[Line]) -> Text:
    """Three lifelines with an arrow, or a note, per line."""
    names = list(" " * LADDER_WIDTH)
    for party, column in LIFELINES.items():
        start = max(0, min(column - len(party) // 2, LADDER_WIDTH - len(party)))
        names[start : start + len(party)] = party
    page = Text(" " * TIME_WIDTH + "".join(names).rstrip() + "\n", style="bold", no_wrap=True)
    for number, line in enumerate(lines):
        page.append(f"{stamp(line.at_s):>{TIME_WIDTH - 1}} ", style="dim")
        page.append(rung(line), style=COLOURS[line.kind])
        if number < len(lines) - 1:
            page.append("\n")
    return page


def stamp(at_s: float) -> str:
    """Milliseconds while they matter, seconds afterwards."""
    return f"{at_s * 1000:.1f} ms" if at_s < 1 else f"{at_s:.2f} s"


def rung(line: Line) -> str:
    """`│──── text ────►│` between two lifelines, the third one standing beside it or crossed."""
    row = list(" " * LADDER_WIDTH)
    for column in LIFELINES.values():
        row[column] = "│"
    start, end = LIFELINES[line.source], LIFELINES[line.target]
    if start == end:
        note = fit(f" {line.text}", LADDER_WIDTH - start - 1)
        row[start + 1 : start + 1 + len(note)] = note
        return "".join(row).rstrip()
    left, right = min(start, end), max(start, end)
    label = fit(f" {line.text} ", right - left - 7)
    shaft = label.center(right - left - 2, "─")
    row[left + 1 : right] = f"{shaft}►" if start < end else f"◄{shaft}"
    return "".join(row).rstrip()


def fit(text: str, width: int) -> str:
    """Shortened with an ellipsis that keeps the closing quotation mark and blank."""
    if len(text) <= width:
        return text
    tail = "…” " if text.rstrip().endswith("”") else "… "
    return text[: width - len(tail)].rstrip() + tail


def latency_table(rows: Sequence[tuple[str, Spread, str]]) -> Table:
    table = Table(box=None, pad_edge=False, width=WIDTH - 4)
    table.add_column("latency, ms", style="bold", no_wrap=True)
    for name in ("p50", "p95", "p99", "max"):
        table.add_column(name, justify="right", style="cyan", min_width=7)
    table.add_column("frames", justify="right", min_width=7)
    table.add_column("what was measured", style="dim", no_wrap=True)
    for name, spread, measured in rows:
        if spread.count:
            values = [f"{value:.2f}" for value in (spread.p50, spread.p95, spread.p99, spread.max)]
            table.add_row(name, *values, str(spread.count), measured)
    return table


def figure_table(rows: Sequence[Figure]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, width=WIDTH - 4)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(style="dim", no_wrap=True)
    for row in rows:
        table.add_row(row.name, row.value, row.measured)
    return table


def verdict(story: Story) -> str:
    """Empty when the call went as it should; else what is wrong with it, in one sentence."""
    record, media = story.record, story.media
    if record.blame != "success":
        return f"the call ended with {record.reason} ({record.blame}) {record.detail}".rstrip()
    if "answered" not in record.times:
        return "the call was never answered"
    if not media.near.received or not media.far.played_ms:
        return f"one side was silent: {media.near.received} packets in, {media.far.played_ms} ms of agent played"
    return ""
