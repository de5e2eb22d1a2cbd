"""What the web shows of the bridge: its processes, its health, the calls that stand. It looks and changes nothing."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from bridge.calls.desk import Desk
from bridge.calls.lines import SipLine
from bridge.calls.session import Session
from bridge.calls.workers import WorkerPool
from bridge.children import Child
from bridge.metrics import Process
from bridge.records import CallRecord
from media import wire

SURVEY_S = 2.0
"All calls together may take this long; those that were not reached by then are shown without their figures."


class LiveCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call that stands: its record as far as it has been written, `media` as it is now."""

    state: str
    "`ringing`, `answering`, `talking`, `closing`; `ended`; `elsewhere` at another bridge on the same store."
    record: CallRecord


@dataclass(frozen=True, slots=True)
class Health:
    troubles: tuple[str, ...] = ()
    "Why no call could be taken, in sentences. None: all is well."
    warnings: tuple[str, ...] = ()
    "Trunks that carry no calls just now, while others may; a store that is away, while records wait for it."

    @property
    def is_well(self) -> bool:
        return not self.troubles


class Finder(Protocol):
    """Where calls that are over are found."""

    async def find(self, call: str) -> CallRecord | None: ...


class Store(Finder, Protocol):
    """What is needed of the store."""

    @property
    def is_well(self) -> bool: ...
    @property
    def is_in_memory_alone(self) -> bool: ...


class Trunks(Protocol):
    """What is needed of the trunks."""

    @property
    def can_be_called(self) -> bool: ...
    def troubles(self) -> list[str]:
        """A sentence for each that carries no calls just now."""


class House:
    def __init__(self, desk: Desk, line: SipLine, pool: WorkerPool, store: Store, trunks: Trunks | None = None) -> None:
        self._desk, self._line, self._pool, self._store, self._trunks = desk, line, pool, store, trunks
        self._survey = asyncio.Lock()

    def processes(self) -> list[Process]:
        workers = (_process(worker.child, worker.figures) for worker in self._pool.workers)
        return [Process("control", os.getpid(), True), _process(self._line.child), *workers]

    def in_progress(self) -> Counter[tuple[str, str]]:
        """Calls that stand, by direction and platform."""
        return Counter((session.record.direction, session.platform) for session in self._desk.standing())

    def health(self) -> Health:
        troubles = []
        if not self._line.child.is_ready or self._line.started is None:
            troubles.append("the sip process is not up")
        if not any(worker.child.is_ready for worker in self._pool.workers):
            troubles.append("no media worker is up")
        warnings = self._trunks.troubles() if self._trunks else []
        if self._trunks and not self._trunks.can_be_called:
            troubles.append("no trunk is registered, and no other may call")
        if not self._store.is_well:
            is_alone = self._store.is_in_memory_alone
            where = "nor does the spool; they wait in memory" if is_alone else "they wait in the spool"
            warnings = [*warnings, f"the store takes no records just now; {where}"]
        return Health(tuple(troubles), tuple(warnings))

    async def calls(self) -> list[LiveCall]:
        """All that stand, without what was said in them."""
        # One report at a time, whoever asks: each takes a worker 0.1 ms in which none of its packets moves.
        async with self._survey:
            until = asyncio.get_running_loop().time() + SURVEY_S
            return [_live(session, await self._report(session, until), []) for session in self._desk.standing()]

    async def call(self, call: str) -> LiveCall | None:
        """One call, standing or ended, with everything that has happened in it. None: there is none of this name.

        Raises StoreError when nobody can tell.
        """
        session = next((one for one in self._desk.standing() if one.call == call), None)
        if session is None:
            kept = await self._store.find(call)
            return LiveCall(state="ended" if kept.ended_at else "elsewhere", record=kept) if kept else None
        async with self._survey:
            until = asyncio.get_running_loop().time() + SURVEY_S
            return _live(session, await self._report(session, until), list(session.record.moments))

    async def _report(self, session: Session, until: float) -> wire.CallReport | None:
        left_s = until - asyncio.get_running_loop().time()
        return await self._pool.report(session.call, left_s) if left_s > 0 else None


def _process(child: Child[Any, Any], figures: wire.Figures | None = None) -> Process:
    return Process(child.name, child.pid, child.is_ready, max(0, child.starts - 1), figures)


def _live(session: Session, report: wire.CallReport | None, moments: list[wire.Moment]) -> LiveCall:
    # A call that ended while its figures were asked for has them in its record already.
    media = report or session.record.media
    record = msgspec.structs.replace(session.record, platform=session.platform, media=media, moments=moments)
    return LiveCall(state=session.state.name.lower(), record=record)
