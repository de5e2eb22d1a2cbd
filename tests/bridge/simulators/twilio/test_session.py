from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from bridge.simulators.audio import Format, tone, tone_utterance
from bridge.simulators.calls import Close, Out, SimulatedCall
from bridge.simulators.part import ECHO, Part
from bridge.simulators.twilio.session import TwilioSession

FORM = Format("mulaw", 8000)
STREAM, CALL, ACCOUNT = "MZ" + "1" * 32, "CA" + "2" * 32, "AC" + "3" * 32
GREETING = tone_utterance(440, 1000, "good morning")
PART = Part(greeting=GREETING, replies=(tone_utterance(550, 300, "yes"),), thinking_ms=0)
LOUD = FORM.encode(tone(300, 500))
START: dict[str, Any] = {
    "accountSid": ACCOUNT,
    "callSid": CALL,
    "streamSid": STREAM,
    "tracks": ["inbound"],
    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    "customParameters": {"from_number": "+1"},
}


class Line:
    """A session, and a telephone's side that counts as it should."""

    def __init__(self, part: Part = PART, *, start: dict[str, Any] = START) -> None:
        self.call = SimulatedCall("c1", FORM, 1)
        self.session = TwilioSession(self.call, part)
        self.now, self.sequence, self.chunk, self.start_object = 50.0, 0, 0, start
        assert self.session.on_open(self.now) == []

    def open(self) -> list[Any]:
        assert self.say(event="connected", protocol="Call", version="1.0.0") == []
        return self.numbered("start", start=self.start_object)

    def say(self, **message: Any) -> list[Any]:
        return self.seen(self.session.on_text(json.dumps(message), self.now))

    def numbered(self, event: str, **fields: Any) -> list[Any]:
        self.sequence += 1
        return self.say(**{"event": event, "sequenceNumber": str(self.sequence), "streamSid": STREAM, **fields})

    def media(self, data: bytes, **changes: Any) -> list[Any]:
        sound = {"track": "inbound", "chunk": str(self.chunk + 1), "timestamp": str(self.chunk * 20)}
        self.chunk += 1
        return self.numbered("media", media={**sound, "payload": base64.b64encode(data).decode(), **changes})

    def speak(self, data: bytes) -> list[Any]:
        """In real time."""
        seen: list[Any] = []
        for at in range(0, len(data), FORM.frame_bytes):
            seen += self.media(data[at : at + FORM.frame_bytes]) + self.wait(0.02)
        return seen

    def back(self, name: str) -> list[Any]:
        return self.numbered("mark", mark={"name": name})

    def wait(self, duration_s: float) -> list[Any]:
        seen: list[Any] = []
        end = self.now + duration_s
        while (deadline := self.session.next_deadline()) is not None and deadline <= end + 1e-9:
            self.now = max(self.now, deadline)
            seen += self.seen(self.session.on_timer(self.now))
        self.now = end
        return seen

    @staticmethod
    def seen(outs: list[Out]) -> list[Any]:
        return [json.loads(out) if isinstance(out, str) else out for out in outs]


def sound(seen: list[Any]) -> bytes:
    return b"".join(base64.b64decode(one["media"]["payload"]) for one in seen if one["event"] == "media")


def marks(seen: list[Any]) -> list[str]:
    return [one["mark"]["name"] for one in seen if isinstance(one, dict) and one["event"] == "mark"]


def test_the_greeting_comes_at_once_each_chunk_with_its_mark() -> None:
    line = Line()
    seen = line.open()
    assert [one["event"] for one in seen] == ["media", "mark"] * 6
    assert {one["streamSid"] for one in seen} == {STREAM}
    assert sound(seen) == GREETING.encoded(FORM)
    assert len(base64.b64decode(seen[0]["media"]["payload"])) % FORM.frame_bytes != 0  # as a model's voice comes
    assert len(set(marks(seen))) == 6
    assert line.call.sent_ms == 1000
    assert line.call.request["customParameters"] == {"from_number": "+1"}
    assert line.call.warnings == []


def test_it_believes_the_marks_and_nothing_else() -> None:
    line = Line()
    names = marks(line.open())
    assert line.wait(30.0) == []  # much longer than the greeting: it may wait in a queue
    for name in names[:-1]:
        assert line.back(name) == []
    assert line.call.messages == []
    line.back(names[-1])
    assert [(one.role, one.text) for one in line.call.messages] == [("agent", "good morning")]


def test_it_hangs_up_when_its_last_word_was_heard() -> None:
    line = Line(Part(greeting=GREETING, after="hang-up"))
    *names, last = marks(line.open())
    assert [line.back(name) for name in names] == [[]] * len(names)
    assert line.back(last) == [Close()]
    assert line.call.end_reason == "agent hung up"
    assert line.session.next_deadline() is None


