"""How the trunks are, as `GET /v1/trunks` shows it and `/metrics` counts it. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from bridge.routing.breaker import State
from bridge.trunks.partner import Partner


class TargetState(msgspec.Struct, frozen=True, kw_only=True):
    address: str
    port: int
    transport: Literal["udp", "tcp", "tls"]
    name: str = ""
    priority: int = 0
    weight: int = 0
    is_alive: bool = True
    is_registered: bool = False
    "Our registration stands there."
    lost_probes: int = 0
    "In a row."
    round_trip_ms: float | None = None
    "Of OPTIONS, smoothed. None: it has never answered one."
    status: int = 0
    "Of its last answer to OPTIONS."
    why: str = ""
    "Of the last loss."


class TrunkState(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    kind: Literal["peer", "register"]
    region: str
    countries: tuple[str, ...]
    prefixes: tuple[str, ...]
    role: str
    order: int
    state: Literal["up", "down", "half-open"]
    because: str
    "Why it is not up; why it is up again."
    trial_in_s: float | None
    "When a call may be tried again at the earliest, as far as time goes. None: not down, or not a matter of time."
    openings: int
    "How often the breaker has opened, not forgiven yet: each doubles the wait."
    registration: str
    "`registered`, `refused`, `unreachable`, `unregistered`; empty: it does not register, or has not yet."
    registration_detail: str
    targets: tuple[TargetState, ...]
    look_up: str
    "The name, or address, that led to the targets. Empty: it takes calls in only."
    look_up_error: str
    calls: int
    max_calls: int
    refused: int
    "Calls that found it full."
    recent_calls: int
    "Of ours, that the figures below are of: at most 30, at most 15 minutes back."
    answer_ratio: float | None
    failure_ratio: float | None
    post_dial_delay_ms: float | None
    "Median."
    price_per_minute: str
    currency: str
    billing: str
    outcomes: dict[str, int]
    "Of all our calls, by what became of them."


def state_of(partner: Partner, now: float) -> TrunkState:
    section, health = partner.section, partner.health
    breaker, figures, why_down = health.breaker, health.figures(now), partner.why_down()
    trial_at = breaker.next_look() if breaker.state is State.OPEN else None
    return TrunkState(
        name=section.name,
        kind=section.kind,
        region=section.region,
        countries=section.countries,
        prefixes=section.prefixes,
        role=section.role,
        order=section.order,
        state=State.OPEN.value if why_down else breaker.state.value,
        because=why_down or breaker.because,
        trial_in_s=round(max(0.0, trial_at - now), 1) if trial_at is not None else None,
        openings=breaker.openings,
        registration=health.registration,
        registration_detail=health.registration_detail,
        targets=_target_states(partner),
        look_up=str(partner.place) if partner.place else "",
        look_up_error=partner.look_up_error,
        calls=partner.limiter.calls,
        max_calls=section.max_calls,
        refused=partner.limiter.refused,
        recent_calls=figures.calls,
        answer_ratio=_rounded(figures.answer_ratio, 3),
        failure_ratio=_rounded(figures.failure_ratio, 3),
        post_dial_delay_ms=_rounded(figures.delay_ms, 1),
        price_per_minute=section.price_per_minute,
        currency=section.currency,
        billing=section.billing,
        outcomes=dict(partner.outcomes),
    )


def _target_states(partner: Partner) -> tuple[TargetState, ...]:
    states = []
    for found in partner.answer.found if partner.answer else ():
        target, lived = found.target, partner.health.targets[found.target]
        states.append(
            TargetState(
                address=target.address,
                port=target.port,
                transport=target.transport,
                name=target.name,
                priority=found.priority,
                weight=found.weight,
                is_alive=lived.is_alive,
                is_registered=target == partner.health.registered_at,
                lost_probes=lived.lost,
                round_trip_ms=round(lived.took_ms, 2) if lived.answered else None,
                status=lived.status,
                why=lived.why,
            )
        )
    return tuple(states)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
