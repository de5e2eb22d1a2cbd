from __future__ import annotations

import wave
from pathlib import Path

import pytest

from bridge.simulators.part import ECHO, Part, converse, prompt


def test_the_speech_that_is_shipped_makes_a_whole_conversation() -> None:
    part = converse()
    assert part.greeting is not None
    spoken = [part.greeting, *part.replies]
    assert len(spoken) == 4
    assert all(utterance.text and utterance.duration_ms > 1000 for utterance in spoken)
    assert {utterance.rate_hz for utterance in spoken} == {8000}
    assert (part.after, part.listens, part.echoes) == ("hang-up", True, False)


def test_a_conversation_needs_its_recordings(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"greeting\.wav"):
        converse(tmp_path)


def test_a_prompt_is_a_file_or_a_tone(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "p.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", "not compressed"))
        file.writeframes(bytes(3200))
    from_file, from_tone = prompt(tmp_path / "p.wav", after="repeat").greeting, prompt().greeting
    assert from_file is not None
    assert from_tone is not None
    assert (from_file.duration_ms, from_tone.duration_ms) == (100, 1000)
    assert not prompt().listens


def test_what_the_caller_is_made_to_say() -> None:
    part = Part(caller_lines=("hello",))
    assert [part.caller_line(turn, 1440) for turn in (1, 2)] == ["hello", "[1.4 s of speech]"]
    assert Part(echoes=True) == ECHO
