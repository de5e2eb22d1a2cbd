from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.simulators.audio import Format, tone, tone_utterance
from bridge.simulators.calls import Close, Out, SimulatedCall
from bridge.simulators.part import ECHO, Part
from bridge.simulators.ultravox.requests import AgentCallRequest, CallRequest, DirectCallRequest, read
from bridge.simulators.ultravox.session import UltravoxSession, manners_of

FORM = Format("s16le", 8000)
START = 50.0
PART = Part(greeting=tone_utterance(440, 100, "good morning"), replies=(tone_utterance(550, 40, "yes"),), thinking_ms=0)


class Line:
    """A session with time in its hands; texts come out as dictionaries, sound as the number of frames."""

    def __init__(self, part: Part = PART, *, agent: bool = False, medium: dict[str, Any] | None = None, **more: Any):
        body = {"medium": {"serverWebSocket": {"inputSampleRate": 8000, **(medium or {})}}, **more}
        kind: type[CallRequest] = AgentCallRequest if agent else DirectCallRequest
        self.call = SimulatedCall("c1", FORM, 1)
        self.ends: list[str] = []
        self.session = UltravoxSession(
            self.call, read(body, kind), part, lambda _: None, lambda _, reason: self._end(reason)
        )
        self.now = START

    def _end(self, reason: str) -> None:
        if self.call.end(reason):
            self.ends.append(reason)

    def open(self) -> list[Any]:
        return self._seen(self.session.on_open(self.now))

    def text(self, **message: Any) -> list[Any]:
        return self._seen(self.session.on_text(json.dumps(message), self.now))

    def audio(self, data: bytes) -> list[Any]:
        self.call.received_bytes += len(data)
        return self._seen(self.session.on_binary(data, self.now))

    def wait(self, duration_s: float) -> list[Any]:
        seen: list[Any] = []
        end = self.now + duration_s
        while (deadline := self.session.next_deadline()) is not None and deadline <= end + 1e-9:
            self.now = max(self.now, deadline)
            seen += self._seen(self.session.on_timer(self.now))
        self.now = end
        return seen

    @staticmethod
    def _seen(outs: list[Out]) -> list[Any]:
        return [json.loads(out) if isinstance(out, str) else out for out in outs if not isinstance(out, bytes)]


def agent_says(ordinal: int, final: bool, **text: str) -> dict[str, Any]:
    return {
        "type": "transcript",
        "role": "agent",
        "medium": "voice",
        **text,
        "final": final,
        "ordinal": ordinal,
    }


GREETED = [
    agent_says(0, False, delta=" morning"),
    agent_says(0, True, text="good morning"),
    {"type": "state", "state": "listening"},
]


def test_the_order_of_a_call_from_hello_to_hang_up() -> None:
    line = Line()
    assert line.open() == [
        {"type": "call_started", "callId": "c1"},
        {"type": "state", "state": "speaking"},
        agent_says(0, False, text="good"),
    ]
    assert line.wait(0.2) == GREETED
    assert line.text(type="hang_up") == [Close(1000)]
    assert line.ends == ["agent_hangup"]
    assert line.session.next_deadline() is None
    line.session.on_close(1000)
    assert line.ends == ["agent_hangup"]


@pytest.mark.parametrize(("lead_ms", "frames"), [(60, 3), (30_000, 5)])
def test_the_buffer_of_the_client_bounds_the_lead(lead_ms: int, frames: int) -> None:
    line = Line(medium={"clientBufferSizeMs": lead_ms})
    sound = [out for out in line.session.on_open(START) if isinstance(out, bytes)]
    assert [len(frame) for frame in sound] == [320] * frames


def test_the_two_directions_may_have_two_rates() -> None:
    line = Line(medium={"outputSampleRate": 24000})
    assert {len(out) for out in line.session.on_open(START) if isinstance(out, bytes)} == {960}


def test_barge_in_clears_then_truncates_then_listens() -> None:
    line = Line(medium={"clientBufferSizeMs": 30_000}, vadSettings={"minimumInterruptionDuration": "0.05s"})
    line.open()
    assert line.audio(FORM.encode(tone(300, 100))) == [
        {"type": "playback_clear_buffer"},
        agent_says(0, True, text="good"),
        {"type": "state", "state": "listening"},
    ]
    assert line.wait(0.5) == []
    heard = line.audio(bytes(16 * 400))
    assert heard[0] == {
        "type": "transcript",
        "role": "user",
        "medium": "voice",
        "text": "[0.1 s of speech]",
        "final": True,
        "ordinal": 1,
    }
    assert heard[1] == {"type": "state", "state": "thinking"}
    assert line.wait(0.2)[:2] == [{"type": "state", "state": "speaking"}, agent_says(2, False, text="yes")]


