"""The call as one picture: what both sides said, on one axis with what the bridge did about it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")  # draws into a file; a machine without a display has nothing else
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Sheet

from bridge.demo.page import headline
from bridge.demo.sound import Samples, Tracks, envelope
from bridge.demo.story import Figure, Story, figures, said_by_agent, said_by_caller, spreads
from bridge.records import CallRecord
from media.wire import Moment, Spread

SIZE_PX = (1600, 900)
DPI = 100

PLACES = {
    "caller": (0.055, 0.64, 0.92, 0.265),
    "states": (0.055, 0.595, 0.92, 0.035),
    "agent": (0.055, 0.32, 0.92, 0.265),
    "latency": (0.125, 0.05, 0.235, 0.17),
    "figures": (0.475, 0.035, 0.50, 0.215),
}
"Left, bottom, width, height of each part, in shares of the sheet."

INK, FAINT, PAPER = "#1f2933", "#9aa5b1", "#fbfaf7"
CALLER, AGENT, ALARM = "#0b7a75", "#c8553d", "#b00020"
STATES = {"idle": "#e4e7eb", "listening": "#bfe3df", "thinking": "#f4d58d", "speaking": "#f0b8ab"}
PERCENTILES = ("p50", "p95", "p99", "max")
SHADES = ("#0b4f6c", "#2f83a5", "#7fb7cf", "#c9dfe9")

COLUMNS = 1400
"Points of a waveform across the picture: about one per pixel."
LABEL_CHARACTERS = 30
"Width of a transcript's label before it is folded."
LABEL_S = 3.0
"Seconds a label is wide, about: the next one on the same height must begin later."
LABEL_HEIGHTS = (1.08, 1.62)
"Labels stand on two heights in turn when they would meet."


def draw(story: Story, tracks: Tracks, path: Path) -> None:
    """The whole picture into `path` (PNG)."""
    sheet = plt.figure(figsize=(SIZE_PX[0] / DPI, SIZE_PX[1] / DPI), dpi=DPI, facecolor=PAPER)
    places = {name: sheet.add_axes(place) for name, place in PLACES.items()}
    record, zero = story.record, story.zero
    title(sheet, record)
    ends_s = max(tracks.ends_s, record.times.get("ended", zero) - zero)
    draw_track(places["caller"], tracks.caller, tracks, "caller", CALLER)
    draw_track(places["agent"], tracks.agent, tracks, "agent", AGENT)
    draw_words(places["caller"], said_by_caller(story), CALLER, ends_s)
    draw_words(places["agent"], said_by_agent(story), AGENT, ends_s)
    draw_states(places["states"], record.moments, zero, ends_s)
    for place in ("caller", "states", "agent"):
        places[place].set_xlim(-0.3, ends_s + 0.3)
        draw_events(places[place], record, zero)
    name_events(places["caller"], record, zero)
    places["caller"].tick_params(labelbottom=False)
    places["agent"].set_xlabel("seconds since the caller's INVITE", color=INK, labelpad=2)
    draw_latency(places["latency"], [(name, spread) for name, spread, _ in spreads(story) if spread.count])
    draw_figures(places["figures"], figures(story))
    sheet.savefig(path, facecolor=PAPER)
    plt.close(sheet)


def title(sheet: Sheet, record: CallRecord) -> None:
    sheet.text(0.055, 0.955, "A phone call through Puente", fontsize=19, color=INK, weight="bold")
    sheet.text(0.975, 0.957, headline(record), fontsize=12, color=FAINT, ha="right")


def bare(axes: Axes) -> None:
    axes.set_facecolor(PAPER)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(colors=INK, length=0)


def draw_track(axes: Axes, samples: Samples, tracks: Tracks, name: str, colour: str) -> None:
    bare(axes)
    lowest, highest = envelope(samples, COLUMNS)
    at_s = np.linspace(tracks.starts_s, tracks.ends_s, len(lowest))
    loudest = max(float(np.abs(samples).max(initial=0.0)), 0.05)
    axes.fill_between(at_s, lowest / loudest, highest / loudest, color=colour, linewidth=0.4, zorder=3)
    axes.axhline(0, color=FAINT, linewidth=0.5, zorder=1)
    axes.set_ylim(-1.1, 2.15)
    axes.set_yticks([0], [name], fontsize=13, weight="bold")
    axes.get_yticklabels()[0].set_color(colour)


def draw_words(axes: Axes, said: Sequence[tuple[float, str]], colour: str, ends_s: float) -> None:
    """Each thing said, above the sound of it; the last one pushed back inside the picture."""
    free_from = [float("-inf")] * len(LABEL_HEIGHTS)
    for starts_s, text in said:
        height = min(range(len(LABEL_HEIGHTS)), key=lambda n: (free_from[n] > starts_s, n))
        free_from[height] = starts_s + LABEL_S
        at_end = starts_s + LABEL_S > ends_s
        axes.text(
            ends_s if at_end else starts_s,
            LABEL_HEIGHTS[height],
            textwrap.fill(f"“{text}”", LABEL_CHARACTERS),
            fontsize=9.5,
            color=INK,
            va="bottom",
            ha="right" if at_end else "left",
            linespacing=1.15,
            bbox={"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": colour, "linewidth": 0.8},
            zorder=5,
        )


def draw_states(axes: Axes, moments: Sequence[Moment], zero: float, ends_s: float) -> None:
    """The agent's states as a ribbon between the tracks."""
    bare(axes)
    axes.set_ylim(0, 1)
    axes.set_yticks([0.5], ["state"], fontsize=10)
    axes.tick_params(labelbottom=False)
    for starts_s, until_s, name in state_spans(moments, zero, ends_s):
        axes.axvspan(starts_s, until_s, color=STATES.get(name, FAINT), linewidth=0)
        if until_s - starts_s > ends_s / 18:
            axes.text((starts_s + until_s) / 2, 0.47, name, ha="center", va="center", fontsize=9, color=INK)


