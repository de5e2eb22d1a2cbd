"""What a person reads in the log of a message, or of a call that has ended: one line, nothing long and no secret."""

from __future__ import annotations

from bridge.calls.words import PlatformRefused
from bridge.records import CallRecord
from media import wire

SHOWN = ("status", "reason", "by", "cause", "detail", "why", "port", "digit", "took_ms", "platform", "silent_ms", "uri")
"Fields worth a place in the log line. SDP and specs are not: keys and credentials live there."


def describe(message: object) -> str:
    """`Answer`, `FarFailed cause=refused detail=...`: a message in one line, without what is long or secret."""
    shown = ((name, getattr(message, name, None)) for name in SHOWN)
    words = [f"{name}={value}" for name, value in shown if value not in (None, "", 0)]
    if isinstance(message, PlatformRefused):
        words = [f"reason={message.end.reason}", f"detail={message.end.detail}"]
    if isinstance(message, wire.StartNear):
        near = message.near
        words = [f"{near.codec}/{near.ptime_ms} to {near.host}:{near.port}"]
    return " ".join([type(message).__name__, *words])


def summary(record: CallRecord) -> str:
    """What one reads of a call that has ended."""
    words = [record.reason, f"({record.blame})", f"{record.duration_s:.1f} s"]
    if record.sip_status:
        words.append(f"SIP {record.sip_status}")
    if record.platform:
        words.append(f"platform {record.platform}")
    if record.media:
        near, up, down = record.media.near, record.media.up_ms, record.media.down_ms
        words.append(f"lost {near.lost}/{near.expected} jitter {near.jitter_ms:.1f} ms")
        words.append(f"up p50 {up.p50:.2f} p99 {up.p99:.2f} ms, down p50 {down.p50:.2f} p99 {down.p99:.2f} ms")
    if record.detail:
        words.append(f": {record.detail}")
    return " ".join(words)