def test_messages_can_be_switched_off_and_on() -> None:
    off = dict.fromkeys(("state", "transcript", "callStarted", "playbackClearBuffer", "pong"), False)
    line = Line(medium={"dataMessages": {**off, "userStartedSpeaking": True, "callEvent": True}})
    assert line.open() == line.wait(0.2) == line.text(type="ping", timestamp=1) == []
    assert line.audio(FORM.encode(tone(300, 100))) == [{"type": "user_started_speaking"}]
    assert line.text(type="dance") == [
        {"type": "call_event", "severity": "warning", "text": "a message of unknown type"}
    ]


def test_a_ping_is_answered_with_its_own_time() -> None:
    line = Line()
    line.open()
    assert line.text(type="ping", timestamp=1.5) == [{"type": "pong", "timestamp": 1.5}]


def test_a_written_message_is_urgent_soon_or_later() -> None:
    line = Line()
    line.open()
    assert line.text(type="user_text_message", text="5", urgency="later") == []
    assert line.text(type="user_text_message", text="", urgency="immediate")[0] == {"type": "playback_clear_buffer"}
    assert line.text(type="user_text_message", text="5") == [{"type": "state", "state": "thinking"}]
    assert [message.text for message in line.call.messages] == ["5", "good", "5"]


def test_words_can_be_forced_upon_the_agent() -> None:
    line = Line()
    line.open()
    line.wait(0.2)
    seen = line.text(type="forced_agent_message", content="mind the gap", uninterruptible=True)
    assert seen == [{"type": "state", "state": "speaking"}, agent_says(1, False, text="mind")]
    assert line.audio(FORM.encode(tone(300, 300))) == []


def test_the_round_trip_of_a_tool() -> None:
    part = Part(replies=PART.replies, tool_on_turn=1, thinking_ms=0)
    tools = [{"temporaryTool": {"modelToolName": "book", "client": {}}}]
    line = Line(part, selectedTools=tools)
    line.open()
    invocation = line.text(type="user_text_message", text="book it")[1]
    assert (invocation["type"], invocation["toolName"], invocation["parameters"]) == (
        "client_tool_invocation",
        "book",
        {},
    )
    assert line.text(type="client_tool_result", invocationId="other", result="{}") == []
    assert line.call.warnings == ["a tool result that nobody waits for"]
    seen = line.text(type="client_tool_result", invocationId=invocation["invocationId"], result="{}")
    assert seen[0] == {"type": "state", "state": "speaking"}


@pytest.mark.parametrize("text", ["", "no json", "[]", "7", '{"type": 5}', '{"type": "dance"}', "{}"])
def test_nonsense_is_noted_and_never_fatal(text: str) -> None:
    line = Line()
    line.open()
    assert line.session.on_text(text, START) == []
    assert len(line.call.warnings) == 1


def test_audio_that_stops_ends_the_call_only_when_asked_for() -> None:
    line = Line(medium={"mediaIdleTimeout": "2s"})
    line.open()
    line.audio(bytes(320))
    assert line.wait(9.5) == GREETED
    assert line.wait(1.5) == [Close(1000)]
    assert line.ends == ["connection_error"]
    patient = Line()
    patient.open()
    patient.wait(100)
    assert patient.ends == []


def test_audio_out_of_time_is_an_event() -> None:
    line = Line()
    line.open()
    line.audio(bytes(16 * 1000))
    line.wait(3)
    line.audio(b"")
    assert line.call.warnings == ["overflow", "underflow"]


def test_the_longest_duration_has_a_last_word() -> None:
    line = Line(maxDuration="10s", timeExceededMessage="time is up")
    line.open()
    seen = line.wait(12)
    assert seen[-2:] == [agent_says(1, True, text="time is up"), Close(1000)]
    assert line.ends == ["timeout"]


def test_an_echo_says_nothing_and_is_watched_all_the_same() -> None:
    line = Line(ECHO, medium={"mediaIdleTimeout": "10s"})
    assert line.session.echoes
    assert line.open() == [{"type": "call_started", "callId": "c1"}, {"type": "state", "state": "listening"}]
    for _ in range(15):
        line.call.received_bytes += 16_000
        assert line.wait(1) == []
    assert line.wait(12) == [Close(1000)]


@pytest.mark.parametrize(("code", "reason"), [(1000, "hangup"), (1005, "hangup"), (1006, "connection_error")])
def test_how_the_client_left(code: int, reason: str) -> None:
    line = Line()
    line.open()
    line.session.on_close(code)
    assert line.ends == [reason]


@pytest.mark.parametrize("more", [{"firstSpeaker": "FIRST_SPEAKER_USER"}, {"firstSpeakerSettings": {"user": {}}}])
def test_the_caller_may_be_asked_to_speak_first(more: dict[str, Any]) -> None:
    assert Line(**more).open()[1:] == [{"type": "state", "state": "listening"}]


def test_an_agent_call_has_the_manners_of_its_template() -> None:
    line = Line(agent=True, templateContext={"a": 1})
    assert line.open()[0]["type"] == "call_started"
    body = {"medium": {"serverWebSocket": {"inputSampleRate": 8000}}}
    assert manners_of(read(body, AgentCallRequest)).minimum_interruption_ms == 90
