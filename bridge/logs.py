"""Structured logs: one line per happening, the call's id in each, no secret in any.

    18:44:18.123 info    7f3a91c2 < Incoming from 127.0.0.1:5061          on a terminal
    {"at": "...", "level": "info", "call": "7f3a91c2", "msg": "< Incoming ..."}       otherwise

Arrows: `<` came in, `>` went out, `=` state changed, `!` trouble. A call's id comes by `extra={"call": ...}` or, inside
a task that belongs to a call, from the context variable `current_call`.
"""

from __future__ import annotations

import contextvars
import json
import logging
import re
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, TextIO

current_call: contextvars.ContextVar[str] = contextvars.ContextVar("current_call", default="")

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
NOISY = ("httpx", "httpcore", "asyncio")
"Libraries that log every request with its URL: heard from warning upwards only."
SOCKET_URL = re.compile(r"wss?://\S+")
"Media URLs are credentials on every platform we know."


class Mask:
    """Takes secrets out of whatever is about to be written."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # Short ones would mask half of the log and protect nothing.
        words = sorted({word for word in secrets if len(word) >= 6}, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, words))) if words else None

    def __call__(self, text: str) -> str:
        text = SOCKET_URL.sub("ws***", text)
        return self._secrets.sub("***", text) if self._secrets else text


class _Formatter(logging.Formatter):
    def __init__(self, render: Callable[[dict[str, Any]], str], mask: Mask) -> None:
        super().__init__()
        self._render, self._mask = render, mask

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "log": record.name,
            "call": getattr(record, "call", "") or current_call.get(),
            "msg": self._mask(record.getMessage()),
        }
        if record.exc_info:
            line["trace"] = self._mask(self.formatException(record.exc_info))
        return self._render(line)


def as_json(line: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in line.items() if value != ""}, ensure_ascii=False)


def as_text(line: dict[str, Any]) -> str:
    clock = datetime.fromisoformat(line["at"]).astimezone().strftime("%H:%M:%S.%f")[:-3]
    text = f"{clock} {line['level']:<7} {line['call'][:8]:<8} {line['msg']}"
    return f"{text}\n{line['trace']}" if "trace" in line else text


def configure(
    level: str = "info", style: str = "auto", *, secrets: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Everything that is logged in this process goes to `stream` (stderr), in one style."""
    stream = stream or sys.stderr
    text = style == "text" or (style == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Formatter(as_text if text else as_json, Mask(secrets)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    for name in NOISY:
        logging.getLogger(name).setLevel(max(LEVELS[level], logging.WARNING))


def relog(name: str, raw: bytes) -> None:
    """A line that a child wrote to its stderr: our JSON, or whatever it had to say when it died."""
    text = raw.decode("utf-8", "replace").rstrip()
    if not text:
        return
    line: object = None
    if text.startswith("{"):
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            line = None
    logger = logging.getLogger(f"child.{name}")
    if not isinstance(line, dict):
        logger.warning("%s: %s", name, text)
        return
    level = LEVELS.get(str(line.get("level", "info")).lower(), logging.INFO)
    message = str(line.get("msg", ""))
    if trace := line.get("trace"):
        message += f"\n{trace}"
    logger.log(level, "%s: %s", name, message, extra={"call": str(line.get("call", ""))})
