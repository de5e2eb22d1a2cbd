"""What stands between a foreign stack and us: its errors, its callbacks and its log lines. Knows no stack itself."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

log = logging.getLogger("sip")

LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO}
"PJSIP's 4 to 6 are our debug."
MAX_LOG_CHARACTERS = 500
FROM_OUTSIDE = (
    "Drop",
    "Bad SDP in incoming",
    "Error parsing/validating SDP body",
    "Error initializing media channel: Not Acceptable Here",
)
"Beginnings of lines that anybody who may call can bring about. PJSIP takes them for errors of ours."


class SipError(Exception):
    """The stack would not do it."""


class Guarded(Protocol):
    """Whose callbacks the stack calls."""

    name: str

    def on_failure(self) -> None:
        """One of them failed: our bug. Ends what it was about."""


G = TypeVar("G", bound=Guarded)
P = ParamSpec("P")


def guarded(callback: Callable[Concatenate[G, P], None]) -> Callable[Concatenate[G, P], None]:
    """No exception may pass back into C++. Around one call or one account, so its end is the worst that follows."""

    @functools.wraps(callback)
    def wrapper(self: G, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            callback(self, *args, **kwargs)
        except Exception:
            log.exception("%s failed", callback.__name__, extra={"call": self.name})
            self.on_failure()

    return wrapper


def log_line(level: int, text: str) -> None:
    """One line of PJSIP's own log.

    What it says about garbage and broken SDP is for debugging only: the gate counts that, and `Dropped` and
    `RefusedByStack` tell it, while a line for each would let scanners write our log.
    """
    text = text.strip()
    quiet = text.startswith(FROM_OUTSIDE)
    log.log(logging.DEBUG if quiet else LEVELS.get(level, logging.DEBUG), "pjsip: %s", text[:MAX_LOG_CHARACTERS])
