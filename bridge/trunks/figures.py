"""The trunks as Prometheus reads them, made from their states at the moment of a scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bridge.trunks.states import TrunkState

LEVELS = {"up": 1.0, "half-open": 0.5, "down": 0.0}


class TrunkFigures(Collector):
    def __init__(self, states: Callable[[], Sequence[TrunkState]]) -> None:
        self._states = states

    def describe(self) -> list[Metric]:
        """Nothing: the registry need not ask for a scrape to know our names."""
        return []

    def collect(self) -> Iterator[Metric]:
        states = self._states()
        yield _gauge("puente_trunk_up", "1: carries calls, 0.5: one at a time, on trial, 0: down.", states, _level)
        yield _gauge("puente_trunk_calls", "Calls that stand, both directions.", states, lambda one: one.calls)
        yield _gauge("puente_trunk_max_calls", "Its limit; 0: none.", states, lambda one: one.max_calls)
        yield _gauge(
            "puente_trunk_answer_ratio",
            "Of our last calls (at most 30, 15 minutes): answered.",
            *(states, lambda one: one.answer_ratio),
        )
        yield _gauge(
            "puente_trunk_failure_ratio",
            "Of our last calls: failed by the trunk's doing.",
            *(states, lambda one: one.failure_ratio),
        )
        yield _gauge(
            "puente_trunk_post_dial_delay_seconds",
            "Median of our last calls, INVITE to first 18x or 200.",
            *(states, lambda one: None if one.post_dial_delay_ms is None else one.post_dial_delay_ms / 1000),
        )
        yield _gauge(
            "puente_trunk_openings", "Openings of its breaker, not forgiven yet.", states, lambda one: one.openings
        )
        yield from _target_families(states)
        yield from _counters(states)
        price = GaugeMetricFamily("puente_trunk_price_per_minute", "As configured.", labels=["trunk", "currency"])
        for one in states:
            if one.price_per_minute:
                price.add_metric([one.name, one.currency], float(one.price_per_minute))
        yield price


def _level(state: TrunkState) -> float:
    return LEVELS[state.state]


def _gauge(
    name: str, text: str, states: Sequence[TrunkState], value: Callable[[TrunkState], float | None]
) -> GaugeMetricFamily:
    """What is not known is not shown."""
    family = GaugeMetricFamily(name, text, labels=["trunk", "region"])
    for one in states:
        if (known := value(one)) is not None:
            family.add_metric([one.name, one.region], known)
    return family


def _target_families(states: Sequence[TrunkState]) -> Iterator[Metric]:
    labels = ["trunk", "target"]
    up = GaugeMetricFamily("puente_trunk_target_up", "1: this address answers OPTIONS.", labels=labels)
    round_trip = GaugeMetricFamily(
        "puente_trunk_target_round_trip_seconds", "Of OPTIONS to this address, smoothed.", labels=labels
    )
    for state in states:
        for one in state.targets:
            host = f"[{one.address}]" if ":" in one.address else one.address
            values = [state.name, f"{one.transport}:{host}:{one.port}"]
            up.add_metric(values, one.is_alive)
            if one.round_trip_ms is not None:
                round_trip.add_metric(values, one.round_trip_ms / 1000)
    yield from (up, round_trip)


def _counters(states: Sequence[TrunkState]) -> Iterator[Metric]:
    attempts = CounterMetricFamily(
        "puente_trunk_attempts", "Calls that we placed, by what became of them.", labels=["trunk", "outcome"]
    )
    refused = CounterMetricFamily(
        "puente_trunk_full", "Calls, of both directions, that found the trunk full.", labels=["trunk"]
    )
    for one in states:
        refused.add_metric([one.name], one.refused)
        for outcome, count in one.outcomes.items():
            attempts.add_metric([one.name, outcome], count)
    yield from (attempts, refused)
