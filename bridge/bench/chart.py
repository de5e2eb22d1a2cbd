"""The results as one picture: how long, as curves; how dear, as bars."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from bridge.bench.results import Results, Role, Step
from bridge.bench.table import described, per_call

CURVES = ("#1b6ca8", "#2a9d8f", "#e9a23b", "#d1495b", "#6a4c93", "#555555")
"One colour per number of calls, in turn."
BARS: tuple[tuple[Role, str], ...] = (
    ("worker", "#1b6ca8"),
    ("control", "#2a9d8f"),
    ("sip", "#e9a23b"),
    ("other", "#999999"),
)
BESIDE: tuple[tuple[Role, str], ...] = (("platform", "#c9b6e4"), ("caller", "#d9d9d9"))
"Not the bridge's: drawn next to it, paler, to show that the tools cost less than what they measure."


def draw(results: Results, path: Path) -> None:
    figure = Figure(figsize=(13, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    measured = [step for step in results.steps if step.round_trip_ms.count]
    _curves(left, measured)
    _bars(right, [step for step in measured if step.target == "bridge"])
    _baresip(right, measured)
    figure.suptitle("Puente: round trip through the bridge, and what a call costs", fontsize=14)
    figure.supxlabel(described(results), fontsize=8, color="#555555")
    figure.savefig(path, dpi=130)


def _curves(axes: Axes, steps: list[Step]) -> None:
    bridge = [step for step in steps if step.target == "bridge"]
    for colour, step in zip(CURVES * len(bridge), bridge, strict=False):
        trip = step.round_trip_ms
        label = f"{step.calls} at once: p50 {trip.p50:.1f}, p99 {trip.p99:.1f} ms"
        axes.plot(trip.percentiles, range(101), color=colour, label=label, linewidth=2)
        axes.plot(step.up_ms.percentiles, range(len(step.up_ms.percentiles)), color=colour, linewidth=1, linestyle=":")
    floor = [step for step in steps if step.target == "reflector"]
    for step in floor[-1:]:
        label = f"no bridge, {step.calls} at once: p50 {step.round_trip_ms.p50:.2f} ms"
        axes.plot(step.round_trip_ms.percentiles, range(101), color="#999999", linestyle="--", label=label)
    for step in [step for step in steps if step.target == "baresip"][-1:]:
        trip, label = step.round_trip_ms, f"baresip's echo, {step.calls} at once"
        label += f": p50 {trip.p50:.1f}, p99 {trip.p99:.1f} ms"
        axes.plot(trip.percentiles, range(101), color="black", linestyle="-.", label=label)
    axes.set_xscale("log")
    axes.set_xlim(0.01, None)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("ms (solid: round trip, dotted: caller → platform)")
    axes.set_ylabel("percent of marks that were faster")
    axes.set_yticks([0, 25, 50, 75, 95, 100])
    axes.grid(visible=True, which="both", alpha=0.25)
    if steps:
        axes.legend(loc="upper left", fontsize=8)


def _bars(axes: Axes, steps: list[Step]) -> None:
    for at, step in enumerate(steps):
        for where, parts in ((at - 0.2, BARS), (at + 0.2, BESIDE)):
            height = 0.0
            for role, colour in parts:
                cost = per_call(step, (role,)) or 0.0
                axes.bar(where, cost, 0.36, bottom=height, color=colour, label=role if not at else None)
                height += cost
            axes.annotate(f"{height:.2f}", (where, height), ha="center", va="bottom", fontsize=8)
    axes.set_xticks(range(len(steps)), [str(step.calls) for step in steps])
    axes.set_xlabel("calls at once (left bar: bridge, right bar: the tools)")
    axes.set_ylabel("% of one core per call")
    axes.margins(y=0.1)
    if steps:
        axes.legend(fontsize=8)


def _baresip(axes: Axes, steps: list[Step]) -> None:
    """A diamond on each bar of the bridge's."""
    places = {step.calls: at for at, step in enumerate(step for step in steps if step.target == "bridge")}
    costs = [(places[step.calls], per_call(step, ("beside",))) for step in steps if step.calls in places]
    known = [(at - 0.2, cost) for at, cost in costs if cost is not None]
    if known:
        axes.plot(*zip(*known, strict=True), "D", color="black", label="baresip's echo")
        axes.legend(fontsize=8)
