"""The capacity as a table, a verdict in sentences, and the curve."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes

from bridge.bench import pages
from bridge.bench.capacity import Capacity, broken, calls_of, harness_share, loss_percent, others_percent
from bridge.bench.results import BRIDGE, Role, Step
from bridge.bench.table import cost_row, grid, per_call

HEAD = (
    "calls",
    "round trip p50",
    "p95",
    "p99",
    "max",
    "loss %",
    "calls failed",
    "bridge CPU per call",
    "busiest worker, whole",
    "platform, whole",
    "caller, whole",
    "caller late p99 ms",
    "all cores busy %",
    "others, % of a core",
    "memory KiB per call",
    "limit hit",
)
NOTE = (
    "Times in ms. CPU in percent of one core, user and system; `whole` is one process with all calls. "
    "Each tool is one process and can use one core at most. The tools run on the same cores as the bridge."
)


def row(one: Step, cores: int) -> tuple[str, ...]:
    trip, measured = one.round_trip_ms, bool(one.round_trip_ms.count)
    cost = per_call(one, BRIDGE)
    return (
        str(one.calls),
        *(pages.ms(value if measured else None) for value in (trip.p50, trip.p95, trip.p99, trip.max)),
        f"{loss_percent(one):.3f}" if measured else "-",
        str(one.calls_failed),
        pages.ms(cost, 2),
        *(pages.ms(_whole(one, role), 0) for role in ("worker", "platform", "caller")),
        pages.ms(one.send_late_ms.p99 if one.send_late_ms.count else None, 2),
        f"{one.busy_percent:.0f}" if measured else "-",
        f"{others_percent(one, cores):.0f}" if measured else "-",
        cost_row(one)[-1],
        "not measured" if one.trouble else broken(one),
    )


def _whole(one: Step, role: Role) -> float | None:
    return max((process.cpu_percent for process in one.processes if process.role == role), default=None)


def verdict(report: Capacity) -> str:
    """How many, what stopped it, and whose limit it was."""
    good, bad = report.last_good, report.first_bad
    if good is None:
        return "**Not one step was within the limits.**"
    cores = report.conditions.machine.cores
    said = f"**{good.calls} calls at once** were good on {cores} cores (p99 {good.round_trip_ms.p99:.1f} ms)."
    if report.trouble:
        said += f" The search ended early: {report.trouble}."
    if bad is None:
        return f"{said} No limit was reached."
    said += f" At {bad.calls}: {_how(bad)}."
    share = harness_share(bad, cores)
    if share:
        return f"{said} The harness had its part: {'; '.join(share)}. The bridge alone would carry more."
    return f"{said} The tools were far from their own limits: it is the bridge's."


def _how(bad: Step) -> str:
    return {
        "calls failed": f"{bad.calls_failed} calls failed",
        "packets lost": f"{loss_percent(bad):.2f} % of the packets lost",
        "round trip p99": f"round trip p99 {bad.round_trip_ms.p99:.1f} ms",
    }[broken(bad)]


def markdown(report: Capacity) -> str:
    limits = f"p99 ≤ {report.limit_p99_ms:g} ms, loss ≤ {report.limit_loss_percent:g} %"
    return "\n\n".join(
        (
            f"`puente bench capacity`, {report.conditions.started_at}: {report.conditions}; "
            f"platform {report.platform}, {report.seconds:g} s per step; limits: {limits}.",
            verdict(report),
            grid(HEAD, (row(one, report.conditions.machine.cores) for one in sorted(report.steps, key=calls_of))),
            NOTE + "\n",
        )
    )


def draw(report: Capacity, path: Path) -> None:
    figure, (left, right) = pages.picture("Puente: calls added until it breaks", report.conditions, 2, (3, 2))
    steps = sorted((one for one in report.steps if one.round_trip_ms.count), key=calls_of)
    if steps:
        _delay(left, report, steps)
        _cost(right, steps)
    pages.save(figure, path)


def _delay(axes: Axes, report: Capacity, steps: list[Step]) -> None:
    calls = [one.calls for one in steps]
    for name, colour in (("p50", pages.COLOURS[0]), ("p95", pages.COLOURS[1]), ("p99", pages.COLOURS[3])):
        axes.plot(calls, [getattr(one.round_trip_ms, name) for one in steps], "o-", color=colour, label=name)
    axes.axhline(report.limit_p99_ms, color=pages.GREY, linestyle="--", label=f"limit of p99: {report.limit_p99_ms:g}")
    losing = [one for one in steps if broken(one) in {"packets lost", "calls failed"}]
    axes.plot(
        [one.calls for one in losing],
        [one.round_trip_ms.p99 for one in losing],
        "x",
        color="black",
        markersize=12,
        label="loses packets or calls" if losing else None,
    )
    if report.last_good is not None:
        axes.axvline(
            report.last_good.calls, color=pages.COLOURS[1], linestyle=":", label=f"{report.last_good.calls} good"
        )
    axes.set_yscale("log")
    axes.set_xlabel("calls at once")
    axes.set_ylabel("round trip, ms")
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.legend(fontsize=8)


def _cost(axes: Axes, steps: list[Step]) -> None:
    calls = [one.calls for one in steps]
    parts: tuple[tuple[str, tuple[Role, ...]], ...] = (
        ("bridge, all processes", BRIDGE),
        ("platform", ("platform",)),
        ("load caller", ("caller",)),
    )
    for (label, roles), colour in zip(parts, (pages.COLOURS[0], "#c9b6e4", pages.GREY), strict=True):
        used = [sum(process.cpu_percent for process in one.processes if process.role in roles) for one in steps]
        axes.plot(calls, used, "o-", color=colour, label=label)
    axes.plot(calls, [one.busy_percent for one in steps], ":", color="black", label="all cores, % of all of them")
    axes.set_xlabel("calls at once")
    axes.set_ylabel("% of one core")
    axes.grid(visible=True, alpha=0.25)
    axes.legend(fontsize=8)
