"""What is counted, as Prometheus reads it: calls as they end, and at each look the workers' figures and the processes.

    records, SIP events ---> counters and histograms here            (the control process's own, by prometheus_client)
    workers' Figures    ---> families made at the moment of a scrape (the workers count, nothing is counted twice)

A registry of our own: no global, so that two bridges in one process (tests) do not count into each other. Labels come
from the settings and from our own words; nothing a stranger can choose becomes one, or he could fill our memory.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from bridge.records import CallRecord
from media import wire
from media.stats import EDGES_MS
from sip import messages as sip

SETUP_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
EDGE_STEP = 4
"Of the workers' fine buckets (8 % each) so many become one: 36 %, about 25 series per histogram and worker."


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the bridge at the moment of a scrape."""

    name: str
    "`control`, `sip`, `media0` ..."
    pid: int
    is_up: bool
    restarts: int = 0
    figures: wire.Figures | None = None
    "Of a worker; None until it has told any."


@dataclass(frozen=True, slots=True)
class _Latency:
    """A row: which of the workers' histograms, under which name, and between which edges."""

    field: str
    name: str
    help: str
    low_ms: float
    high_ms: float


@dataclass(frozen=True, slots=True)
class _Count:
    """A row: one counter of a worker's, perhaps one cause of several."""

    field: str
    name: str
    help: str
    cause: str = ""


LATENCIES = (
    _Latency("up_ms", "puente_uplink_seconds", "Caller's packet in to platform socket out.", 0.02, 100),
    _Latency("down_ms", "puente_downlink_seconds", "Platform's audio to RTP out, if not queued by intent.", 0.2, 1000),
    _Latency("queued_ms", "puente_downlink_queued_seconds", "Platform's audio to RTP out, all of it.", 0.2, 40_000),
    _Latency("barge_in_ms", "puente_barge_in_seconds", "Flush received to the next packet sent.", 0.2, 100),
    _Latency("tick_late_ms", "puente_tick_lateness_seconds", "How late frames leave.", 0.02, 100),
    _Latency("turn_ms", "puente_turn_seconds", "End of caller's speech to agent's answer, at the line.", 200, 20_000),
)

NEAR_COUNTS = (
    _Count("received", "puente_rtp_received_packets", "RTP packets from callers."),
    _Count("expected", "puente_rtp_expected_packets", "RTP packets that should have come, by sequence number."),
    _Count("lost", "puente_rtp_lost_packets", "RTP packets that have not come."),
    _Count("sent", "puente_rtp_sent_packets", "RTP packets to callers."),
    _Count("send_errors", "puente_rtp_send_errors", "RTP packets that the kernel did not take."),
    _Count("ssrc_changes", "puente_rtp_ssrc_changes", "Callers' streams that went on under another SSRC."),
    *(
        _Count(field, "puente_rtp_dropped_packets", "RTP packets from callers that were not used, by cause.", cause)
        for field, cause in (
            ("late", "late"),
            ("duplicate", "duplicate"),
            ("wrong_source", "wrong-source"),
            ("wrong_payload_type", "wrong-payload-type"),
            ("malformed", "malformed"),
            ("unauthenticated", "unauthenticated"),
        )
    ),
    _Count("ticks_late", "puente_ticks_late", "Frames that left more than half a ptime after their time."),
    _Count("ticks_skipped", "puente_ticks_skipped", "Frames whose time had passed altogether."),
)

