from __future__ import annotations

import base64
import json
import logging

import pytest

from bridge.platforms.dialects import TwilioDialect
from media.far import Audio, Flush, Mark, Trouble
from media.wire import FarSpec
from tests.bridge.platforms.transcripts import replayed, transcript

STREAM = "MZ18ad3ab5a668481ce02b83e7395059f0"
START = {
    "accountSid": "AC3ed8aabd8a3f1e1c7d2c0d6b1f2a9b10",
    "callSid": "CA6b1d8e0b7c1f4a5f9a8f1a2b3c4d5e6f",
    "streamSid": STREAM,
    "customParameters": {"from_number": "+34910000001", "to_number": "+34910000002"},
}
SPEC = FarSpec(platform="agent", dialect="twilio", encoding="mulaw", sends_ahead=True, options=START)
SOUND = bytes(range(160))
PAYLOAD = base64.b64encode(SOUND).decode()


def opened() -> TwilioDialect:
    dialect = TwilioDialect(SPEC)
    dialect.on_open()
    return dialect


@pytest.mark.parametrize("name", ["twilio_barge_in", "twilio_marks_and_digits", "twilio_trouble"])
def test_recorded_conversations(name: str) -> None:
    lines = transcript(name)
    assert replayed(TwilioDialect(SPEC), lines) == lines


def test_the_callers_audio_byte_for_byte() -> None:
    (frame,) = opened().audio(SOUND, 20)
    assert isinstance(frame, str)
    assert json.loads(frame) == {
        "event": "media",
        "sequenceNumber": "2",
        "streamSid": STREAM,
        "media": {"track": "inbound", "chunk": "1", "timestamp": "20", "payload": PAYLOAD},
    }


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 60])
def test_a_message_is_20_ms_whatever_the_ptime_of_the_trunk(ptime_ms: int) -> None:
    dialect, voice = opened(), SOUND * 12
    size = 8 * ptime_ms
    frames = [frame for at in range(0, len(voice), size) for frame in dialect.audio(voice[at : at + size], at // 8)]
    media = [json.loads(frame)["media"] for frame in frames]
    assert [base64.b64decode(one["payload"]) for one in media] == [SOUND] * 12
    assert [one["timestamp"] for one in media] == [str(20 * number) for number in range(12)]


def test_audio_of_odd_length_is_neither_lost_nor_out_of_time() -> None:
    """As the filler and a reordered burst may give it, with a gap where audio had to be dropped."""
    dialect = opened()
    parts = [(SOUND[:100], 0), (SOUND[100:], 12), (SOUND[:1], 20), (SOUND[1:] + SOUND, 1000), (b"", 1039)]
    media = [json.loads(frame)["media"] for data, at_ms in parts for frame in dialect.audio(data, at_ms)]
    assert b"".join(base64.b64decode(one["payload"]) for one in media) == SOUND * 3
    assert [one["timestamp"] for one in media] == ["0", "1000", "1020"]


@pytest.mark.parametrize("size", [0, 1, 2, 159, 160, 4001, 480_000])
def test_the_agents_audio_of_any_length(size: int) -> None:
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    text = json.dumps({"event": "media", "streamSid": STREAM, "media": {"payload": base64.b64encode(data).decode()}})
    assert opened().on_text(text) == [Audio(data)]


@pytest.mark.parametrize(
    "text",
    [
        f'{{"media": {{"payload": "{PAYLOAD}", "track": "outbound"}}, "streamSid": "{STREAM}", "event": "media"}}',
        f'{{"event": "media", "sequenceNumber": 7, "streamSid": "{STREAM}", "media": {{"payload": "{PAYLOAD}"}}}}',
    ],
    ids=["in another order", "with more in it"],
)
def test_what_agents_add_or_move_does_not_matter(text: str) -> None:
    assert opened().on_text(text) == [Audio(SOUND)]


@pytest.mark.parametrize("sid", ["", '"streamSid": "MZ0", '])
def test_a_stream_that_is_not_ours_is_told_once_and_heard_all_the_same(sid: str) -> None:
    dialect = opened()
    trouble = Trouble("streamSid: missing, or not ours")
    assert dialect.on_text(f'{{"event": "clear", {sid}"x": 1}}') == [trouble, Flush()]
    assert dialect.on_text(f'{{"event": "clear", {sid}"x": 1}}') == [Flush()]


@pytest.mark.parametrize("name", ["", "turn-3", '"}', "naïve 😀", "a\nb", "x" * 1024])
def test_a_mark_comes_back_with_exactly_its_name(name: str) -> None:
    dialect = opened()
    text = json.dumps({"event": "mark", "streamSid": STREAM, "mark": {"name": name}})
    assert dialect.on_text(text) == [Mark(name)]
    (frame,) = dialect.on_mark(name)
    assert json.loads(frame)["mark"] == {"name": name}


def test_a_mark_with_an_endless_name_is_trouble() -> None:
    text = json.dumps({"event": "mark", "streamSid": STREAM, "mark": {"name": "x" * 1025}})
    assert opened().on_text(text) == [Trouble("mark: Expected `str` of length <= 1024 - at `$.mark.name`")]


def test_every_message_has_the_next_number_whatever_it_is() -> None:
    dialect = opened()
    frames = [
        *dialect.audio(SOUND, 0),
        *dialect.on_digit("5"),
        *dialect.on_mark("m"),
        *dialect.audio(SOUND, 20),
        *dialect.goodbye(),
    ]
    seen = [json.loads(frame) for frame in frames]
    assert [(one["event"], one["sequenceNumber"]) for one in seen] == [
        *(("media", "2"), ("dtmf", "3"), ("mark", "4"), ("media", "5"), ("stop", "6")),
    ]
    assert [one["media"]["chunk"] for one in seen if one["event"] == "media"] == ["1", "2"]
    assert {one["streamSid"] for one in seen} == {STREAM}


@pytest.mark.parametrize("digit", list("ABCD"))
def test_keys_that_twilio_does_not_know_are_not_told(digit: str) -> None:
    assert opened().on_digit(digit) == []


def test_a_binary_frame_is_no_audio_here() -> None:
    assert opened().on_binary(SOUND) == [Trouble("a binary frame: audio is text on this socket")]


def test_an_unknown_event_is_passed_over_with_its_name_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="bridge.platforms")
    assert opened().on_text('{"event": "transfer", "to": "+34910000009"}') == []
    assert caplog.messages == ["agent: < an event 'transfer', passed over"]
