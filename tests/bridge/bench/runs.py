"""Made-up runs for the tests of what is written about them."""

from __future__ import annotations

from bridge.bench.figures import figures
from bridge.bench.results import CallOutcome, Load, Machine, Mark, ProcessUse, Results, Role, Step


def call(number: int, marks: tuple[Mark, ...], *, status: int = 200, ended_early: bool = False) -> CallOutcome:
    return CallOutcome(
        call=number,
        status=status,
        set_up_ms=12.5 if status == 200 else None,
        ended_early=ended_early,
        sent=100,
        received=98,
        lost=2,
        duplicate=1,
        reordered=3,
        restarts=0,
        malformed=0,
        marks=marks,
    )


def load(*calls: CallOutcome) -> Load:
    return Load(calls=calls, gap_ms=figures([19.0, 21.0]), send_late_ms=figures([0.25]), skipped=0)


def process(role: Role, cpu_percent: float, growth_kib: int = 0) -> ProcessUse:
    return ProcessUse(role=role, pid=1, cpu_percent=cpu_percent, rss_kib=50_000, rss_growth_kib=growth_kib)


def results(*steps: Step) -> Results:
    machine = Machine(cpu="Chip", cores=2, kernel="6.1", python="3.11.7")
    return Results(
        started_at="2026-01-02 03:04 UTC", platform="vapi", seconds=5.0, workers=-1, machine=machine, steps=steps
    )


BRIDGE_STEP = Step(
    target="bridge",
    calls=2,
    calls_failed=0,
    seconds=5.0,
    round_trip_ms=figures([3.0, 4.0]),
    up_ms=figures([0.5]),
    down_ms=figures([2.5, 3.5]),
    set_up_ms=figures([10.0, 30.0]),
    gap_ms=figures([20.0, 22.0]),
    send_late_ms=figures([0.125]),
    marks_sent=10,
    marks_heard=10,
    packets_sent=500,
    packets_received=500,
    processes=(
        process("control", 0.5),
        process("sip", 0.25),
        process("worker", 3.0, 800),
        process("worker", 1.0, 200),
        process("platform", 0.75),
        process("caller", 1.5),
    ),
    steal_percent=0.5,
)
REFLECTOR_STEP = Step(
    target="reflector",
    calls=2,
    calls_failed=0,
    seconds=5.0,
    round_trip_ms=figures([0.05, 0.07]),
    processes=(process("reflector", 0.4), process("caller", 1.5)),
)
BARESIP_STEP = Step(
    target="baresip",
    calls=2,
    calls_failed=0,
    seconds=5.0,
    round_trip_ms=figures([21.0, 25.0]),
    processes=(process("beside", 1.2), process("caller", 1.5)),
)