FAR_COUNTS = (
    _Count("sent_ms", "puente_uplink_audio_seconds", "Audio sent to platforms."),
    _Count("filled_ms", "puente_uplink_filled_seconds", "Of it sound of our own making."),
    _Count("concealed_ms", "puente_uplink_concealed_seconds", "Of that what stood in for lost packets."),
    _Count("ahead_dropped_ms", "puente_uplink_dropped_seconds", "Callers' audio dropped, by cause.", "ahead"),
    _Count("backlog_dropped_ms", "puente_uplink_dropped_seconds", "Callers' audio dropped, by cause.", "backlog"),
    _Count("received_ms", "puente_downlink_audio_seconds", "Audio received from platforms."),
    _Count("played_ms", "puente_downlink_played_seconds", "Of it what callers have been sent."),
    _Count("flushed_ms", "puente_downlink_dropped_seconds", "Agents' audio dropped, by cause.", "barge-in"),
    _Count("overflow_ms", "puente_downlink_dropped_seconds", "Agents' audio dropped, by cause.", "overflow"),
    _Count("underruns", "puente_downlink_underruns", "Times a queue ran dry inside an utterance."),
    _Count("marks", "puente_downlink_marks", "Marks of platforms that were answered."),
    _Count("trouble", "puente_platform_trouble", "Messages of platforms that we could not make sense of."),
)


class Metrics:
    """All of it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._ended = self._counter(
            "puente_calls", "Calls that have ended.", "direction", "trunk", "platform", "blame", "reason"
        )
        self._setup = self._histogram("puente_call_setup_seconds", "INVITE to 200.", "direction")
        self._platform = self._histogram(
            "puente_platform_setup_seconds",
            "Creating a platform's call and connecting its media socket, by outcome.",
            *("platform", "outcome"),
        )
        self._connect = self._histogram("puente_far_connect_seconds", "Of it the media socket, when it became ready.")
        self._dropped = self._counter("puente_sip_dropped_requests", "Requests of strangers, left without an answer.")
        self._refused = self._counter("puente_sip_refused_requests", "Refused by the SIP stack itself.", "status")
        self._registered = Gauge(
            "puente_sip_registered", "1: our registration stands.", ["trunk"], registry=self.registry
        )
        self._not_registered = self._counter(
            "puente_sip_registration_failures", "Registrations that were refused or timed out.", "trunk", "state"
        )

    def at_scrape(
        self, processes: Callable[[], Sequence[Process]], calls: Callable[[], Mapping[tuple[str, str], int]]
    ) -> None:
        """Whom to ask for what is not counted here. `calls`: those that stand, by direction and platform."""
        self.registry.register(_AtScrape(processes, calls))

    def watch_store(self, is_well: Callable[[], bool]) -> None:
        name, text = "puente_store_up", "1: records reach the store. 0: they wait in the spool."
        Gauge(name, text, registry=self.registry).set_function(is_well)

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def on_record(self, record: CallRecord) -> None:
        """A call has ended."""
        self._ended.labels(record.direction, record.trunk, record.platform, record.blame, record.reason).inc()
        invite, answered = record.times.get("invite"), record.times.get("answered")
        if invite is not None and answered is not None:
            self._setup.labels(record.direction).observe(answered - invite)
        for attempt in record.attempts:
            self._platform.labels(attempt.platform, attempt.outcome).observe(attempt.took_ms / 1000)

    def on_sip(self, event: object) -> None:
        """Whatever the sip process tells; what is not counted does nothing."""
        match event:
            case sip.Dropped(count=count):
                self._dropped.inc(count)
            case sip.RefusedByStack(status=status):
                self._refused.labels(str(status)).inc()
            case sip.Registration(trunk=trunk, state=state):
                self._registered.labels(trunk).set(state == "registered")
                if state in ("refused", "unreachable"):
                    self._not_registered.labels(trunk, state).inc()

    def on_worker(self, event: object) -> None:
        """The same for what a worker tells about a call."""
        if isinstance(event, wire.FarReady):
            self._connect.observe(event.took_ms / 1000)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(name, text, labels, buckets=SETUP_BUCKETS_S, registry=self.registry)


class _AtScrape(Collector):
    """What is not counted here but looked up when somebody asks."""

    def __init__(
        self, processes: Callable[[], Sequence[Process]], calls: Callable[[], Mapping[tuple[str, str], int]]
    ) -> None:
        self._processes, self._calls = processes, calls

    def describe(self) -> list[Metric]:
        """Nothing: the registry need not ask for a scrape to know our names."""
        return []

    def collect(self) -> Iterator[Metric]:
        processes = self._processes()
        calls = GaugeMetricFamily("puente_calls_in_progress", "Calls that stand.", labels=["direction", "platform"])
        for labels, count in self._calls().items():
            calls.add_metric(labels, count)
        yield calls
        yield from _process_families(processes)
        told = {process.name: process.figures for process in processes if process.figures is not None}
        yield from _latency_families(told)
        yield from _count_families(NEAR_COUNTS, {name: figures.near for name, figures in told.items()})
        yield from _count_families(FAR_COUNTS, {name: figures.far for name, figures in told.items()})
        opened = CounterMetricFamily("puente_worker_calls", "Calls that a worker has been given.", labels=["worker"])
        for name, figures in told.items():
            opened.add_metric([name], figures.opened)
        yield opened


def _process_families(processes: Sequence[Process]) -> Iterator[Metric]:
    up = GaugeMetricFamily("puente_process_up", "1: it is there and answers.", labels=["process"])
    restarts = CounterMetricFamily("puente_process_restarts", "Times it had to be replaced.", labels=["process"])
    cpu = CounterMetricFamily("puente_process_cpu_seconds", "CPU time since its (last) start.", labels=["process"])
    memory = GaugeMetricFamily("puente_process_resident_memory_bytes", "Resident memory.", labels=["process"])
    for process in processes:
        up.add_metric([process.name], process.is_up)
        restarts.add_metric([process.name], process.restarts)
        used = usage(process.pid) if process.is_up else None
        if used is not None:
            cpu.add_metric([process.name], used[0])
            memory.add_metric([process.name], used[1])
    yield from (up, restarts, cpu, memory)


def usage(pid: int) -> tuple[float, int] | None:
    """CPU seconds and resident bytes of a process, by proc(5); None when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name in brackets may hold anything; state is the first after it
    ticks, pages = int(fields[11]) + int(fields[12]), int(fields[21])
    return ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE")


