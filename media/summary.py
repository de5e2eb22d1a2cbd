"""What is left of a call when it is over: its counters as the reports of media.wire."""

from __future__ import annotations

from msgspec.structs import replace

from media import wire
from media.near import NearEnd
from media.playout import Playout
from media.quality import estimate
from media.rtcpend import RtcpEnd
from media.stats import Histogram


def near_report(near: NearEnd, rtcp: RtcpEnd, send_errors: int, up: Histogram) -> wire.NearReport:
    """The caller's side, with what his own stack has told about our stream."""
    seen, told = near.reception, rtcp.feedback
    one_way_ms = rtcp.round_trip_ms / 2
    loss = seen.lost / seen.expected if seen.expected else 0.0
    their_loss = min(1.0, told.lost / near.sent) if told is not None and near.sent else 0.0
    return replace(
        near.report(send_errors),
        round_trip_ms=round(rtcp.round_trip_ms, 3),
        their_loss=round(max(0.0, their_loss), 5),
        their_jitter_ms=round(told.jitter_ms, 3) if told is not None else 0.0,
        mos_up=_mos(near.codec.name, one_way_ms + up.percentile_ms(0.5), loss) if seen.received else 0.0,
        mos_down=_mos(near.codec.name, one_way_ms, max(0.0, their_loss)) if told is not None else 0.0,
    )


def far_report(
    near: NearEnd,
    playout: Playout,
    spec: wire.FarSpec | None,
    *,
    sent_bytes: int,
    received_bytes: int,
    backlog_dropped_ms: float,
    trouble: int,
) -> wire.FarReport:
    """The platform's side. `sent_bytes` is line audio, `received_bytes` what came off the platform's socket."""
    uplink, rate_hz = near.uplink, near.codec.clock_rate_hz
    return wire.FarReport(
        sent_ms=sent_bytes // near.codec.frame_bytes(1),
        filled_ms=uplink.filled * 1000 // rate_hz,
        concealed_ms=near.concealed_ms,
        ahead_dropped_ms=uplink.ahead_dropped * 1000 // rate_hz,
        backlog_dropped_ms=int(backlog_dropped_ms),
        received_ms=int(received_bytes / bytes_per_ms(spec)) if spec is not None else 0,
        played_ms=playout.played_ms,
        flushed_ms=playout.flushed_ms,
        overflow_ms=playout.overflow_ms + playout.drained_ms,
        underruns=playout.underruns,
        trouble=trouble,
    )


def bytes_per_ms(spec: wire.FarSpec) -> float:
    """Of the platform's audio."""
    return spec.rate_hz * (1 if spec.encoding == "mulaw" else 2) / 1000


def _mos(codec: str, delay_ms: float, loss: float) -> float:
    name = codec.partition("/")[0]
    return estimate(name, delay_ms=delay_ms, loss=loss).mos
