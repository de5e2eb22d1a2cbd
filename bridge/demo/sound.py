"""The recording of a call: both sides, who spoke when, and what the silences between them say. Pure but for reading."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]

FRAME_MS = 10
SPEECH_DBFS = -42.0
"Louder than that is speech: well above a line's noise, well below the -18 dBFS of our recordings."
PAUSE_S = 0.4
"A shorter silence is a pause between words, not the end of a turn."
WORD_S = 0.06
"What is shorter is a click."


@dataclass(frozen=True, slots=True)
class Span:
    """Somebody speaks, from when to when."""

    starts_s: float
    ends_s: float


@dataclass(frozen=True, slots=True)
class Tracks:
    """The two sides of the recording, -1 to 1, and when it began on the story's axis."""

    caller: Samples
    agent: Samples
    rate_hz: int
    starts_s: float = 0.0

    @property
    def ends_s(self) -> float:
        return self.starts_s + len(self.caller) / self.rate_hz


def read_tracks(path: Path, starts_s: float) -> Tracks:
    """A stereo WAV, left caller, right agent."""
    with wave.open(str(path), "rb") as wav:
        if (wav.getnchannels(), wav.getsampwidth()) != (2, 2):
            raise ValueError(f"{path} is not a stereo recording of 16 bit")
        pcm = np.frombuffer(wav.readframes(wav.getnframes()), dtype="<i2").reshape(-1, 2) / 32768
        return Tracks(pcm[:, 0], pcm[:, 1], wav.getframerate(), starts_s)


def envelope(samples: Samples, columns: int) -> tuple[Samples, Samples]:
    """Lowest and highest sample of each column: a waveform that keeps its peaks however long the call was."""
    width = max(1, -(-len(samples) // columns))
    padded = np.pad(samples, (0, -len(samples) % width)).reshape(-1, width)
    return padded.min(axis=1), padded.max(axis=1)


def spans(samples: Samples, rate_hz: int, starts_s: float = 0.0) -> list[Span]:
    """When somebody spoke."""
    frame = rate_hz * FRAME_MS // 1000
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    loud = np.sqrt((frames**2).mean(axis=1)) > 10 ** (SPEECH_DBFS / 20)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], loud, [False])).astype(np.int8)))
    found: list[Span] = []
    for begin, end in edges.reshape(-1, 2) * FRAME_MS / 1000 + starts_s:
        if found and begin - found[-1].ends_s < PAUSE_S:
            found[-1] = Span(found[-1].starts_s, round(float(end), 3))
        else:
            found.append(Span(round(float(begin), 3), round(float(end), 3)))
    return [span for span in found if span.ends_s - span.starts_s >= WORD_S]


def answers(tracks: Tracks) -> list[float]:
    """Seconds from the end of the caller's words to the agent's first sound after them, turn by turn."""
    agent = spans(tracks.agent, tracks.rate_hz)
    gaps = []
    for said in spans(tracks.caller, tracks.rate_hz):
        if any(span.starts_s <= said.ends_s < span.ends_s for span in agent):
            continue  # the agent was speaking all the time
        reply = next((span.starts_s for span in agent if span.starts_s >= said.ends_s), None)
        if reply is not None:
            gaps.append(round(reply - said.ends_s, 3))
    return gaps


def interruptions(tracks: Tracks) -> list[float]:
    """Seconds from the caller's first sound over the agent's words until the agent is silent.

    Words that last until the recording ends were cut off by the end of the call, not by the caller.
    """
    lasted_s = len(tracks.agent) / tracks.rate_hz
    agent = [span for span in spans(tracks.agent, tracks.rate_hz) if span.ends_s < lasted_s - PAUSE_S]
    return [
        round(span.ends_s - said.starts_s, 3)
        for said in spans(tracks.caller, tracks.rate_hz)
        for span in agent
        if span.starts_s < said.starts_s < span.ends_s
    ]
