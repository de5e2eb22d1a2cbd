"""The store that keeps nothing: the last calls in memory, for tests, benchmarks and those who want no file."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict, deque

import msgspec

from bridge.errors import KeyReused
from bridge.records import CallRecord, TrunkEvent
from bridge.store.entries import Claim, document

KEPT = 1000
"Calls, events and keys each; the oldest go first."


class Forgetful:
    def __init__(self, instance: str = "") -> None:
        self.instance = instance or secrets.token_hex(4)
        self.is_well, self.is_in_memory_alone = True, False  # it is, and was asked to be
        self.events: deque[TrunkEvent] = deque(maxlen=KEPT)
        self._calls: OrderedDict[str, bytes] = OrderedDict()
        self._claims: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def begin(self, record: CallRecord) -> asyncio.Future[None]:
        return self._keep(record)

    def end(self, record: CallRecord) -> asyncio.Future[None]:
        return self._keep(record)

    def event(self, event: TrunkEvent) -> None:
        self.events.append(event)

    async def claim(self, key: str, fingerprint: str, call: str) -> Claim:
        known = self._claims.get(key)
        if known is None:
            self._claims[key] = fingerprint, call
            _forget(self._claims)
            return Claim(call, is_new=True)
        if known[0] != fingerprint:
            raise KeyReused(key)
        return Claim(known[1], is_new=False)

    async def find(self, call: str) -> CallRecord | None:
        kept = self._calls.get(call)
        return msgspec.json.decode(kept, type=CallRecord) if kept is not None else None

    async def start(self) -> None:
        """There is nothing to prepare, and below nothing to wait for."""

    async def close(self) -> None: ...

    def _keep(self, record: CallRecord) -> asyncio.Future[None]:
        self._calls[record.call] = document(record)  # as it is now: the session goes on writing into it
        self._calls.move_to_end(record.call)
        _forget(self._calls)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


def _forget(kept: OrderedDict[str, object] | OrderedDict[str, bytes] | OrderedDict[str, tuple[str, str]]) -> None:
    while len(kept) > KEPT:
        kept.popitem(last=False)
