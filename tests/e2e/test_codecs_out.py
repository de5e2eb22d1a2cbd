"""`puente call` in every codec it can offer, to a bridge whose agent gives back what it hears."""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path

import numpy as np
import pytest

from sip.sdp import CODECS
from tests.helpers.ears import melody
from tests.helpers.placed import place
from tests.helpers.rig import rig

TONE_HZ, RATE_HZ = 440, 8000


async def test_every_codec(tmp_path: Path) -> None:
    """A tone goes out, through the other bridge and its agent, and is on the callee's side of the recording."""
    with wave.open(str(tmp_path / "tone.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(melody((TONE_HZ, 1000)).tobytes())
    names = ", ".join(f'"{name}"' for name in CODECS)
    async with rig(tmp_path, media=f"codecs = [{names}]") as house:

        async def call(codec: str) -> tuple[int, str, float]:
            folder = tmp_path / codec.replace("/", "-")
            record = ("--record", str(folder / "call.wav"))
            play = ("--play", str(tmp_path / "tone.wav"), "--seconds", "2")
            placed = await place(folder, f"sip:100@127.0.0.1:{house.udp[1]}", "--codec", codec, *play, *record)
            return placed.status, placed.record["codec"], loudest_hz(folder / "call.wav")

        calls = await asyncio.gather(*(call(codec) for codec in CODECS))
        await house.settled()
    assert [(status, codec) for status, codec, _ in calls] == [(0, codec) for codec in CODECS]
    assert [heard_hz for _, _, heard_hz in calls] == pytest.approx([TONE_HZ] * len(CODECS), abs=5)


def loudest_hz(path: Path) -> float:
    """On the left: what came back."""
    with wave.open(str(path), "rb") as file:
        rate_hz, left = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), np.int16)[::2]
    spectrum = np.abs(np.fft.rfft(left * np.hanning(len(left))))
    return float(np.argmax(spectrum)) * rate_hz / len(left)
