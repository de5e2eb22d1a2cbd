from __future__ import annotations

import time
import wave
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.far import FarFailure, FarHappening, Heard, PlatformHungUp, PressKeys, Ready
from media.tape import Digits, Hangup, Play, Script, ScriptError, Tape, Wait, WaitFor, parse_script, read_wav
from media.wire import FarSpec
from tests.helpers.audio import Samples, level_db, loudest_hz, silence, tone


def wav(path: Path, *channels: Samples, rate_hz: int = 8000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.stack(channels, axis=1).tobytes())
    return path


@dataclass
class Ear:
    """Who listens to the tape."""

    audio: list[bytes] = field(default_factory=list)
    happenings: list[FarHappening] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def on_far_audio(self, data: bytes) -> None:
        self.audio.append(data)

    def on_far_happening(self, happening: FarHappening) -> None:
        self.happenings.append(happening)

    def on_far_lost(self, reason: str) -> None:
        self.lost.append(reason)


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_file_of_the_right_rate_is_read_as_it_is(tmp_path: Path) -> None:
    sound = tone(440, 0.5)
    assert read_wav(wav(tmp_path / "a.wav", sound), 8000) == sound.tobytes()


@pytest.mark.parametrize(("own_hz", "rate_hz"), [(16000, 8000), (8000, 16000), (44100, 8000), (48000, 24000)])
def test_other_rates_are_resampled(tmp_path: Path, own_hz: int, rate_hz: int) -> None:
    data = read_wav(wav(tmp_path / "a.wav", tone(440, 1.0, own_hz), rate_hz=own_hz), rate_hz)
    pcm = np.frombuffer(data, np.int16)
    assert len(pcm) == rate_hz
    assert loudest_hz(pcm, rate_hz) == pytest.approx(440, abs=1)
    assert level_db(pcm) == pytest.approx(level_db(tone(440, 1.0)), abs=0.2)


def test_of_stereo_the_left_side_is_taken(tmp_path: Path) -> None:
    left, right = tone(440, 0.5), tone(1000, 0.5)
    assert read_wav(wav(tmp_path / "a.wav", left, right), 8000) == left.tobytes()


def test_a_file_cut_off_in_the_middle_of_a_frame(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", tone(440, 0.5), tone(440, 0.5))
    path.write_bytes(path.read_bytes()[:-3])
    assert len(read_wav(path, 8000)) == 8000 - 2


def test_files_that_cannot_be_played(tmp_path: Path) -> None:
    text, narrow, empty = tmp_path / "text.wav", tmp_path / "narrow.wav", tmp_path / "empty.wav"
    text.write_text("This is not a sound, only a long sentence about one.")
    empty.write_bytes(b"")
    with wave.open(str(narrow), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(bytes(80))
    reasons = {}
    for path in (text, narrow, empty, tmp_path / "missing.wav"):
        with pytest.raises(ScriptError) as caught:
            read_wav(path, 8000)
        reasons[path.stem] = str(caught.value).removeprefix(f"{path}: ")
    assert reasons == {
        "text": "file does not start with RIFF id",
        "narrow": "8-bit samples; 16-bit PCM is needed",
        "empty": "",
        "missing": f"[Errno 2] No such file or directory: '{tmp_path / 'missing.wav'}'",
    }


# --- script -----------------------------------------------------------------------------------------------------------


def test_every_kind_of_step(tmp_path: Path) -> None:
    path = wav(tmp_path / "question.wav", tone(440, 0.5))
    raw: list[dict[str, Any]] = [
        {"wait_for": "speech"},
        {"wait_for": "silence", "for_ms": 700, "timeout_ms": 2500.0},
        {"play": str(path)},
        {"digits": "12*#"},
        {"wait_ms": 500},
        {"hangup": True},
    ]
    assert parse_script(raw, 16000) == [
        WaitFor(speech=True, lasting_s=0.0, timeout_s=10.0),
        WaitFor(speech=False, lasting_s=0.7, timeout_s=2.5),
        Play("question", read_wav(path, 16000), 0.5),
        Digits("12*#"),
        Wait(0.5),
        Hangup(),
    ]
    assert parse_script([], 8000) == []


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ({"sing": "a.wav"}, "{'sing': 'a.wav'} is none of play, wait_ms, wait_for, digits, hangup"),
        ({}, "{} is none of play, wait_ms, wait_for, digits, hangup"),
        ({"play": 5}, "{'play': 5} is none of play, wait_ms, wait_for, digits, hangup"),
        ({"wait_ms": "5"}, "{'wait_ms': '5'} is none of play, wait_ms, wait_for, digits, hangup"),
        ({"wait_for": "music"}, "{'wait_for': 'music'} is none of play, wait_ms, wait_for, digits, hangup"),
        ({"hangup": False}, "{'hangup': False} is none of play, wait_ms, wait_for, digits, hangup"),
        ("hangup", "'hangup' is none of play, wait_ms, wait_for, digits, hangup"),
        ({"play": "/no/such.wav"}, "/no/such.wav: [Errno 2] No such file or directory: '/no/such.wav'"),
        ({"digits": "12x"}, "'x' is no DTMF digit"),
        ({"wait_for": "speech", "for_ms": "long"}, "for_ms is 'long', not a number"),
        ({"wait_for": "speech", "timeout_ms": None}, "timeout_ms is None, not a number"),
    ],
)
def test_a_step_that_cannot_be_played_is_named(step: Any, why: str) -> None:
    with pytest.raises(ScriptError) as caught:
        parse_script([{"wait_ms": 1}, step], 8000)
    assert str(caught.value) == f"step 2: {why}"


