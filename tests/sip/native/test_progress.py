from __future__ import annotations

import io
import re
import threading

import pytest

from sip.native import progress
from sip.native.progress import CLEAR, Progress


class Screen(io.StringIO):
    """A terminal that tells when it has been written to so many times."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self.left, self.seen = writes, threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.left -= 1
        if self.left == 0:
            self.seen.set()
        return super().write(text)


def test_plain_lines() -> None:
    out = io.StringIO()
    talk = Progress(out)
    with talk.phase("configure"):
        talk.say("all is well")
    assert re.sub(r"\d+ s", "N s", out.getvalue()) == "-- configure\n-- all is well\n== configure (N s)\n"


def test_a_failed_phase_is_not_called_done() -> None:
    out = io.StringIO()
    with pytest.raises(OSError, match="no"), Progress(out).phase("configure"):
        raise OSError("no")
    assert out.getvalue() == "-- configure\n"


def test_a_moving_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "TICK_S", 0.001)
    screen = Screen(writes=3)
    with Progress(screen).phase("link"):
        assert screen.seen.wait(10)
    shown = re.sub(r"\d+ s", "N s", screen.getvalue())
    assert shown.startswith(f"{CLEAR}-- link N s" * 3)
    assert shown.endswith(f"{CLEAR}== link (N s)\n")
