"""The one that writes: takes entries at once, and sees to it that each is on a disk within a moment, whatever happens.

    put() -> pending -> one batch, one transaction -> database           all is well: DIRECT
                     -> spool (flushed to disk)    -> database, later    it is away, slow, full: AWAY

A batch that the database has not taken within PATIENCE_S goes into the spool too, and the attempt is left to finish:
being taken twice does an entry no harm. One task does all of this, so entries keep their order. Trouble is told when it
begins and when it is over, not once per call.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

from bridge.errors import StoreDown, StoreError
from bridge.store.database import EntryRefused
from bridge.store.entries import Entry

log = logging.getLogger(__name__)

PATIENCE_S = 0.15
"What a call that is about to be answered may wait for its row in the database; then the spool must do."
BATCH = 500
MOST_PENDING_BYTES = 64 << 20
"In memory, when neither database nor spool takes any. The oldest beyond that live on in the log alone."
SLOW_S = 5.0
"An attempt that is on its way for so long is worth a line in the log."
AGAIN_S, LONGEST_S = 0.25, 15.0
"Between attempts: the first time, and at most."
LAST_S = 1.0
"How long the database may still come back when the bridge stops. What it does not take lies in the spool."
CLOSE_S = 10.0
"What an attempt that is on its way then may take."

T = TypeVar("T")


class Target(Protocol):
    """What is written to; `bridge.store.database` has it."""

    async def apply(self, entries: Sequence[Entry]) -> None: ...


class Waiting(Protocol):
    """Where entries wait; `bridge.store.spool` has it. Blocking."""

    end: int

    def append(self, entries: Sequence[Entry]) -> None: ...
    def read(self, position: int, at_most: int) -> tuple[list[Entry], int]: ...
    def clear(self) -> None: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class _Attempt:
    task: asyncio.Task[None]
    began_s: float
    covers: int
    "So much of the spool has found its place when it succeeds."


class Writer:
    """It begins AWAY: what the spool holds from an earlier life comes first."""

    def __init__(
        self,
        database: Target,
        claim_spool: Callable[[], Waiting],
        *,
        patience_s: float = PATIENCE_S,
        again_s: float = AGAIN_S,
        roll: Callable[[], float] = random.random,
    ) -> None:
        self._database, self._claim_spool = database, claim_spool
        self._spool: Waiting
        self._patience_s, self._again_s, self._roll = patience_s, again_s, roll
        self._pending: deque[tuple[Entry, asyncio.Future[None]]] = deque()
        self._pending_bytes = 0
        self._wake = asyncio.Event()
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")
        self._task: asyncio.Task[None] | None = None
        self._stops_at_s = math.inf
        self._attempt: _Attempt | None = None
        self._position = 0
        "Up to here the spool has found its place."
        self._failures, self._again_at_s = 0, 0.0
        self._has_told, self.spool_fails = False, False
        self.is_direct = asyncio.Event()
        self.trouble: StoreError | None = None
        "Why the last attempt failed; None: it did not."

    def start(self) -> None:
        """Raises what `claim_spool` raises. What was put before waits until now."""
        self._spool = self._claim_spool()
        self._task = asyncio.create_task(self._run(), name="store")

    def put(self, entry: Entry) -> asyncio.Future[None]:
        """Done when the entry is on a disk, here or there. Never fails, never blocks."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((entry, future))
        self._pending_bytes += len(entry.document)
        while self._pending_bytes > MOST_PENDING_BYTES:
            oldest, waiter = self._take(1)[0]
            _give_up(oldest, "neither store nor spool takes any")
            _done(waiter)
        self._wake.set()
        return future

    async def close(self) -> None:
        """Returns when all is on a disk, or cannot be and has been logged. Twice is once."""
        if math.isinf(self._stops_at_s):
            self._stops_at_s = asyncio.get_running_loop().time() + LAST_S
            self._failures, self._again_at_s = 0, 0.0  # it may have come back since the last attempt
            self._wake.set()
        if self._task is not None:
            await self._task
            self._task = None
            await self._on_disk(self._spool.close)
            self._disk.shutdown()

    # --- the loop ---

    async def _run(self) -> None:
        while not self._is_over():
            await self._something_to_do()
            if self._pending:
                await self._store_pending()
            if not self.is_direct.is_set():
                await self._come_back()
        if self._attempt is not None:
            await asyncio.wait({self._attempt.task}, timeout=CLOSE_S)
            await self._come_back()
        for entry, waiter in self._take(len(self._pending)):
            _give_up(entry, "neither store nor spool takes any")
            _done(waiter)

    def _is_over(self) -> bool:
        if math.isinf(self._stops_at_s):
            return False
        if self.is_direct.is_set():
            return not self._pending
        is_late = asyncio.get_running_loop().time() >= self._stops_at_s
        return is_late and (not self._pending or self.spool_fails)

    async def _something_to_do(self) -> None:
        """Until there is a new entry, an attempt has ended, or it is time for the next one."""
        if not self.is_direct.is_set():
            loop = asyncio.get_running_loop()
            at_s = loop.time() + SLOW_S if self._attempt else self._again_at_s
            timer = loop.call_at(min(at_s, self._stops_at_s), self._wake.set)
            await self._wake.wait()
            timer.cancel()
        elif not self._pending and math.isinf(self._stops_at_s):
            await self._wake.wait()
        self._wake.clear()

    async def _store_pending(self) -> None:
        batch = self._take(BATCH)
        entries = [entry for entry, _ in batch]
        is_mine = self.is_direct.is_set()
        if is_mine:
            self._begin(entries, covers=0)
            if await self._attempt_succeeds():
                _done(*(waiter for _, waiter in batch))
                return
        self.is_direct.clear()
        if not await self._spool_takes(entries):
            self._pending.extendleft(reversed(batch))
            self._pending_bytes += sum(len(entry.document) for entry in entries)
            return
        if is_mine and self._attempt is not None:
            self._attempt.covers = self._spool.end
        _done(*(waiter for _, waiter in batch))
        if self._pending:
            self._wake.set()

    async def _spool_takes(self, entries: Sequence[Entry]) -> bool:
        try:
            await self._on_disk(lambda: self._spool.append(entries))
        except OSError as error:
            if not self.spool_fails:
                self.spool_fails = True
                log.error("! the spool takes nothing either (%s); records wait in memory", error.strerror)
            return False
        self.spool_fails = False
        return True

    def _take(self, at_most: int) -> list[tuple[Entry, asyncio.Future[None]]]:
        taken = [self._pending.popleft() for _ in range(min(at_most, len(self._pending)))]
        self._pending_bytes -= sum(len(entry.document) for entry, _ in taken)
        return taken

    # --- attempts ---

    def _begin(self, entries: Sequence[Entry], covers: int) -> None:
        task = asyncio.create_task(self._apply(entries), name="store attempt")
        task.add_done_callback(lambda _: self._wake.set())
        self._attempt = _Attempt(task, asyncio.get_running_loop().time(), covers)

    async def _apply(self, entries: Sequence[Entry]) -> None:
        try:
            await self._database.apply(entries)
        except StoreError:
            raise
        except EntryRefused as refused:
            if len(entries) == 1:
                _give_up(entries[0], str(refused))
            else:
                await self._apply_each(entries)
        except Exception:
            if len(entries) == 1:
                raise
            await self._apply_each(entries)

    async def _apply_each(self, entries: Sequence[Entry]) -> None:
        """One of them is bad, and must not keep the others. Where all fail in the same way it may be the database."""
        bad: list[tuple[Entry, Exception]] = []
        for entry in entries:
            try:
                await self._apply([entry])
            except StoreError:
                raise
            except Exception as bug:
                bad.append((entry, bug))
        if len(bad) == len(entries):
            raise bad[0][1]
        for entry, why in bad:
            log.error("! bug in the store", exc_info=why)
            _give_up(entry, f"bug: {type(why).__name__}")

    async def _attempt_succeeds(self) -> bool:
        """Within our patience. Otherwise it has failed and is gone, or goes on."""
        assert self._attempt is not None
        await asyncio.wait({self._attempt.task}, timeout=self._patience_s)
        if not self._attempt.task.done():
            return False
        failure = self._attempt.task.exception()
        self._attempt = None
        if failure is None:
            self._failures, self.trouble = 0, None
            return True
        self._failures += 1
        wait_s = min(LONGEST_S, self._again_s * 2 ** min(self._failures - 1, 10)) * (0.5 + self._roll() / 2)
        self._again_at_s = asyncio.get_running_loop().time() + wait_s
        if not isinstance(failure, StoreError):
            log.error("! bug in the store", exc_info=failure)
            failure = StoreDown(f"bug: {type(failure).__name__}")
        self.trouble = failure
        self._tell(str(failure))
        return False

    async def _come_back(self) -> None:
        """One step of it: what lies in the spool into the database, in its order; then DIRECT again."""
        now_s = asyncio.get_running_loop().time()
        if self._attempt is None:
            if now_s < self._again_at_s:
                return
            entries, covers = await self._on_disk(lambda: self._spool.read(self._position, BATCH))
            self._begin(entries, covers)
            assert self._attempt is not None
        covers, began_s = self._attempt.covers, self._attempt.began_s
        if await self._attempt_succeeds():
            self._position = max(self._position, covers)
            if self._position >= self._spool.end:
                await self._all_is_well()
        elif self._attempt is not None and now_s - began_s >= SLOW_S:
            self._tell(f"no answer for {now_s - began_s:.0f} s")

    async def _all_is_well(self) -> None:
        if self._spool.end:
            try:
                await self._on_disk(self._spool.clear)
            except OSError as error:
                log.error("! the spool cannot be emptied (%s); it will be read again", error.strerror)
        self._position, self.spool_fails = 0, False
        if self._has_told:
            self._has_told = False
            log.warning("= the store takes records again; what waited is in it")
        self.is_direct.set()
        self._wake.set()

    def _tell(self, why: str) -> None:
        if not self._has_told:
            self._has_told = True
            log.error("! the store takes no records (%s); they wait in the spool", why)

    async def _on_disk(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)


def _done(*waiters: asyncio.Future[None]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)


def _give_up(entry: Entry, why: str) -> None:
    """The log is the last place where this can still be remembered."""
    log.error("! %s %s is not stored (%s): %s", entry.kind, entry.key, why, entry.document.decode())
