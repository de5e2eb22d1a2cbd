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
    # what can not be read as SIP
    "Drop",
    "Error processing packet from",
    "Error parsing '",
    "Can't parse input string",
    "Field Content-Length not found",
    "Received illegal ACK",
    # bodies
    "Bad SDP in incoming",
    "Unknown Content-Type in incoming",
    "Error parsing/validating SDP body",
    "Error initializing media channel: Not Acceptable Here",
    "Error adding SDP",
    "Error adding media",
    "Error adding session",
    "Request verification failed",
    "SDP negotiation has failed",
    "Warning: error parsing multipart",
    "Unexpected end of buffer after boundary",
    "Failed to find newline",
    "Failed to find end-delimiter",
    "Invalid dtmf-relay format",
    "Warning: received NOTIFY",
)
"""Beginnings of lines that anybody who may call can bring about. PJSIP takes some for errors of ours.

Of these only the first line is kept: some go on with the whole packet, in which there may be keys (RFC 4568).
"""


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
    text, rank = text.strip(), LEVELS.get(level, logging.DEBUG)
    if text.startswith(FROM_OUTSIDE):
        text, rank = text.partition("\n")[0], logging.DEBUG
    log.log(rank, "pjsip: %s", text[:MAX_LOG_CHARACTERS])
