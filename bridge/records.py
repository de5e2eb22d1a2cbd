"""The call record: everything worth knowing about one call after it has ended.

One JSON line per ended call, appended in one write and flushed to disk before anything else happens with the call.
`times` are time.monotonic() seconds, comparable between the processes of one machine (the demo draws bridge and caller
onto one axis); `started_at` is wall clock, UTC.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from media.wire import CallReport, Moment

Milestone = Literal["invite", "ringing", "port", "far-ready", "answered", "confirmed", "ended", "closed"]


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One platform that was asked to take the call."""

    platform: str
    outcome: str
    "`ready`, or the `reason` of the error: `platform-busy`, `platform-slow` ..."
    took_ms: float
    detail: str = ""


class CallRecord(msgspec.Struct, kw_only=True):
    call: str
    direction: Literal["inbound", "outbound"]
    started_at: str
    trunk: str = ""
    source: str = ""
    sip_call_id: str = ""
    caller: str = ""
    dialled: str = ""
    route: str = ""
    platform: str = ""
    attempts: list[Attempt] = []
    codec: str = ""
    worker: int = -1
    times: dict[Milestone, float] = {}
    blame: str = ""
    reason: str = ""
    sip_status: int = 0
    detail: str = ""
    duration_s: float = 0.0
    "From the answer to the end; 0 if it never was answered."
    moments: list[Moment] = []
    media: CallReport | None = None
