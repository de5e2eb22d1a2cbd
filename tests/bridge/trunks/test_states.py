"""The trunks as they are shown and counted."""

from __future__ import annotations

import msgspec
from prometheus_client import CollectorRegistry

from bridge.calls.trunks import TrunkOutcome
from bridge.config import TrunkSection
from bridge.trunks.figures import TrunkFigures
from bridge.trunks.lookup import Answer, Found
from bridge.trunks.partner import Partner
from bridge.trunks.states import TargetState, TrunkState, state_of
from sip import messages as sip
from sip.options import Target

A = Target("192.0.2.1", 5060, "udp", "p.example")


def partner() -> Partner:
    section = TrunkSection(
        name="p",
        host="p.example",
        region="latam",
        countries=("MX",),
        prefixes=("+52",),
        order=2,
        price_per_minute="0.0080",
        max_calls=5,
    )
    one = Partner(section, 0.0, roll=lambda: 0.5)
    one.on_answer(Answer((Found(A, 10, 60),), 60.0), 0.0)
    [probe] = one.due_probes(0.0)
    one.on_probed(sip.Probed(trunk="p", target=A, number=probe.number, status=404, took_ms=12.345, answered=True), 0.1)
    for outcome, delay_ms in (("answered", 800.0), ("busy", 400.0)):
        one.on_outcome(TrunkOutcome(trunk="p", outcome=outcome, post_dial_delay_ms=delay_ms), 1.0)  # type: ignore[arg-type]
    one.limiter.take(1.0)
    return one


EXPECTED = TrunkState(
    name="p",
    kind="peer",
    region="latam",
    countries=("MX",),
    prefixes=("+52",),
    role="primary",
    order=2,
    state="up",
    because="",
    trial_in_s=None,
    openings=0,
    registration="",
    registration_detail="",
    targets=(
        TargetState(
            address="192.0.2.1",
            port=5060,
            transport="udp",
            name="p.example",
            priority=10,
            weight=60,
            round_trip_ms=12.35,
            status=404,
        ),
    ),
    look_up="p.example",
    look_up_error="",
    calls=1,
    max_calls=5,
    refused=0,
    recent_calls=2,
    answer_ratio=0.5,
    failure_ratio=0.0,
    post_dial_delay_ms=600.0,
    price_per_minute="0.0080",
    currency="USD",
    billing="60/60",
    outcomes={"answered": 1, "busy": 1},
)


def test_one_that_is_well() -> None:
    state = state_of(partner(), 2.0)
    assert state == msgspec.structs.replace(
        EXPECTED, targets=(msgspec.structs.replace(EXPECTED.targets[0], round_trip_ms=state.targets[0].round_trip_ms),)
    )
    assert state.targets[0].round_trip_ms in (12.34, 12.35)  # of a float
    assert msgspec.json.decode(msgspec.json.encode(state), type=TrunkState) == state


def test_one_that_is_down_says_why_and_when() -> None:
    one = partner()
    for _ in range(3):
        outcome = TrunkOutcome(trunk="p", outcome="failed", counts_against_trunk=True, detail="503 Overloaded")
        one.on_outcome(outcome, 10.0)
    state = state_of(one, 12.0)
    assert (state.state, state.trial_in_s, state.openings) == ("down", 3.0, 1)
    assert state.because == "3 calls in a row failed, the last one: 503 Overloaded"


def test_one_that_is_not_found_is_down_too() -> None:
    one = Partner(TrunkSection(name="p", host="p.example"), 0.0)
    assert (state_of(one, 0.0).state, state_of(one, 0.0).because) == ("down", "p.example is being looked up")
    one.on_look_up_failed("p.example: no answer", 1.0)
    assert state_of(one, 1.0).because == "p.example: no answer"
    one.on_answer(Answer((Found(A),), 60.0), 2.0)
    assert (state_of(one, 2.0).state, state_of(one, 2.0).because) == ("up", "")


def test_one_that_takes_calls_in_only() -> None:
    state = state_of(Partner(TrunkSection(name="in", sources=("192.0.2.1",)), 0.0), 1.0)
    assert (state.state, state.targets, state.look_up, state.answer_ratio) == ("up", (), "", None)


def test_as_prometheus_reads_them() -> None:
    registry = CollectorRegistry()
    inbound = state_of(Partner(TrunkSection(name="in", sources=("192.0.2.1",)), 0.0), 1.0)
    down = msgspec.structs.replace(inbound, name="x", state="down", refused=4)
    registry.register(TrunkFigures(lambda: [state_of(partner(), 2.0), inbound, down]))

    def value(name: str, trunk: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"puente_trunk_{name}", {"trunk": trunk, **labels})

    assert [value("up", name, region=region) for name, region in (("p", "latam"), ("in", ""), ("x", ""))] == [1, 1, 0]
    assert value("calls", "p", region="latam") == 1
    assert value("answer_ratio", "p", region="latam") == 0.5
    assert value("answer_ratio", "in", region="") is None  # not known is not 0
    assert value("post_dial_delay_seconds", "p", region="latam") == 0.6
    assert value("target_up", "p", target="udp:192.0.2.1:5060") == 1
    assert value("attempts_total", "p", outcome="busy") == 1
    assert value("full_total", "x") == 4
    assert value("price_per_minute", "p", currency="USD") == 0.008
    assert value("price_per_minute", "in", currency="USD") is None
