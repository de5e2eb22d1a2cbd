"""The call record: everything worth knowing about one call, and what happens to a trunk.

`bridge.store` keeps it: from before the call is answered, and complete when it is over. `times` are time.monotonic()
seconds, comparable between the processes of one machine (the demo draws bridge and caller onto one axis); what ends in
`_at` is wall clock, UTC.
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


Outcome = Literal["", "answered", "busy", "declined", "no-answer", "cancelled", "failed"]
"What became of a call, as who placed it would say. Empty: not known yet."


class TrunkAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """One trunk that was asked to carry an outbound call."""

    trunk: str
    target: str = ""
    "The address of the partner's that was tried, `udp:192.0.2.7:5060`."
    outcome: str
    "An `Outcome`, or why the next trunk was tried: `timeout`, `unreachable`, `refused`."
    sip_status: int = 0
    took_ms: float
    detail: str = ""
    because: tuple[str, ...] = ()
    "Why this trunk and at this place: `prefix +52`, `primary`, `healthy` ..."


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What the trunk charges for a call. Decimals are strings: money is never a float."""

    currency: str
    "ISO 4217, `USD`."
    per_minute: str
    billing: str
    "First step and further steps in seconds, `60/60`, `30/6`, `1/1`."
    billed_s: int = 0
    amount: str = "0"


class TrunkEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a trunk and that somebody may ask about later."""

    at: str
    "UTC, ISO 8601."
    trunk: str
    kind: str
    "`registered`, `unregistered`, `refused`, `unreachable`, `up`, `down`, `half-open`, `target-changed` ..."
    detail: str = ""
    target: str = ""
    "The one address that it is about; empty: the whole trunk."
    status: int = 0
    "SIP status behind it; 0: none."


class CallRecord(msgspec.Struct, kw_only=True):
    call: str
    direction: Literal["inbound", "outbound"]
    started_at: str
    answered_at: str = ""
    "UTC, ISO 8601, as `started_at`. Empty: it never was."
    ended_at: str = ""
    outcome: Outcome = ""
    bridge: str = ""
    "The instance of the bridge that carried it."
    request_id: str = ""
    "Idempotency key of the request that placed it."
    region: str = ""
    country: str = ""
    "ISO 3166 alpha-2, of the party at the other end of the line."
    company: str = ""
    flow: str = ""
    call_type: str = ""
    trunk: str = ""
    trunk_attempts: list[TrunkAttempt] = []
    cost: Cost | None = None
    "None: the trunk has no price."
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
