"""The results as Markdown: what was felt, what it cost, and on which machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bridge.bench.figures import Figures
from bridge.bench.results import BRIDGE, Results, Role, Step

NOTHING = "-"

LATENCY_NOTE = (
    "Times in ms. Round trip: caller's packet sent → the marked audio is back in the caller's kernel. "
    "Up: → the platform's callback. Down: the rest. Packet gap: between two packets as they come back (20 is ideal). "
    "A lost packet is missing from the sequence numbers; a lost mark without a lost packet is audio that the bridge "
    "left out on purpose, to shorten a queue."
)
COST_NOTE = "CPU in percent of one core per call that stood, user and system. Memory: growth of all workers per call."


def markdown(results: Results) -> str:
    sections = [
        f"`puente bench latency`, {results.started_at}: {described(results)}.",
        grid(LATENCY_HEAD, map(latency_row, results.steps)),
        LATENCY_NOTE,
        grid(COST_HEAD, map(cost_row, results.steps)),
        COST_NOTE,
        *notes(results.steps),
    ]
    return "\n\n".join(sections) + "\n"


def described(results: Results) -> str:
    """The machine and the settings in one line."""
    machine = results.machine
    steal = max((step.steal_percent for step in results.steps), default=0.0)
    workers = "one worker per core" if results.workers < 0 else f"{results.workers} worker(s)"
    return (
        f"{machine.cpu}, {machine.cores} cores, Linux {machine.kernel}, Python {machine.python}, steal ≤ {steal} %, "
        f"load before {results.load_average:.2f}; "
        f"platform {results.platform}, {workers}, {results.seconds:g} s per step"
    )


LATENCY_HEAD = (
    "target",
    "calls",
    "round trip p50",
    "p95",
    "p99",
    "max",
    "up p50",
    "up p99",
    "down p50",
    "down p99",
    "set-up p50",
    "set-up max",
    "packet gap p99",
    "gap max",
    "packets lost",
    "marks lost",
    "calls failed",
)


def latency_row(step: Step) -> tuple[str, ...]:
    trip, lost = step.round_trip_ms, f"{step.packets_lost} of {step.packets_received + step.packets_lost}"
    return (
        step.target,
        str(step.calls),
        *(_ms(trip, value) for value in (trip.p50, trip.p95, trip.p99, trip.max)),
        _ms(step.up_ms, step.up_ms.p50),
        _ms(step.up_ms, step.up_ms.p99),
        _ms(step.down_ms, step.down_ms.p50),
        _ms(step.down_ms, step.down_ms.p99),
        _ms(step.set_up_ms, step.set_up_ms.p50),
        _ms(step.set_up_ms, step.set_up_ms.max),
        _ms(step.gap_ms, step.gap_ms.p99),
        _ms(step.gap_ms, step.gap_ms.max),
        lost,
        f"{step.marks_lost} of {step.marks_sent}",
        f"**{step.calls_failed}**" if step.calls_failed else "0",
    )


COST_HEAD = (
    "target",
    "calls",
    "bridge",
    "workers",
    "control",
    "sip",
    "busiest worker, whole",
    "platform",
    "caller",
    "reflector",
    "baresip",
    "caller late p99 ms",
    "memory KiB per call",
)


def cost_row(step: Step) -> tuple[str, ...]:
    return (
        step.target,
        str(step.calls),
        _percent(per_call(step, BRIDGE)),
        *(_percent(per_call(step, (role,))) for role in ("worker", "control", "sip")),
        _percent(max((one.cpu_percent for one in step.processes if one.role == "worker"), default=None)),
        *(_percent(per_call(step, (role,))) for role in ("platform", "caller", "reflector", "beside")),
        _ms(step.send_late_ms, step.send_late_ms.p99),
        _kib(step),
    )


def per_call(step: Step, roles: Sequence[Role]) -> float | None:
    """CPU of these roles together, per call that stood. None: no such process, or no such call."""
    of_role = [one.cpu_percent for one in step.processes if one.role in roles]
    stood = step.calls - step.calls_failed
    return sum(of_role) / stood if of_role and stood > 0 else None


def notes(steps: Iterable[Step]) -> list[str]:
    """What a reader must know before believing a row."""
    found = []
    for step in steps:
        where = f"{step.target}, {step.calls} calls"
        if step.trouble:
            found.append(f"- {where}: not measured: {step.trouble}.")
        if step.refusals:
            refused = ", ".join(f"{count} with {status}" for status, count in sorted(step.refusals.items()))
            found.append(f"- {where}: calls refused: {refused}.")
        if step.skipped:
            found.append(f"- {where}: the load caller itself slept and left out {step.skipped} packets.")
        if step.restarts:
            found.append(f"- {where}: {step.restarts} jumps in the sequence numbers of what came back.")
    return ["\n".join(found)] if found else []


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are numbers."""
    lines = [head, ["---" if not number else "---:" for number in range(len(head))], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _ms(of: Figures, value: float) -> str:
    return f"{value:.2f}" if of.count else NOTHING


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def _kib(step: Step) -> str:
    growth = [one.rss_growth_kib for one in step.processes if one.role == "worker"]
    stood = step.calls - step.calls_failed
    return f"{sum(growth) / stood:.0f}" if growth and stood > 0 else NOTHING