def test_an_interruption_takes_back_what_was_not_heard_and_its_marks_mean_nothing_then() -> None:
    line = Line()
    names = marks(line.open())
    line.back(names[0])
    seen = line.speak(LOUD)
    assert seen == [{"event": "clear", "streamSid": STREAM}]
    for name in names[1:]:
        assert line.back(name) == []
    reply = line.speak(FORM.silence(50)) + line.wait(1.0)
    assert sound(reply) == PART.replies[0].encoded(FORM)
    assert [(one.role, one.text) for one in line.call.messages[:1]] == [("agent", "good")]  # as far as it was heard
    assert line.call.warnings == []


def test_a_key_is_a_turn_of_the_callers() -> None:
    line = Line()
    line.open()
    seen = line.numbered("dtmf", dtmf={"track": "inbound_track", "digit": "5"}) + line.wait(0.1)
    assert seen[0] == {"event": "clear", "streamSid": STREAM}
    assert sound(seen[1:]) == PART.replies[0].encoded(FORM)
    assert line.call.messages[0].text == "5"


def test_an_echo_is_what_came_frame_by_frame() -> None:
    line = Line(ECHO)
    assert line.open() == []
    for size in (160, 1, 4000):
        assert sound(line.media(LOUD[:size])) == LOUD[:size]
    assert line.call.received_bytes == line.call.sent_bytes == 4161


def test_the_caller_hangs_up() -> None:
    line = Line(ECHO)
    line.open()
    assert line.numbered("stop", stop={"accountSid": ACCOUNT, "callSid": CALL}) == []
    line.session.on_close(1000)
    assert line.call.end_reason == "stop"
    assert [json.loads(text)["event"] for text in line.call.received_texts] == ["connected", "start", "stop"]


@pytest.mark.parametrize(("code", "reason"), [(1000, "closed without stop"), (1006, "connection lost")])
def test_a_socket_that_ends_without_a_word(code: int, reason: str) -> None:
    line = Line()
    line.open()
    line.session.on_close(code)
    assert line.call.end_reason == reason


# --- what a strict agent would have to complain of --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "warning"),
    [
        ({"event": "media"}, "not as Twilio says it: Object missing required field `sequenceNumber`"),
        ({"event": "dance"}, "not as Twilio says it: Invalid value 'dance' - at `$.event`"),
        ({"event": "connected", "protocol": "Call", "version": "1.0.0"}, "connected is not the first message"),
        (
            {"event": "mark", "sequenceNumber": 2, "streamSid": STREAM, "mark": {"name": "m"}},
            "not as Twilio says it: Expected `str`, got `int` - at `$.sequenceNumber`",
        ),
        (
            {"event": "mark", "sequenceNumber": "2", "streamSid": STREAM, "mark": {"name": "m"}},
            "mark `m` out of turn",
        ),
        (
            {"event": "stop", "sequenceNumber": "9", "streamSid": STREAM, "stop": START},
            "sequence number 9, due was 2",
        ),
        (
            {"event": "stop", "sequenceNumber": "2", "streamSid": "MZ" + "0" * 32, "stop": START},
            "a stream that is not this one",
        ),
        (
            {
                "event": "dtmf",
                "sequenceNumber": "2",
                "streamSid": STREAM,
                "dtmf": {"track": "inbound_track", "digit": "A"},
            },
            "not as Twilio says it: Expected `str` matching regex '^[0-9*#]$' - at `$.dtmf.digit`",
        ),
    ],
)
def test_one_wrong_message(message: dict[str, Any], warning: str) -> None:
    line = Line(ECHO)
    line.open()
    line.say(**message)
    assert line.call.warnings == [warning]


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"chunk": "7"}, "chunk 7, due was 2"),
        ({"timestamp": "19"}, "timestamp 19 after 20"),
        ({"timestamp": 20}, "not as Twilio says it: Expected `str`, got `int` - at `$.media.timestamp`"),
    ],
)
def test_a_media_message_that_is_off(changes: dict[str, Any], warning: str) -> None:
    line = Line(ECHO)
    line.open()
    line.media(LOUD[:160])
    line.media(LOUD[:160], **changes)
    assert line.call.warnings == [warning]


@pytest.mark.parametrize(
    "changes",
    [
        {"customParameters": {"n": 1}},
        {"mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": "8000", "channels": 1}},
        {"callSid": "CA1"},
    ],
)
def test_a_start_that_some_agents_would_not_take(changes: dict[str, Any]) -> None:
    line = Line(start=START | changes)
    assert line.open() == []
    assert line.call.warnings[0].startswith("not as Twilio says it: ")


def test_media_before_start_and_binary_frames_are_noted() -> None:
    line = Line(ECHO)
    line.media(LOUD[:160])
    line.session.on_binary(LOUD[:160], line.now)
    assert line.call.warnings == ["media before start", "a binary frame"]


def test_audio_that_does_not_come_in_real_time_is_noted() -> None:
    line = Line(ECHO)
    line.open()
    for _ in range(40):
        line.media(LOUD[:160])
    assert line.call.warnings == ["overflow"]
