"""The call record: everything worth knowing about one call after it has ended.

One JSON line per ended call, appended in one write and flushed to disk before anything else happens with the call.
`times` are time.monotonic() seconds, comparable between the processes of one machine (the demo draws bridge and caller
onto one axis); `started_at` is wall clock, UTC.
"""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import msgspec

from media.wire import CallReport, Moment

log = logging.getLogger(__name__)

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


class RecordBook:
    """Appends records to the file, in order, without making anybody wait for the disk.

    One thread does all the writing: a disk that takes 50 ms to sync must not hold up the next INVITE.
    """

    def __init__(self, path: str = "") -> None:
        self._encoder = msgspec.json.Encoder()
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="records")
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640) if path else -1

    def write(self, record: CallRecord) -> None:
        if self._file >= 0:
            self._writer.submit(self._append, self._encoder.encode(record) + b"\n")

    def close(self) -> None:
        """Returns when everything is on the disk. May be called twice."""
        self._writer.shutdown(wait=True)
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _append(self, line: bytes) -> None:
        try:
            os.write(self._file, line)
            os.fdatasync(self._file)
        except OSError as error:
            # The log is the last place where this call can still be remembered.
            log.error("! record not written (%s): %s", error.strerror, line.decode())
