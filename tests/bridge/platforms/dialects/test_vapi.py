from __future__ import annotations

import pytest

from bridge.platforms.dialects import VapiDialect
from media.far import Ready
from media.wire import FarSpec
from tests.bridge.platforms.transcripts import replayed, transcript

SPEC = FarSpec(platform="vapi-test", dialect="vapi", encoding="mulaw")


@pytest.mark.parametrize("name", ["vapi_barge_in", "vapi_tools_and_digits", "vapi_trouble"])
def test_recorded_conversations(name: str) -> None:
    lines = transcript(name)
    assert replayed(VapiDialect(SPEC), lines) == lines


@pytest.mark.parametrize("status", ["scheduled", "queued", "ringing", "forwarding", "not-found"])
def test_a_status_other_than_in_progress_is_not_ready(status: str) -> None:
    dialect = VapiDialect(SPEC)
    assert dialect.on_text(f'{{"type": "status-update", "status": "{status}"}}') == []
    assert dialect.on_text('{"type": "status-update", "status": "in-progress"}') == [Ready()]


def test_a_bare_object_may_have_a_message_of_its_own() -> None:
    text = '{"type": "transcript", "role": "user", "transcript": "x", "message": {"type": "user-interrupted"}}'
    assert [repr(one) for one in VapiDialect(SPEC).on_text(text)] == [
        "Ready()",
        "Transcript(who='caller', text='x', final=True, whole=True)",
    ]


def test_nothing_of_our_own_invention_is_said_at_the_start() -> None:
    assert VapiDialect(SPEC).on_open() == []
