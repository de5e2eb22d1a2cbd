"""The desk's way to the records: a call is on a disk before the line says yes to anybody, and again when it is over.

    opened -> begin(record)                         as soon as there is a call
    send Answer, Dial -> begin(record) -> the line  held back until that is durable, and what follows it behind it
    closed -> end(record)

So whoever was told 200, or was called, is in the records, whatever is killed in the next moment. A disk that takes too
long does not keep a caller ringing: after LOOKS times LOOK_S the line is told all the same.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from bridge.calls.lines import Line
from bridge.records import CallRecord
from sip import messages as sip

log = logging.getLogger(__name__)

LOOK_S, LOOKS = 0.25, 4
"A second in all; in parts, because a loop that was held up itself must not take that for the disk's fault."
NEEDS_ROW = (sip.Answer, sip.Dial)


class Records(Protocol):
    """What the desk needs of a store, see `bridge.store.entries.Keeper`."""

    def begin(self, record: CallRecord) -> asyncio.Future[None]: ...
    def end(self, record: CallRecord) -> asyncio.Future[None]: ...


class Ledger:
    def __init__(self, line: Line, records: Records, clock: Callable[[], float] = time.monotonic) -> None:
        self._line, self._records, self._clock = line, records, clock
        self._held: dict[str, list[sip.Command]] = {}
        "Call -> what the line is not told yet, in order."
        self._is_late = False

    def opened(self, record: CallRecord) -> None:
        self._records.begin(record)

    def moved(self, record: CallRecord) -> None:
        """After each step of a call: the other side's answer is worth a row, too."""
        if "answered" in record.times and not record.answered_at:
            record.answered_at = self._wall(record.times["answered"])
            if record.direction == "outbound":
                self._records.begin(record)

    def send(self, record: CallRecord, message: sip.Command) -> None:
        held = self._held.get(record.call)
        if held is not None:
            held.append(message)
            return
        if isinstance(message, NEEDS_ROW):
            durable = self._records.begin(record)
            if not durable.done():
                self._hold(record.call, message, durable)
                return
        self._line.send(message)

    def closed(self, record: CallRecord) -> None:
        record.ended_at = self._wall(record.times.get("ended", self._clock()))
        self._records.end(record)

    def _hold(self, call: str, message: sip.Command, durable: asyncio.Future[None]) -> None:
        held = self._held[call] = [message]
        loop = asyncio.get_running_loop()

        def release(in_time: bool) -> None:
            if self._held.get(call) is held:
                del self._held[call]
                self._note(in_time)
                for one in held:
                    self._line.send(one)

        def look(number: int) -> None:
            if number == LOOKS:
                release(in_time=False)
            elif self._held.get(call) is held:
                loop.call_later(LOOK_S, look, number + 1)

        look(0)
        durable.add_done_callback(lambda _: release(in_time=True))

    def _note(self, in_time: bool) -> None:
        """Trouble is told when it begins and when it is over."""
        if in_time is self._is_late:
            self._is_late = not in_time
            if in_time:
                log.warning("= records are in time again")
            else:
                log.error("! records are late: calls are answered without them")

    def _wall(self, moment: float) -> str:
        """A moment of our monotonic clock as UTC."""
        at = datetime.now(UTC) - timedelta(seconds=self._clock() - moment)
        return at.isoformat(timespec="milliseconds")
