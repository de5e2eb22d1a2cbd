"""Counting, as Prometheus reads it back."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable

import pytest
from msgspec.structs import fields
from prometheus_client.parser import text_string_to_metric_families

from bridge.metrics import FAR_COUNTS, LATENCIES, NEAR_COUNTS, Metrics, Process, cumulative, total_s, usage
from bridge.records import Attempt, CallRecord
from media import wire
from media.stats import EDGES_MS, Histogram
from sip import messages as sip

Read = dict[str, float]
"`name{label=value,...}` as one reads it, in the labels' order of the alphabet."
BORN = ("_created",)


def read(metrics: Metrics) -> Read:
    found: Read = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return {name: value for name, value in found.items() if not name.partition("{")[0].endswith(BORN)}


def part(metrics: Metrics, prefix: str) -> Read:
    """Samples of one family, without those that still are zero."""
    return {name: value for name, value in read(metrics).items() if name.startswith(prefix) and value}


def buckets(values_ms: list[float]) -> list[int]:
    histogram = Histogram()
    for value in values_ms:
        histogram.add(value / 1000)
    return histogram.counts()


def scraped(*processes: Process, calls: Callable[[], Counter[tuple[str, str]]] = Counter) -> Metrics:
    metrics = Metrics()
    metrics.at_scrape(lambda: processes, calls)
    return metrics


def record(*, answered: bool = True, reason: str = "caller-hung-up", platform: str = "one") -> CallRecord:
    return CallRecord(
        call="c1",
        direction="inbound",
        started_at="2026-11-22T10:00:00+00:00",
        trunk="carrier",
        caller="+4930111",
        platform=platform,
        attempts=[
            Attempt(platform="two", outcome="platform-busy", took_ms=30.0),
            Attempt(platform="one", outcome="ready", took_ms=120.0),
        ],
        times={"invite": 10.0, "answered": 10.25} if answered else {"invite": 10.0},
        blame="success",
        reason=reason,
    )


# --- what is counted here -------------------------------------------------------------------------------------------


def test_a_call_that_has_ended() -> None:
    metrics = Metrics()
    metrics.on_record(record())
    assert part(metrics, "puente_calls_total") == {
        "puente_calls_total{blame=success,direction=inbound,platform=one,reason=caller-hung-up,trunk=carrier}": 1
    }
    assert part(metrics, "puente_call_setup_seconds") == {
        f"puente_call_setup_seconds_bucket{{direction=inbound,le={edge}}}": 1
        for edge in ("0.3", "0.5", "0.75", "1.0", "1.5", "2.0", "3.0", "5.0", "10.0", "20.0", "+Inf")
    } | {
        "puente_call_setup_seconds_count{direction=inbound}": 1,
        "puente_call_setup_seconds_sum{direction=inbound}": 0.25,
    }
    sums = {name: value for name, value in part(metrics, "puente_platform_setup_seconds").items() if "_sum" in name}
    assert sums == {
        "puente_platform_setup_seconds_sum{outcome=platform-busy,platform=two}": 0.03,
        "puente_platform_setup_seconds_sum{outcome=ready,platform=one}": 0.12,
    }


def test_a_call_that_was_never_answered_has_no_setup_time() -> None:
    metrics = Metrics()
    metrics.on_record(record(answered=False, reason="platform-busy", platform=""))
    assert part(metrics, "puente_call_setup") == {}
    assert part(metrics, "puente_calls_total") == {
        "puente_calls_total{blame=success,direction=inbound,platform=,reason=platform-busy,trunk=carrier}": 1
    }


def test_nobody_can_be_recognised() -> None:
    metrics = Metrics()
    metrics.on_record(record())
    assert "4930111" not in metrics.exposition().decode()


def test_what_the_sip_process_tells() -> None:
    metrics = Metrics()
    for method in ("OPTIONS", "X" * 50):
        metrics.on_sip(sip.Dropped(source="198.51.100.9:5060", method=method, count=20, why="no trunk"))
    metrics.on_sip(sip.RefusedByStack(source="192.0.2.7:5060", sip_call_id="x", status=488, why="bad SDP"))
    metrics.on_sip(sip.Pong(number=1, calls=0))
    assert part(metrics, "puente_sip") == {
        "puente_sip_dropped_requests_total": 40,
        "puente_sip_refused_requests_total{status=488}": 1,
    }


def test_a_registration_comes_and_goes() -> None:
    metrics = Metrics()
    standing = "puente_sip_registered{trunk=provider}"
    for state, stands in (("registered", 1), ("unreachable", 0), ("registered", 1), ("refused", 0), ("refused", 0)):
        metrics.on_sip(
            sip.Registration(trunk="provider", state=state, status=0, reason="", expires_s=0)  # type: ignore[arg-type]
        )
        assert read(metrics)[standing] == stands
    assert part(metrics, "puente_sip_registration_failures") == {
        "puente_sip_registration_failures_total{state=unreachable,trunk=provider}": 1,
        "puente_sip_registration_failures_total{state=refused,trunk=provider}": 2,
    }


def test_a_store_comes_and_goes() -> None:
    metrics, states = Metrics(), iter((True, False))
    metrics.watch_store(lambda: next(states))
    assert "puente_store_up 1.0" in metrics.exposition().decode()
    assert "puente_store_up 0.0" in metrics.exposition().decode()


def test_a_socket_that_is_ready() -> None:
    metrics = Metrics()
    metrics.on_worker(wire.FarReady(call="c1", took_ms=20.0))
    metrics.on_worker(wire.NearQuiet(call="c1", silent_ms=15000))
    found = read(metrics)
    assert (found["puente_far_connect_seconds_count"], found["puente_far_connect_seconds_sum"]) == (1, 0.02)


def test_two_bridges_do_not_count_into_each_other() -> None:
    one, other = Metrics(), Metrics()
    one.on_record(record())
    assert part(other, "puente_calls_total") == {}


# --- what is looked up at a scrape ----------------------------------------------------------------------------------


def test_calls_that_stand() -> None:
    calls = Counter({("inbound", "one"): 2, ("outbound", ""): 1})
    metrics = scraped(calls=lambda: calls)
    assert part(metrics, "puente_calls_in_progress") == {
        "puente_calls_in_progress{direction=inbound,platform=one}": 2,
        "puente_calls_in_progress{direction=outbound,platform=}": 1,
    }
    calls.clear()
    assert part(metrics, "puente_calls_in_progress") == {}


def test_processes_that_are_up_and_one_that_is_not() -> None:
    metrics = scraped(Process("control", os.getpid(), True), Process("media0", os.getpid(), False, restarts=3))
    found = part(metrics, "puente_process")
    assert found.pop("puente_process_cpu_seconds_total{process=control}") > 0
    assert found.pop("puente_process_resident_memory_bytes{process=control}") > 1_000_000
    assert found == {
        "puente_process_up{process=control}": 1,
        "puente_process_restarts_total{process=media0}": 3,
    }


def test_a_process_that_is_gone_uses_nothing() -> None:
    assert usage(2**22 + 1) is None


def test_a_workers_counters() -> None:
    near = {"received": 500, "lost": 3, "late": 1, "wrong_source": 7}
    far = {"sent_ms": 10_040, "flushed_ms": 1500, "overflow_ms": 20, "underruns": 2}
    figures = wire.Figures(opened=4, near=near, far=far, latencies={})
    metrics = scraped(Process("media1", os.getpid(), True, 0, figures), Process("media2", os.getpid(), True))
    found = {name: value for name, value in read(metrics).items() if "worker=media1" in name and value}
    assert found == {
        "puente_worker_calls_total{worker=media1}": 4,
        "puente_rtp_received_packets_total{worker=media1}": 500,
        "puente_rtp_lost_packets_total{worker=media1}": 3,
        "puente_rtp_dropped_packets_total{cause=late,worker=media1}": 1,
        "puente_rtp_dropped_packets_total{cause=wrong-source,worker=media1}": 7,
        "puente_uplink_audio_seconds_total{worker=media1}": 10.04,
        "puente_downlink_dropped_seconds_total{cause=barge-in,worker=media1}": 1.5,
        "puente_downlink_dropped_seconds_total{cause=overflow,worker=media1}": 0.02,
        "puente_downlink_underruns_total{worker=media1}": 2,
    }
    assert not any("worker=media2" in name for name in read(metrics))  # it has not told anything yet


def test_a_workers_histogram() -> None:
    counts = buckets([0.5] * 90 + [4.0] * 9 + [5000.0])
    figures = wire.Figures(opened=0, near={}, far={}, latencies={"down_ms": counts})
    found = part(scraped(Process("media0", os.getpid(), True, 0, figures)), "puente_downlink_seconds")
    assert found.pop("puente_downlink_seconds_sum{worker=media0}") == pytest.approx(
        (90 * 0.5 + 9 * 4.0 + 5000.0) / 1000, rel=0.04
    )
    assert found.pop("puente_downlink_seconds_count{worker=media0}") == 100
    assert found.pop("puente_downlink_seconds_bucket{le=+Inf,worker=media0}") == 100
    levels = {float(name.partition("le=")[2].partition(",")[0]): value for name, value in found.items()}
    assert set(levels.values()) == {90, 99}
    assert min(le for le, value in levels.items() if value == 90) == pytest.approx(0.0005, rel=0.4)
    assert min(le for le, value in levels.items() if value == 99) == pytest.approx(0.004, rel=0.4)


@pytest.mark.parametrize("row", LATENCIES, ids=lambda row: row.field)
def test_the_buckets_of_every_latency(row: object) -> None:
    """Few enough for Prometheus, fine enough for a percentile, and never fewer values than the bucket before."""
    low_ms, high_ms = row.low_ms, row.high_ms  # type: ignore[attr-defined]
    told = cumulative(buckets([ms / 10 for ms in range(1, 100_000, 7)]), low_ms, high_ms)
    edges = [float(le) for le, _ in told]
    assert 10 <= len(told) <= 45
    assert edges == sorted(set(edges))
    assert low_ms / 1000 <= edges[0] < low_ms / 1000 * 1.1
    assert [count for _, count in told] == sorted(count for _, count in told)
    assert told[-1] == ("+Inf", len(range(1, 100_000, 7)))


def test_a_bucket_ends_where_it_says() -> None:
    for index in (60, 61, 64):
        counts = [0] * index + [1]
        told = dict(cumulative(counts, EDGES_MS[60], EDGES_MS[64]))
        assert list(told.values()) == [float(index <= 60), float(index <= 64), 1.0]


def test_no_values_at_all() -> None:
    assert {count for _, count in cumulative([], 0.02, 100)} == {0.0}
    assert total_s([]) == 0


@pytest.mark.parametrize(("report", "rows"), [(wire.NearReport, NEAR_COUNTS), (wire.FarReport, FAR_COUNTS)])
def test_every_counter_of_a_report_has_its_row(report: type, rows: tuple[object, ...]) -> None:
    """Whoever adds a counter to the record gives it a name here."""
    counters = [one.name for one in fields(report) if one.type is int]
    assert sorted(row.field for row in rows) == sorted(counters)  # type: ignore[attr-defined]


def test_every_spread_of_a_call_has_its_row() -> None:
    spreads = [one.name for one in fields(wire.CallReport) if one.type is wire.Spread]
    assert [row.field for row in LATENCIES] == spreads