def _latency_families(told: Mapping[str, wire.Figures]) -> Iterator[Metric]:
    for row in LATENCIES:
        family = HistogramMetricFamily(row.name, row.help, labels=["worker"])
        for worker, figures in told.items():
            counts = figures.latencies.get(row.field, [])
            family.add_metric([worker], cumulative(counts, row.low_ms, row.high_ms), total_s(counts))
        yield family


def cumulative(counts: Sequence[int], low_ms: float, high_ms: float) -> list[tuple[str, float]]:
    """A worker's buckets as Prometheus' own: upper end in seconds, and how many values do not exceed it."""
    sums = list(accumulate(counts, initial=0))
    edges = [index for index, edge in enumerate(EDGES_MS) if low_ms <= edge <= high_ms][::EDGE_STEP]
    buckets = [(f"{EDGES_MS[index] / 1000:.4g}", float(sums[min(index + 1, len(counts))])) for index in edges]
    return [*buckets, ("+Inf", float(sums[-1]))]


def total_s(counts: Sequence[int]) -> float:
    """Sum of the values, as good as the buckets: each value as the middle of its own, right to within 4 %."""
    middle_of = math.sqrt(EDGES_MS[0] / EDGES_MS[1])
    return middle_of * sum(count * edge for count, edge in zip(counts, EDGES_MS, strict=False)) / 1000


def _count_families(rows: Sequence[_Count], told: Mapping[str, Mapping[str, int]]) -> Iterator[Metric]:
    families: dict[str, CounterMetricFamily] = {}
    for row in rows:
        labels = ["worker", "cause"] if row.cause else ["worker"]
        family = families.setdefault(row.name, CounterMetricFamily(row.name, row.help, labels=labels))
        for worker, counters in told.items():
            value = counters.get(row.field, 0)
            values = [worker, row.cause] if row.cause else [worker]
            family.add_metric(values, value / 1000 if row.field.endswith("_ms") else value)
    yield from families.values()
