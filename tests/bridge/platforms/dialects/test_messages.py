"""What holds for every dialect, whatever a platform sends."""

from __future__ import annotations

import json
import logging
import random
from typing import Any

import pytest

from bridge.platforms.dialects import DIALECTS, UltravoxDialect
from media.far import (
    Audio,
    Dialect,
    Flush,
    Mark,
    PlatformHungUp,
    Ready,
    State,
    ToolCalled,
    Transcript,
    Trouble,
)
from media.wire import FarSpec
from tests.bridge.platforms.transcripts import messages

PAYLOAD = "what-the-caller-said"
SOUP: list[Any] = [
    None,
    True,
    0,
    -1,
    1e300,
    10**40,
    "",
    PAYLOAD,
    [],
    [PAYLOAD],
    {},
    {PAYLOAD: PAYLOAD},
    "\ud800",
    "\x00",
]
HAPPENINGS = (Ready, Audio, Flush, Mark, Transcript, State, ToolCalled, PlatformHungUp, Trouble)
RAW = sorted(set(DIALECTS) - {"twilio"})
"Those whose binary frames are samples."


@pytest.fixture(params=sorted(DIALECTS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def dialect(kind: str) -> Dialect:
    return DIALECTS[kind](FarSpec(platform="p", dialect=kind))


def spoilt(value: Any, dice: random.Random) -> Any:
    """The same with something wrong somewhere inside."""
    if isinstance(value, dict) and value and dice.random() < 0.9:
        key = dice.choice(sorted(value))
        return {**value, key: spoilt(value[key], dice)}
    if isinstance(value, list) and value and dice.random() < 0.7:
        return [spoilt(value[0], dice), *value[1:]]
    return dice.choice(SOUP)


def assert_harmless(dialect: Dialect, text: str) -> None:
    for happening in dialect.on_text(text):
        assert isinstance(happening, HAPPENINGS)
        if isinstance(happening, Trouble):
            assert PAYLOAD not in happening.detail
            assert len(happening.detail) < 160


def test_a_field_of_any_wrong_type_never_raises(kind: str, dialect: Dialect) -> None:
    dice = random.Random(4733)
    good = messages(kind)
    for _ in range(3000):
        assert_harmless(dialect, json.dumps(spoilt(dice.choice(good), dice), ensure_ascii=dice.random() < 0.5))


def test_bytes_out_of_place_never_raise(kind: str, dialect: Dialect) -> None:
    dice = random.Random(6455)
    good = [json.dumps(message) for message in messages(kind)]
    for _ in range(3000):
        text = list(dice.choice(good))
        for _ in range(dice.randint(1, 4)):
            text[dice.randrange(len(text))] = chr(dice.choice([0, 34, 92, 123, 125, 0x20AC, 0xD800, 0x1F600]))
        assert_harmless(dialect, "".join(text[: dice.randint(0, len(text))]))


@pytest.mark.parametrize("key", ["x", "message", "type", "parameters", "toolCallList"])
def test_bottomless_nesting_is_trouble(dialect: Dialect, key: str) -> None:
    text = f'{{"type": "client_tool_invocation", "{key}": ' + "[" * 100_000 + "]" * 100_000 + "}"
    assert [type(one) for one in dialect.on_text(text)] == [Trouble]


@pytest.mark.parametrize(
    ("code", "ended"),
    [
        (0, PlatformHungUp("closed without a code")),
        (1000, PlatformHungUp("closed")),
        (1001, PlatformHungUp("going away")),
        (1005, PlatformHungUp("closed without a code")),
        (1006, None),
        (1011, None),
        (1012, None),
        (4000, None),
    ],
)
def test_which_close_is_a_hang_up(dialect: Dialect, code: int, ended: PlatformHungUp | None) -> None:
    assert dialect.on_close(code, PAYLOAD) == ended


@pytest.mark.parametrize("kind", RAW)
def test_binary_frames_are_samples_and_nothing_else(dialect: Dialect) -> None:
    assert dialect.raw_audio
    assert dialect.on_binary(b"\x01\x02") == [Audio(b"\x01\x02")]
    assert dialect.audio(b"\x01\x02", 20) == [b"\x01\x02"]


@pytest.mark.parametrize("kind", RAW)
def test_who_puts_no_marks_is_told_of_none(dialect: Dialect) -> None:
    assert dialect.on_mark("m") == []
    assert not dialect.ready_when_open


@pytest.mark.parametrize("kind", RAW)
@pytest.mark.parametrize("digit", list("ABCD"))
def test_the_keys_of_few_telephones_are_told_too(dialect: Dialect, digit: str) -> None:
    (frame,) = dialect.on_digit(digit)
    assert digit in json.dumps(json.loads(frame))


@pytest.mark.parametrize("digit", list("0123456789*#"))
def test_each_key_of_a_telephone_is_told_once(dialect: Dialect, digit: str) -> None:
    (frame,) = dialect.on_digit(digit)
    assert digit in json.dumps(json.loads(frame))


@pytest.mark.parametrize("digit", ["", "E", "12", " ", "\x00", "٣"])
def test_what_is_no_key_is_not_told(dialect: Dialect, digit: str) -> None:
    assert dialect.on_digit(digit) == []


def test_an_unknown_type_leaves_a_debug_line_with_its_name_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="bridge.platforms")
    UltravoxDialect(FarSpec(platform="uv", dialect="ultravox")).on_text(f'{{"type": "new", "text": "{PAYLOAD}"}}')
    assert caplog.messages == ["uv: < a message of type 'new', passed over"]