def test_one_step_begins_when_the_last_is_over() -> None:
    play, digits = Play("a", b"", 1.0), Digits("1")
    script = Script([play, Wait(0.5), digits, Hangup()])
    begun = {now: script.step(now, False, 0.0) for now in (10.0, 10.5, 10.99, 11.0, 11.4, 11.5, 11.6)}
    assert {now: steps for now, steps in begun.items() if steps} == {10.0: [play], 11.5: [digits, Hangup()]}


@pytest.mark.parametrize("speech", [True, False])
def test_waiting_for_speech_or_silence_of_some_length(speech: bool) -> None:
    script = Script([WaitFor(speech, 0.3, 5.0), Hangup()])
    assert script.step(10.0, not speech, 0.0) == []
    assert script.step(11.0, speech, 11.0) == []  # it has just begun
    assert script.step(11.2, speech, 11.0) == []
    assert script.step(11.25, not speech, 11.25) == []  # and broke off
    assert script.step(11.5, speech, 11.4) == []
    assert script.step(11.8, speech, 11.4) == [Hangup()]


def test_what_lasts_already_counts() -> None:
    assert Script([WaitFor(False, 2.0, 5.0), Hangup()]).step(10.0, False, 7.0) == [Hangup()]


def test_waiting_ends_with_its_time() -> None:
    script = Script([WaitFor(True, 0.0, 2.0), Hangup()])
    assert [script.step(now, False, 0.0) for now in (10.0, 11.99, 12.0, 20.0)] == [[], [], [Hangup()], []]


# --- tape -------------------------------------------------------------------------------------------------------------


def tape(ear: Ear, *script: dict[str, Any]) -> Tape:
    return Tape(FarSpec(platform="tape", dialect="tape", options={"script": list(script)}), ear)


async def test_a_tape_plays_presses_and_hangs_up(tmp_path: Path) -> None:
    ear, sound = Ear(), tone(440, 0.2)
    player = tape(ear, {"play": str(wav(tmp_path / "hello.wav", sound))}, {"digits": "7"}, {"hangup": True})
    await player.open(1.0)
    assert ear.happenings == [Ready()]
    now = time.monotonic()
    player.tick(now)
    player.tick(now + 0.1)
    assert (ear.happenings[1:], ear.audio) == ([Heard("play hello")], [sound.tobytes()])
    player.tick(now + 0.3)
    player.tick(now + 0.4)
    assert ear.happenings[2:] == [PressKeys("7"), PlatformHungUp("script ended")]
    assert ear.lost == []


async def test_a_tape_hears_when_the_other_side_speaks() -> None:
    ear = Ear()
    listener = tape(ear, {"wait_for": "speech"}, {"wait_for": "silence", "for_ms": 500}, {"hangup": True})
    await listener.open(1.0)
    for sound in (silence(0.1), tone(300, 0.2), silence(0.4)):
        for at in range(0, len(sound), 160):
            listener.send_audio(sound[at : at + 160].tobytes())
            listener.tick(time.monotonic())
    assert ear.happenings == [Ready(), Heard("speech-started"), Heard("speech-ended")]
    listener.send_digit("1")
    listener.tick(time.monotonic() + 0.6)
    assert ear.happenings[3:] == [PlatformHungUp("script ended")]


async def test_a_bad_script_is_told_before_the_call_begins() -> None:
    ear = Ear()
    with pytest.raises(FarFailure) as caught:
        await tape(ear, {"hangup": True}, {"play": "/no/such.wav"}).open(1.0)
    assert (caught.value.cause, caught.value.detail.split(":")[0]) == ("nonsense", "step 2")
    assert ear.happenings == []


async def test_a_closed_tape_is_silent() -> None:
    ear = Ear()
    player = tape(ear, {"digits": "1"})
    await player.open(1.0)
    player.close()
    player.close()
    player.tick(time.monotonic())
    assert ear.happenings == [Ready()]


async def test_without_a_script_a_tape_only_listens() -> None:
    ear = Ear()
    listener = Tape(FarSpec(platform="tape", dialect="tape"), ear)
    await listener.open(1.0)
    listener.tick(time.monotonic() + 60)
    assert (ear.happenings, ear.audio, listener.backlog_dropped_ms) == ([Ready()], [], 0)
