"""Work that is too long for one turn of the loop, in pieces: one in a turn, whoever has some in turn.

So everything else (packets, ticks, other calls' audio) waits for one piece at most, however much there is to do and
however many calls have some.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Pieces:
    """A worker's. A piece is a function that does a little and says whether there is more."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[Callable[[], bool], None] = {}

    def add(self, piece: Callable[[], bool]) -> None:
        """Call it in turns to come until there is no more. Twice is once."""
        if not self._waiting:
            self._loop.call_soon(self._turn)
        self._waiting.setdefault(piece)

    def _turn(self) -> None:
        piece, again = next(iter(self._waiting)), False
        try:
            again = piece()
        finally:  # one that raises is not called again; the others' turn must come all the same
            del self._waiting[piece]
            if again:
                self._waiting[piece] = None
            if self._waiting:
                self._loop.call_soon(self._turn)