def state_spans(moments: Sequence[Moment], zero: float, ends_s: float) -> list[tuple[float, float, str]]:
    changes = [(moment.at_s - zero, moment.text) for moment in moments if moment.kind == "state"]
    ends = [at_s for at_s, _ in changes[1:]] + [ends_s]
    return [(round(at_s, 3), round(max(end, at_s), 3), name) for (at_s, name), end in zip(changes, ends, strict=False)]


def events(record: CallRecord, zero: float) -> list[tuple[float, str, str]]:
    """What is marked across both tracks: when, name, colour."""
    marked = [
        (record.times[milestone] - zero, name, FAINT)
        for milestone, name in (("answered", "answered"), ("ended", "hung up"))
        if milestone in record.times
    ]
    for moment in record.moments:
        if moment.kind == "flush":
            marked.append((moment.at_s - zero, "interrupted", ALARM))
        elif moment.kind == "digit":
            marked.append((moment.at_s - zero, f"digit {moment.text}", INK))
        elif moment.kind == "tool":
            marked.append((moment.at_s - zero, f"tool {moment.text}", INK))
    return sorted((round(at_s, 3), name, colour) for at_s, name, colour in marked)


def draw_events(axes: Axes, record: CallRecord, zero: float) -> None:
    for at_s, _, colour in events(record, zero):
        axes.axvline(at_s, color=colour, linewidth=1.1, linestyle=(0, (4, 3)), zorder=4)


def name_events(axes: Axes, record: CallRecord, zero: float) -> None:
    for at_s, name, colour in events(record, zero):
        at_right = name == "hung up"
        axes.text(
            at_s, 2.2, name, fontsize=9.5, color=colour, weight="bold", va="bottom", ha="right" if at_right else "left"
        )


def draw_latency(axes: Axes, rows: Sequence[tuple[str, Spread]]) -> None:
    """Percentiles of each distribution on one logarithmic axis: half a millisecond and three seconds both show."""
    bare(axes)
    axes.text(-0.3, 1.18, "latency, ms", fontsize=11, color=INK, weight="bold", transform=axes.transAxes)
    axes.text(1.03, 1.18, "p50 · p95 · p99", fontsize=9.5, color=FAINT, transform=axes.transAxes)
    axes.set_xscale("log")
    axes.set_xlim(0.02, 10000)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=10)
    axes.set_xticks([0.1, 1, 10, 100, 1000], ["0.1", "1", "10", "100", "1000"], fontsize=9)
    axes.minorticks_off()
    axes.grid(axis="x", color="#e4e7eb", zorder=0)
    for height, (_, spread) in enumerate(rows):
        values = [max(getattr(spread, name), 0.025) for name in PERCENTILES]
        axes.plot([values[0], values[-1]], [height, height], color=SHADES[2], linewidth=2, zorder=2)
        for value, shade, name in zip(values, SHADES, PERCENTILES, strict=True):
            label = name if height == 0 else None
            axes.scatter(value, height, s=70, color=shade, zorder=3, label=label, edgecolor="white", linewidth=0.6)
        axes.text(
            1.03, height, reading(spread), fontsize=9.5, color=INK, va="center", transform=axes.get_yaxis_transform()
        )
    if rows:
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(0.22, 1.06),
            ncols=4,
            fontsize=9,
            frameon=False,
            handletextpad=0,
            columnspacing=0.7,
        )


def reading(spread: Spread) -> str:
    """The numbers beside the dots, no finer than they deserve."""
    digits = 2 if spread.p99 < 100 else 0
    return " · ".join(f"{value:.{digits}f}" for value in (spread.p50, spread.p95, spread.p99))


def draw_figures(axes: Axes, rows: Sequence[Figure]) -> None:
    bare(axes)
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(max(len(rows), 1) - 0.3, -0.7)
    for height, row in enumerate(rows):
        axes.text(0.0, height, row.name, fontsize=10.5, color=FAINT, va="center")
        axes.text(0.15, height, row.value, fontsize=10.5, color=INK, weight="bold", va="center")
        axes.text(0.47, height, row.measured, fontsize=8.5, color=FAINT, va="center")
