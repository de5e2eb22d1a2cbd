"""PJSUA2's errors and its log, translated at the border: nobody above ever sees either."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pjsua2 as pj

from sip.border import SipError, log_line


@contextmanager
def translated(what: str = "") -> Iterator[None]:
    """The border: nobody above ever sees a PJSUA2 error."""
    try:
        yield
    except pj.Error as error:
        raise SipError(f"{what or error.title}: {error.reason}") from None


class Log(pj.LogWriter):
    """PJSIP's own log lines. Messages are never among them (`msgLogging` is off): they hold SRTP keys."""

    def write(self, entry: Any) -> None:
        log_line(entry.level, entry.msg)
