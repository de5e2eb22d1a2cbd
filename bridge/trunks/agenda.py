"""Who is due when: one deadline for each name, the earliest first. Pure.

A heap in which outdated entries stay until they come up: moving a deadline costs no search.
"""

from __future__ import annotations

import heapq


class Agenda:
    def __init__(self) -> None:
        self._heap: list[tuple[float, str]] = []
        self._at: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._at)

    def put(self, name: str, at: float | None) -> None:
        """Instead of the deadline it had. None: it has none."""
        if at is None:
            self._at.pop(name, None)
        elif self._at.get(name) != at:
            self._at[name] = at
            heapq.heappush(self._heap, (at, name))

    def next(self) -> float | None:
        """The earliest deadline of all."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[str]:
        """Those whose time has come, each once; they have no deadline until they are put again."""
        names = []
        while (at := self.next()) is not None and at <= now:
            _, name = heapq.heappop(self._heap)
            del self._at[name]
            names.append(name)
        return names
