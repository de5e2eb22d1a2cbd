"""Says what is going on: a moving line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

TICK_S = 1.0
CLEAR = "\r\x1b[K"


class Progress:
    def __init__(self, out: TextIO = sys.stderr) -> None:
        self.out = out
        self.is_terminal = out.isatty()

    def say(self, line: str) -> None:
        self._write(f"{CLEAR if self.is_terminal else ''}-- {line}\n")

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start, done = time.monotonic(), threading.Event()
        if self.is_terminal:
            ticker = threading.Thread(target=self._tick, args=(name, start, done), daemon=True)
            ticker.start()
        else:
            self._write(f"-- {name}\n")
        try:
            yield
        finally:
            done.set()
            if self.is_terminal:
                ticker.join()
                self._write(CLEAR)
        self._write(f"== {name} ({time.monotonic() - start:.0f} s)\n")

    def _tick(self, name: str, start: float, done: threading.Event) -> None:
        while True:
            self._write(f"{CLEAR}-- {name} {time.monotonic() - start:.0f} s")
            if done.wait(TICK_S):
                return

    def _write(self, text: str) -> None:
        self.out.write(text)
        self.out.flush()
