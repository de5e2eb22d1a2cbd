"""A call's figures, while it stands and when it is over: its counters as the reports of media.wire."""

from __future__ import annotations

from msgspec.structs import replace

from media import wire
from media.near import NearEnd
from media.playout import Playout
from media.quality import estimate
from media.recording import Recording
from media.rtcpend import RtcpEnd
from media.stats import Histogram


class Tally:
    """What a call counts itself, beside what its near end, its queue and its sockets count."""

    __slots__ = ("backlog_dropped_ms", "down_bytes", "late", "marks", "send_errors", "trouble", "up", "up_bytes")

    def __init__(self) -> None:
        self.up = Histogram()
        self.late = Histogram()
        self.up_bytes = 0
        "Line audio for the platform; what its socket was too slow for is in it."
        self.backlog_dropped_ms = 0.0
        "By the far ends before the present one."
        self.down_bytes = 0
        "As they came off the platform's socket."
        self.marks = 0
        self.send_errors = 0
        self.trouble = 0


def histograms(near: NearEnd, playout: Playout, tally: Tally) -> dict[str, Histogram]:
    """Of the call so far, by the names of their spreads in CallReport."""
    return {
        "up_ms": tally.up,
        "down_ms": playout.down,
        "queued_ms": playout.queued,
        "barge_in_ms": playout.barge_in,
        "tick_late_ms": tally.late,
        "turn_ms": near.turns.latency,
    }


def call_report(
    near: wire.NearReport,
    far: wire.FarReport,
    latencies: dict[str, Histogram],
    *,
    duration_s: float,
    recording: Recording | None,
) -> wire.CallReport:
    spreads = {name: histogram.spread() for name, histogram in latencies.items()}
    failed = recording.failed if recording is not None else ""
    report = wire.CallReport(
        near=near,
        far=far,
        duration_s=round(duration_s, 3),
        recording=str(recording.path) if recording is not None and not failed else "",
        recording_failed=failed,
    )
    return replace(report, **spreads)


def near_report(near: NearEnd, rtcp: RtcpEnd, tally: Tally) -> wire.NearReport:
    """The caller's side, with what his own stack has told about our stream."""
    seen, told = near.reception, rtcp.feedback
    one_way_ms = rtcp.round_trip_ms / 2
    loss = seen.lost / seen.expected if seen.expected else 0.0
    their_loss = min(1.0, told.lost / near.sent) if told is not None and near.sent else 0.0
    return replace(
        near.report(tally.send_errors),
        round_trip_ms=round(rtcp.round_trip_ms, 3),
        their_loss=round(max(0.0, their_loss), 5),
        their_jitter_ms=round(told.jitter_ms, 3) if told is not None else 0.0,
        mos_up=_mos(near.codec.name, one_way_ms + tally.up.percentile_ms(0.5), loss) if seen.received else 0.0,
        mos_down=_mos(near.codec.name, one_way_ms, max(0.0, their_loss)) if told is not None else 0.0,
    )


def far_report(
    near: NearEnd, playout: Playout, spec: wire.FarSpec | None, tally: Tally, backlog_dropped_ms: float
) -> wire.FarReport:
    """The platform's side. `backlog_dropped_ms`: by the present far end."""
    uplink, rate_hz = near.uplink, near.codec.clock_rate_hz
    backlog_dropped_ms += tally.backlog_dropped_ms
    return wire.FarReport(
        sent_ms=max(0, tally.up_bytes // near.codec.frame_bytes(1) - int(backlog_dropped_ms)),
        filled_ms=uplink.filled * 1000 // rate_hz,
        concealed_ms=near.mender.concealed_ms,
        ahead_dropped_ms=uplink.ahead_dropped * 1000 // rate_hz,
        backlog_dropped_ms=int(backlog_dropped_ms),
        received_ms=int(tally.down_bytes / bytes_per_ms(spec)) if spec is not None else 0,
        played_ms=playout.played_ms,
        flushed_ms=playout.flushed_ms,
        overflow_ms=playout.overflow_ms + playout.drained_ms,
        underruns=playout.underruns,
        marks=tally.marks,
        trouble=tally.trouble,
    )


def bytes_per_ms(spec: wire.FarSpec) -> float:
    """Of the platform's audio."""
    return spec.rate_hz * (1 if spec.encoding == "mulaw" else 2) / 1000


def _mos(codec: str, delay_ms: float, loss: float) -> float:
    name = codec.partition("/")[0]
    return estimate(name, delay_ms=delay_ms, loss=loss).mos
