"""The failures of partners as a table, and each as a timeline: states of the trunks, calls as dots."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bridge.bench import pages
from bridge.bench.failover.cases import BACKUP, PRIMARY
from bridge.bench.failover.house import trunk_name
from bridge.bench.failover.report import GOAL_S, CaseReport
from bridge.bench.table import grid
from bridge.bench.trunks import Trunks

HEAD = (
    "the primary",
    "out over the backup after s",
    "in over the backup after s",
    "slowest set-up s",
    "new calls lost",
    "standing calls that survived",
    "longest RTP gap ms",
    "out over the primary again after s",
    "in again after s",
    "switches",
)
NOTE = (
    "Seconds from the failure to the first call that was placed after it and answered over another machine, detection "
    f"included (goal {GOAL_S:g}); slowest set-up: of any outbound call placed from then on. A call is lost when nobody "
    "ever answered it. Standing calls survive when audio still flows both ways at the end; the gap is between two of "
    "the bridge's packets. Again: from the repair to the first of the calls that all went over the primary. A switch "
    "is a change of machine between two outbound calls, those placed during a trial apart: two are ideal."
)
STATES = {"up": "#cfe8d5", "half-open": "#f6e3b4", "down": "#f3c6c6"}
HOME, ELSEWHERE, LOST = pages.COLOURS[0], pages.COLOURS[2], pages.COLOURS[3]
LANES = ("in", "out", trunk_name("", BACKUP)[1:], trunk_name("", PRIMARY)[1:])
"From the bottom up."


def row(one: CaseReport) -> tuple[str, ...]:
    if one.trouble:
        return (one.name, *("-" for _ in HEAD[1:]))
    stood = len(one.standing)
    return (
        one.name,
        _goal(one.outbound_after_s),
        _goal(one.inbound_after_s),
        pages.ms(one.slowest_s),
        f"{f'**{one.lost}**' if one.lost else 0} of {len(one.calls)}",
        f"{one.survived} of {stood}" if one.survived == stood else f"**{one.survived} of {stood}**",
        pages.ms(one.longest_gap_ms, 0),
        "**never**" if one.outbound_back_s is None else f"{one.outbound_back_s:.1f}",
        "**never**" if one.inbound_back_s is None else f"{one.inbound_back_s:.1f}",
        str(one.switches),
    )


def _goal(after_s: float | None) -> str:
    if after_s is None:
        return "**never**"
    return f"{after_s:.1f}" if after_s <= GOAL_S else f"**{after_s:.1f}**"


def markdown(report: Trunks) -> str:
    how = "all cases at the same time, each in a region of its own" if report.together else "one case after the other"
    return "\n\n".join(
        (
            f"`puente bench trunks`, {report.conditions.started_at}: {report.conditions}; {how}; "
            f"{report.standing} calls stand, {report.calls_per_s:g} new ones per second, repaired after "
            f"{report.outage_s:g} s.",
            grid(HEAD, map(row, report.cases)),
            NOTE,
            "\n".join(f"- **{one.name}**: {one.help}." for one in report.cases),
            *(f"- {one.name}: {sentence}." for one in report.cases for sentence in one.missed),
            *(f"- {one.name}: not measured: {one.trouble}." for one in report.cases if one.trouble),
            "",
        )
    )


# --- the picture ------------------------------------------------------------------------------------------------------


def draw(report: Trunks, path: Path) -> None:
    cases = [one for one in report.cases if not one.trouble]
    figure = Figure(figsize=(13, 1.0 + 1.9 * max(1, len(cases))), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle("Puente: partners that fail, and what becomes of the calls", fontsize=14)
    conditions = report.conditions
    figure.supxlabel(f"seconds since the failure\n{conditions.started_at}: {conditions}", fontsize=8, color="#555555")
    panels = figure.subplots(max(1, len(cases)), 1, squeeze=False)[:, 0]
    for panel, one in zip(panels, cases, strict=False):
        _timeline(panel, one)
    figure.legend(handles=_legend(), loc="outside right upper", fontsize=8)
    pages.save(figure, path)


def _timeline(axes: Axes, one: CaseReport) -> None:
    for lane, trunk in ((3, trunk_name(one.name, PRIMARY)), (2, trunk_name(one.name, BACKUP))):
        _states(axes, one, lane, trunk)
    for call in one.calls:
        home = call.via in (PRIMARY, one.home)
        colour = LOST if call.answered_s is None else HOME if home else ELSEWHERE
        lane = LANES.index("out" if call.direction == "outbound" else "in")
        axes.plot(call.placed_s, lane, "x" if call.answered_s is None else "o", color=colour, markersize=4)
        if call.answered_s is not None and call.answered_s - call.placed_s > 1:
            axes.plot([call.placed_s, call.answered_s], [lane, lane], color=colour, linewidth=1, alpha=0.5)
    axes.axvline(0, color="black", linewidth=1)
    if one.repaired_s:
        axes.axvline(one.repaired_s, color="black", linewidth=1, linestyle=":")
    axes.set_yticks(range(len(LANES)), LANES, fontsize=8)
    axes.set_ylim(-0.6, len(LANES) - 0.4)
    axes.set_title(f"{one.name}: {one.help}", fontsize=9, loc="left")
    axes.tick_params(axis="x", labelsize=8)


def _states(axes: Axes, one: CaseReport, lane: int, trunk: str) -> None:
    seen = [state for state in one.states if state.trunk == trunk]
    for state, end_s in zip(seen, [*(later.at_s for later in seen[1:]), one.until_s], strict=True):
        width_s = max(0.0, end_s - state.at_s)
        axes.barh(lane, width_s, left=state.at_s, height=0.8, color=STATES.get(state.state, pages.GREY))


def _legend() -> list[Patch | Line2D]:
    dots = (("over the primary", HOME, "o"), ("over the backup", ELSEWHERE, "o"), ("lost", LOST, "x"))
    return [
        *(Patch(color=colour, label=f"trunk {state}") for state, colour in STATES.items()),
        *(Line2D([], [], color=colour, marker=marker, linestyle="", label=label) for label, colour, marker in dots),
        Line2D([], [], color="black", linewidth=1, label="failure"),
        Line2D([], [], color="black", linewidth=1, linestyle=":", label="repair"),
    ]
