"""Made-up cases for the tests of what is made of them."""

from __future__ import annotations

from bridge.bench.failover.report import CallSeen, CaseReport, StandingSeen, StateSeen


def call(
    placed_s: float, via: str = "backup", took_s: float | None = 0.2, direction: str = "outbound", why: str = ""
) -> CallSeen:
    answered_s = None if took_s is None else placed_s + took_s
    return CallSeen(
        direction=direction, placed_s=placed_s, answered_s=answered_s, via=via, tried=("primary", via), why=why
    )


def stood(*, survived: bool = True, gap_ms: float = 25.0) -> StandingSeen:
    return StandingSeen(direction="inbound", survived=survived, longest_gap_ms=gap_ms)


GOOD = (
    call(-1, "primary"),
    call(0, "backup", 4.1),
    call(2, "backup", 2.5),
    call(3, "backup"),
    call(11, "backup"),
    call(12, "primary"),
    call(13, "primary"),
    call(0.5, "backup", 1.7, "inbound"),
    call(1.0, "backup", 0.1, "inbound"),
    call(10.5, "primary", 0.1, "inbound"),
)


def seen(
    *calls: CallSeen, standing: tuple[StandingSeen, ...] = (stood(), stood(gap_ms=41)), home: str = "primary"
) -> CaseReport:
    return CaseReport(
        name="killed",
        help="it is dead",
        home=home,
        repaired_s=10.0 if home == "primary" else 0.0,
        until_s=15.0,
        calls=calls or GOOD,
        standing=standing,
        states=(
            StateSeen(at_s=-3.0, trunk="killed-primary", state="up", registration="registered", because=""),
            StateSeen(at_s=2.5, trunk="killed-primary", state="down", registration="registered", because="dead"),
            StateSeen(at_s=-3.0, trunk="killed-backup", state="up", registration="registered", because=""),
        ),
    )
