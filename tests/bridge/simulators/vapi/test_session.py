from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from bridge.simulators.audio import Format, tone, tone_utterance
from bridge.simulators.calls import Close, Out, SimulatedCall
from bridge.simulators.part import ECHO, Part
from bridge.simulators.vapi.requests import settings
from bridge.simulators.vapi.session import Hooks, VapiSession

FORM = Format("mulaw", 8000)
START = 50.0
PART = Part(greeting=tone_utterance(440, 200, "good morning"), replies=(tone_utterance(550, 40, "yes"),), thinking_ms=0)

QUIET = ["status-update", "user-interrupted", "transcript"]
"Only these, where a test is about their order."


class Line:
    """A session with time in its hands; texts come out as dictionaries."""

    def __init__(self, part: Part = PART, *, has_server: bool = False, **assistant: Any) -> None:
        self.call = SimulatedCall("c1", FORM, 1)
        self.ends: list[str] = []
        self.tools: list[dict[str, Any]] = []
        self.frames: list[bytes] = []
        self._has_server = has_server
        hooks = Hooks(lambda _: None, self._end, self._tool)
        self.session = VapiSession(self.call, settings({"assistantOverrides": assistant}), part, hooks)
        self.now = START

    def _end(self, call: SimulatedCall, reason: str) -> None:
        if call.end(reason):
            self.ends.append(reason)

    def _tool(self, _: SimulatedCall, tool_call: dict[str, Any]) -> bool:
        self.tools.append(tool_call)
        return self._has_server

    def open(self) -> list[Any]:
        return self.seen(self.session.on_open(self.now))

    def text(self, **message: Any) -> list[Any]:
        return self.seen(self.session.on_text(json.dumps(message), self.now))

    def audio(self, data: bytes) -> list[Any]:
        self.call.received_bytes += len(data)
        return self.seen(self.session.on_binary(data, self.now))

    def wait(self, duration_s: float) -> list[Any]:
        seen: list[Any] = []
        end = self.now + duration_s
        while (deadline := self.session.next_deadline()) is not None and deadline <= end + 1e-9:
            self.now = max(self.now, deadline)
            seen += self.seen(self.session.on_timer(self.now))
        self.now = end
        return seen

    def seen(self, outs: list[Out]) -> list[Any]:
        self.frames += [out for out in outs if isinstance(out, bytes)]
        return [json.loads(out) if isinstance(out, str) else out for out in outs if not isinstance(out, bytes)]


def transcript(role: str, kind: str, text: str) -> dict[str, Any]:
    return {"type": "transcript", "role": role, "transcriptType": kind, "transcript": text}


def types(seen: list[Any]) -> list[str]:
    return [message["type"] for message in seen if isinstance(message, dict)]


def test_the_first_frame_is_the_status_and_a_turn_is_told_in_pieces() -> None:
    line = Line()
    opened = line.open()
    assert opened[0] == {"type": "status-update", "status": "in-progress"}
    assert types(opened[1:]) == ["speech-update", "model-output", "voice-input", "transcript"]
    assert opened[1] == {"type": "speech-update", "status": "started", "role": "assistant", "turn": 1}
    turn_id = opened[2]["turnId"]
    seen = line.wait(0.3)
    assert seen[0] == {"type": "model-output", "output": " morning", "turnId": turn_id}
    assert seen[2:5] == [
        transcript("assistant", "partial", "good morning"),
        {"type": "speech-update", "status": "stopped", "role": "assistant", "turn": 1},
        transcript("assistant", "final", "good morning"),
    ]
    assert seen[5]["conversation"] == [{"role": "assistant", "content": "good morning"}]
    assert len(seen) == 6


def test_the_downlink_never_pauses() -> None:
    line = Line()
    line.open()
    line.wait(1.0)
    assert len(line.frames) == 51  # one at the very beginning, then one each 20 ms
    assert {len(frame) for frame in line.frames} == {160}
    assert line.frames[:10] != [FORM.silence()] * 10
    assert line.frames[10:] == [FORM.silence()] * 41


def test_the_caller_interrupts_after_two_tenths_of_a_second() -> None:
    line = Line(clientMessages=QUIET)
    line.open()
    assert line.audio(FORM.encode(tone(300, 160))) == []
    seen = line.audio(FORM.encode(tone(300, 160)))
    assert types(seen) == ["user-interrupted", "transcript"]
    assert seen[1] == transcript("assistant", "final", "good")
    assert line.audio(FORM.silence(20)) == [
        transcript("user", "partial", "[0.3 s of speech]"),
        transcript("user", "final", "[0.3 s of speech]"),
    ]
    assert line.wait(0.02)[0] == transcript("assistant", "partial", "yes")


def test_the_plans_of_the_assistant_count() -> None:
    line = Line(
        clientMessages=QUIET,
        stopSpeakingPlan={"voiceSeconds": 0.05, "numWords": 0},
        startSpeakingPlan={"waitSeconds": 1},
    )
    line.open()
    assert types(line.audio(FORM.encode(tone(300, 100)))) == ["user-interrupted", "transcript"]
    assert line.audio(FORM.silence(49)) == []
    assert len(line.audio(FORM.silence(2))) == 2


