"""The media workers as the desk sees them: places for calls, kept alive.

Each worker has its own share of the RTP ports. A call goes to the worker with the fewest and stays there; when that one
dies, every call of it hears WorkerLost and the worker is replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Protocol

import msgspec

from bridge.calls.words import WorkerLost
from bridge.children import CARE, Care, Child, Tongue
from bridge.errors import MediaError
from media import wire

TONGUE: Tongue[wire.Command, wire.AnyEvent] = Tongue(
    encode=wire.encode,
    decode=wire.decode_event,
    ping=lambda number: wire.Ping(number=number),
    stop=wire.Stop(),
    pong=wire.Pong,
    max_bytes=wire.MAX_MESSAGE_BYTES,
)

OnEvent = Callable[[str, wire.AnyEvent | WorkerLost], None]


class Workers(Protocol):
    """What the desk needs of them."""

    def place(self, call: str, beside: str = "") -> int:
        """Chooses the call's worker, that of the call `beside` if given. Raises MediaError when none is up."""

    def send(self, call: str, message: wire.Command) -> bool: ...

    def release(self, call: str) -> None: ...


@dataclass(slots=True)
class PooledWorker:
    """One of them, and the calls it has."""

    number: int
    child: Child[wire.Command, wire.AnyEvent]
    calls: set[str] = field(default_factory=set)
    figures: wire.Figures | None = None
    "As last told by the process that runs now."


class WorkerPool:
    def __init__(
        self,
        count: int,
        options: wire.WorkerOptions,
        *,
        dialects: str,
        codecs: Sequence[str] = (),
        care: Care = CARE,
        module: str = "media.worker",
    ) -> None:
        """`options` has the whole port range; `dialects` is where a worker finds its table (`module:NAME`); `codecs` is
        what it must be ready for.
        """
        self._on_event: OnEvent = lambda call, event: None
        self._by_call: dict[str, PooledWorker] = {}
        self._asked: dict[str, asyncio.Future[wire.CallReport]] = {}
        self.workers: list[PooledWorker] = []
        for number, (first, last) in enumerate(split_ports(options.first_port, options.last_port, count)):
            share = msgspec.structs.replace(options, first_port=first, last_port=last)
            child: Child[wire.Command, wire.AnyEvent] = Child(
                f"media{number}",
                [module, "--dialects", dialects, "--codecs", ",".join(codecs)],
                TONGUE,
                first=wire.Setup(options=share, worker=number),
                on_message=partial(self._receive, number),
                on_lost=partial(self._lost, number),
                care=care,
            )
            self.workers.append(PooledWorker(number, child))

    def __len__(self) -> int:
        return len(self.workers)

    async def start(self, on_event: OnEvent) -> None:
        """`on_event` hears all there is. Raises ChildFailed, leaving none behind, if one of them does not come up."""
        self._on_event = on_event
        results = await asyncio.gather(*(worker.child.start() for worker in self.workers), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                await self.stop()
                raise result

    async def stop(self) -> None:
        await asyncio.gather(*(worker.child.stop() for worker in self.workers))

    def place(self, call: str, beside: str = "") -> int:
        fit = [self._by_call[beside]] if beside in self._by_call else [] if beside else self.workers
        ready = [worker for worker in fit if worker.child.is_ready]
        if not ready:
            raise MediaError("no media worker is up")
        worker = min(ready, key=lambda one: len(one.calls))
        worker.calls.add(call)
        self._by_call[call] = worker
        return worker.number

    def send(self, call: str, message: wire.Command) -> bool:
        worker = self._by_call.get(call)
        return worker is not None and worker.child.send(message)

    def release(self, call: str) -> None:
        worker = self._by_call.pop(call, None)
        if worker:
            worker.calls.discard(call)

    async def report(self, call: str, timeout_s: float = 1.0) -> wire.CallReport | None:
        """The figures of a call so far. None when it is gone, or its worker has other things to do."""
        asked = self._asked.get(call)
        if asked is None:
            if not self.send(call, wire.ReportCall(call=call)):
                return None
            asked = self._asked[call] = asyncio.get_running_loop().create_future()
            asked.add_done_callback(lambda _: self._asked.pop(call, None))
        # Who asks meanwhile shares the answer, or the first one's impatience.
        await asyncio.wait({asked}, timeout=timeout_s)
        if not asked.done():
            asked.cancel()
        return None if asked.cancelled() else asked.result()

    def _receive(self, number: int, event: wire.AnyEvent) -> None:
        match event:
            case wire.Pong():
                pass
            case wire.Figures():
                self.workers[number].figures = event
            case wire.CallReported(call=call, report=report):
                if (asked := self._asked.get(call)) is not None and not asked.done():
                    asked.set_result(report)
            case _:
                self._on_event(event.call, event)

    def _lost(self, number: int, why: str) -> None:
        worker = self.workers[number]
        calls, worker.calls, worker.figures = sorted(worker.calls), set(), None
        for call in calls:
            del self._by_call[call]
        for call in calls:
            self._on_event(call, WorkerLost(f"media worker {number} {why}"))


def split_ports(first: int, last: int, count: int) -> list[tuple[int, int]]:
    """Shares of the range, each beginning with an even port (RFC 3550, 11) and ending with the odd one above."""
    first += first % 2
    pairs = (last + 1 - first) // 2 if last % 2 else (last + 2 - first) // 2
    if pairs < count:
        raise MediaError(f"RTP ports {first}-{last} are not enough for {count} workers")
    bounds = [first + 2 * (pairs * place // count) for place in range(count + 1)]
    return [(low, min(high - 1, last)) for low, high in pairwise(bounds)]
