from __future__ import annotations

import pytest

from bridge.platforms.dialects import UltravoxDialect
from media.far import Ready, State
from media.wire import FarSpec
from tests.bridge.platforms.transcripts import replayed, transcript

SPEC = FarSpec(platform="uv-test", dialect="ultravox")


@pytest.mark.parametrize("name", ["ultravox_barge_in", "ultravox_tools_and_digits", "ultravox_trouble"])
def test_recorded_conversations(name: str) -> None:
    lines = transcript(name)
    assert replayed(UltravoxDialect(SPEC), lines) == lines


def test_an_unknown_message_is_enough_to_be_ready_but_says_nothing_else() -> None:
    dialect = UltravoxDialect(SPEC)
    assert dialect.on_text('{"type": "announced_next_year", "x": [1]}') == [Ready()]
    assert dialect.on_text('{"type": "announced_next_year", "x": [1]}') == []


def test_ready_comes_once_and_before_what_the_message_says() -> None:
    dialect = UltravoxDialect(SPEC)
    assert dialect.on_text('{"type": "state", "state": "idle"}') == [Ready(), State("idle")]
    assert dialect.on_text('{"type": "call_started", "callId": "c"}') == []


def test_two_calls_do_not_share_their_readiness() -> None:
    first, second = UltravoxDialect(SPEC), UltravoxDialect(SPEC)
    first.on_text('{"type": "pong"}')
    assert second.on_text('{"type": "pong"}') == [Ready()]
