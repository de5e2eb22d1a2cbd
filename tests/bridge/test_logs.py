"""Log lines: two styles, the call's id in each, no secret in any."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime

import pytest

from bridge import logs
from bridge.logs import Mask, current_call, relog

log = logging.getLogger("bridge.test")


@pytest.fixture(autouse=True)
def root() -> Iterator[None]:
    """The root logger as pytest had it, afterwards."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(style: str = "json", level: str = "info", stream: io.StringIO | None = None) -> io.StringIO:
    stream = stream or io.StringIO()
    logs.configure(level, style, secrets=["s3cret-key", "pw"], stream=stream)
    return stream


def test_json() -> None:
    stream = written()
    log.info("< INVITE from %s", "x", extra={"call": "c1"})
    log.debug("not this")
    [line] = [json.loads(text) for text in stream.getvalue().splitlines()]
    assert datetime.fromisoformat(line.pop("at")).utcoffset() is not None
    assert line == {"level": "info", "log": "bridge.test", "call": "c1", "msg": "< INVITE from x"}


def test_a_line_without_a_call() -> None:
    stream = written()
    log.info("ready")
    assert "call" not in json.loads(stream.getvalue())


@pytest.mark.parametrize("style", ["text", "auto"])
def test_text_on_a_terminal(style: str) -> None:
    stream = written(style, stream=Terminal())
    log.warning("! trouble", extra={"call": "0123456789abcdef"})
    log.info("ready")
    first, second = stream.getvalue().splitlines()
    assert first[12:] == " warning 01234567 ! trouble"
    assert second[12:] == " info             ready"


def test_auto_is_json_where_nobody_looks() -> None:
    stream = written("auto")
    log.info("x")
    assert stream.getvalue().startswith("{")


def test_the_call_of_a_task() -> None:
    stream = written()
    token = current_call.set("c9")
    log.info("inside")
    current_call.reset(token)
    log.info("outside")
    assert [json.loads(text).get("call") for text in stream.getvalue().splitlines()] == ["c9", None]


def test_secrets_and_media_urls_are_masked_in_tracebacks_too() -> None:
    stream = written()
    try:
        raise ValueError("key s3cret-key at wss://voice.example/x?token=1 refused")
    except ValueError:
        log.exception("with %s", "s3cret-key")
    line = json.loads(stream.getvalue())
    assert line["msg"] == "with ***"
    assert "key *** at ws*** refused" in line["trace"]
    assert "s3cret-key" not in stream.getvalue()
    assert "voice.example" not in stream.getvalue()


def test_a_traceback_as_text() -> None:
    stream = written("text")
    try:
        raise ValueError("oops")
    except ValueError:
        log.exception("!")
    assert stream.getvalue().splitlines()[1] == "Traceback (most recent call last):"


def test_short_words_are_no_secrets() -> None:
    assert Mask(["pw", ""])("pw ws://x y") == "pw ws*** y"


def test_longer_secrets_first() -> None:
    assert Mask(["secret", "secret-and-more"])("secret-and-more secret") == "*** ***"


def test_noisy_libraries_are_quiet_even_at_debug() -> None:
    stream = written(level="debug")
    logging.getLogger("httpx").info("HTTP Request: POST https://example")
    log.debug("ours")
    assert [json.loads(text)["msg"] for text in stream.getvalue().splitlines()] == ["ours"]


@pytest.mark.parametrize(
    ("raw", "level", "call", "msg"),
    [
        (b'{"level": "error", "msg": "! x", "call": "c1"}', "error", "c1", "sip: ! x"),
        (b'{"msg": "x"}', "info", None, "sip: x"),
        (b'{"level": "LOUD", "msg": "x", "trace": "T"}', "info", None, "sip: x\nT"),
        (b"Segmentation fault", "warning", None, "sip: Segmentation fault"),
        (b"{broken", "warning", None, "sip: {broken"),
        (b"\xff", "warning", None, "sip: \ufffd"),
    ],
)
def test_what_children_wrote(raw: bytes, level: str, call: str | None, msg: str) -> None:
    stream = written()
    relog("sip", raw)
    line = json.loads(stream.getvalue())
    assert (line["level"], line.get("call"), line["msg"], line["log"]) == (level, call, msg, "child.sip")


def test_nothing_is_nothing() -> None:
    stream = written()
    relog("sip", b"  \n")
    assert stream.getvalue() == ""
