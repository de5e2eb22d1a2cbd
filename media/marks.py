"""Marks: names that a platform puts between its audio, and wants back when the audio before them has left.

Pure. A place is a number of bytes since the stream began, so that whatever takes audio out of the queue (a tick, a
barge-in, an overflow, a cut) brings every mark nearer without knowing of it.
"""

from __future__ import annotations

from collections import deque

MOST_MARKS = 4000
"""One for each 20 ms of eighty seconds. With one more the oldest comes back early: an agent may wait for the last one
before it hangs up, so none may be lost."""


class Marks:
    """Those of one far end, in the order in which they came. Each is given back exactly once."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, str]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, name: str, place: int) -> bool:
        """`place` never falls from one mark to the next. False: too many wait, and the oldest waits no longer."""
        self._waiting.append((place, name))
        if len(self._waiting) <= MOST_MARKS:
            return True
        self._waiting[0] = (0, self._waiting[0][1])
        return False

    def reached(self, place: int) -> list[str]:
        """Names of the marks up to this place."""
        names: list[str] = []
        while self._waiting and self._waiting[0][0] <= place:
            names.append(self._waiting.popleft()[1])
        return names

    def forget(self) -> None:
        """Nobody wants them any more."""
        self._waiting.clear()