@pytest.mark.parametrize("kind", ["end-call", "hangup"])
def test_the_client_ends_the_call(kind: str) -> None:
    line = Line()
    line.open()
    reason = "customer-ended-call"
    assert line.text(type=kind) == [{"type": "status-update", "status": "ended", "endedReason": reason}, Close(1000)]
    assert (line.ends, line.session.next_deadline()) == ([reason], None)


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"type":"keepalive"}', '{"type":7}', "{}"])
def test_an_unknown_message_closes_the_socket_without_a_code(text: str) -> None:
    line = Line()
    line.open()
    assert line.session.on_text(text, line.now) == [Close(None)]
    assert line.call.warnings == ["a message of unknown type"]


def test_say_waits_its_turn_and_may_end_the_call() -> None:
    line = Line(clientMessages=QUIET)
    line.open()
    assert line.text(type="say", content="mind the gap", endCallAfterSpoken=True) == []
    seen = line.wait(2)
    assert [message["transcript"] for message in seen if types([message]) == ["transcript"]] == [
        "good morning",
        "good morning",
        "mind",
        "mind the",
        "mind the gap",
        "mind the gap",
    ]
    assert (seen[-1], line.ends) == (Close(1000), ["assistant-ended-call"])


def test_say_may_push_in() -> None:
    line = Line(clientMessages=QUIET)
    line.open()
    seen = line.text(type="say", content="stop", interruptAssistantEnabled=True)
    assert types(seen) == ["user-interrupted", "transcript", "transcript"]


def test_a_message_is_answered_unless_told_otherwise() -> None:
    line = Line(clientMessages=QUIET)
    line.open()
    line.wait(0.3)
    quiet = {"role": "user", "content": "5"}
    assert line.text(type="add-message", message=quiet, triggerResponseEnabled=False) == []
    assert line.text(type="add-message", message="broken") == []
    assert line.wait(0.1) == []
    line.text(type="add-message", message={"role": "system", "content": "the caller is Ada"})
    assert line.wait(0.1)[0] == transcript("assistant", "partial", "yes")
    assert [message.text for message in line.call.messages] == ["good morning", "5", "yes"]


def test_controls_mute_either_side() -> None:
    line = Line(clientMessages=QUIET)
    line.open()
    line.frames.clear()
    line.text(type="control", control="mute-assistant")
    line.wait(0.1)
    assert line.frames == [FORM.silence()] * 5
    line.text(type="control", control="mute-customer")
    assert line.audio(FORM.encode(tone(300, 1000))) == []
    line.text(type="control", control="unmute-assistant")
    line.text(type="control", control="say-first-message")
    line.frames.clear()
    line.wait(0.2)
    assert set(line.frames) != {FORM.silence()}
    line.text(type="control", control="dance")
    assert line.call.warnings[-1] == "a control that is not known"


def test_what_has_no_effect_here_is_accepted() -> None:
    line = Line()
    line.open()
    for kind in ("transfer", "handoff", "append-context", "send-transport-message"):
        assert line.text(type=kind) == []
    assert line.ends == []


def asks_for_a_tool(*, has_server: bool) -> Line:
    part = Part(replies=PART.replies, tool_on_turn=1)
    tools = [{"type": "function", "function": {"name": "book"}}]
    line = Line(part, has_server=has_server, clientMessages=["tool-calls", "transcript"], model={"tools": tools})
    line.open()
    seen = line.text(type="add-message", message={"role": "user", "content": "book it"})
    assert seen == [{"type": "tool-calls", "toolCallList": line.tools, "toolWithToolCallList": []}]
    assert line.tools[0]["function"] == {"name": "book", "arguments": "{}"}
    return line


def test_a_tool_is_the_business_of_the_customers_server() -> None:
    line = asks_for_a_tool(has_server=True)
    assert line.wait(1) == []
    assert types(line.seen(line.session.finish_tool(line.now))) == ["transcript"]


def test_without_a_server_the_agent_goes_on_at_once() -> None:
    line = asks_for_a_tool(has_server=False)
    assert types(line.wait(0.02)) == ["transcript"]


def sends_on(line: Line) -> None:
    line.audio(FORM.silence())


@pytest.mark.parametrize("part", [PART, ECHO], ids=["agent", "echo"])
@pytest.mark.parametrize(
    ("assistant", "each_second", "reason", "after_s"),
    [
        ({"silenceTimeoutSeconds": 5}, lambda _: None, "silence-timed-out", 5),
        ({"maxDurationSeconds": 10, "silenceTimeoutSeconds": 5}, sends_on, "exceeded-max-duration", 10),
    ],
)
def test_silence_and_length_have_limits(
    part: Part, assistant: dict[str, Any], each_second: Callable[[Line], None], reason: str, after_s: int
) -> None:
    line = Line(part, **assistant)
    line.open()
    for _ in range(after_s - 1):
        each_second(line)
        line.wait(1)
        assert line.ends == []
    each_second(line)
    assert line.wait(1.1)[-1] == Close(1000)
    assert line.ends == [reason]


def test_an_echo_says_nothing_of_itself() -> None:
    line = Line(ECHO)
    assert types(line.open()) == ["status-update"]
    assert line.wait(3) == []
    assert line.text(type="say", content="x") == line.text(type="add-message", message={}) == []
    assert line.session.finish_tool(line.now) == []
    assert line.frames == []


def test_the_assistant_may_wait_for_the_caller() -> None:
    line = Line(firstMessageMode="assistant-waits-for-user")
    assert types(line.open()) == ["status-update"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [(1000, "customer-ended-call"), (1005, "customer-ended-call"), (1006, "phone-call-provider-closed-websocket")],
)
def test_how_the_client_left(code: int, reason: str) -> None:
    line = Line()
    line.open()
    line.session.on_close(code)
    assert line.ends == [reason]
