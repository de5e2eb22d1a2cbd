"""The pace at which a platform sends its voice. Pure: `now` is an argument, frames are the return value.

Three kinds are known. VAPI sends one frame each 20 ms for as long as the call lasts, silence between utterances.
Ultravox sends only while the agent speaks, and ahead of time as far as the client's buffer reaches
(`clientBufferSizeMs`); what the caller has heard is then an assumption: playout began with the first frame and never
paused. An agent behind Twilio Media Streams sends all it has, in chunks of its model's own size, and knows by marks
what was heard.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from bridge.simulators.audio import FRAME_MS, Format, Utterance

MOST_FRAMES = 100
"Per call of `frames_due`: a burst of 30 s must not keep the loop from the other calls."
MOST_CATCH_UP = 5
"Frames a steady mouth sends at once after the process was held up; what is older is skipped."

FRAME_S = FRAME_MS / 1000
CHUNK_MS = 187.5
"A model's voice comes in pieces that have nothing to do with frames."
EPSILON = 1e-6
"A timer armed for the time of a frame may come back a rounding error before it."


class Line:
    """One utterance on its way out: frames, and words spread evenly over its length."""

    def __init__(self, utterance: Utterance, form: Format) -> None:
        self._data = utterance.encoded(form)
        self._frame_bytes = form.frame_bytes
        self._words = utterance.text.split()
        self._told = 0
        self.frames = len(self._data) // form.frame_bytes
        self.duration_ms = self.frames * FRAME_MS
        self.text = utterance.text

    def frame(self, index: int) -> bytes:
        return self._data[index * self._frame_bytes : (index + 1) * self._frame_bytes]

    def piece(self, first_byte: int, size: int) -> bytes:
        """The same without regard to frames; what is left of it at the end, and empty after it."""
        return self._data[first_byte : first_byte + size]

    @property
    def told(self) -> str:
        return " ".join(self._words[: self._told])

    def news(self, played_ms: float) -> str:
        """The words that have begun since the last question, as they are appended to the text before."""
        begun = self._begun(played_ms)
        words = self._words[self._told : begun]
        separator = " " if self._told and words else ""
        self._told = max(begun, self._told)
        return separator + " ".join(words)

    def next_word_ms(self) -> float | None:
        """Position at which the next untold word begins."""
        if self._told >= len(self._words):
            return None
        return self._told * self.duration_ms / len(self._words)

    def _begun(self, played_ms: float) -> int:
        if not self.duration_ms:
            return len(self._words)
        return min(len(self._words), int(played_ms * len(self._words) / self.duration_ms + EPSILON) + 1)


class Mouth(Protocol):
    line: Line | None
    "What is being said; None while silent."

    def say(self, line: Line, now: float) -> None: ...

    def hush(self) -> None:
        """Stops at once: what was not sent never will be."""

    def frames_due(self, now: float) -> list[bytes]: ...

    def played_ms(self, now: float) -> float:
        """How much of the line the caller has heard, as far as the platform can know."""

    def next_deadline(self) -> float | None: ...

    @property
    def all_sent(self) -> bool: ...


class SteadyMouth:
    """One frame each 20 ms on a grid that begins with the call; nothing ahead of time, silence included."""

    def __init__(self, form: Format, start: float) -> None:
        self._silence = form.silence()
        self._start = start
        self._ticks = 0
        self._sent = 0
        self.line: Line | None = None
        self.skipped = 0

    def say(self, line: Line, now: float) -> None:
        self.line, self._sent = line, 0

    def hush(self) -> None:
        self.line = None

    def frames_due(self, now: float) -> list[bytes]:
        wanted = int((now - self._start) / FRAME_S + EPSILON) + 1 - self._ticks
        if wanted > MOST_CATCH_UP:
            self.skipped += wanted - MOST_CATCH_UP
            self._ticks += wanted - MOST_CATCH_UP
            wanted = MOST_CATCH_UP
        self._ticks += max(wanted, 0)
        return [self._next_frame() for _ in range(wanted)]

    def _next_frame(self) -> bytes:
        if self.line is None or self._sent >= self.line.frames:
            return self._silence
        self._sent += 1
        return self.line.frame(self._sent - 1)

    def played_ms(self, now: float) -> float:
        return self._sent * FRAME_MS

    @property
    def all_sent(self) -> bool:
        return self.line is None or self._sent >= self.line.frames

    def next_deadline(self) -> float | None:
        return self._start + self._ticks * FRAME_S


class AheadMouth:
    """As far ahead of real time as the client can buffer, and nothing at all between utterances."""

    def __init__(self, form: Format, lead_ms: int) -> None:
        self._lead_frames = max(1, lead_ms // FRAME_MS)
        self._start = 0.0
        self._sent = 0
        self.line: Line | None = None

    def say(self, line: Line, now: float) -> None:
        self.line, self._start, self._sent = line, now, 0

    def hush(self) -> None:
        self.line = None

    def frames_due(self, now: float) -> list[bytes]:
        line = self.line
        if line is None:
            return []
        wanted = min(int((now - self._start) / FRAME_S + EPSILON) + self._lead_frames, line.frames)
        first, self._sent = self._sent, max(self._sent, min(wanted, self._sent + MOST_FRAMES))
        return [line.frame(index) for index in range(first, self._sent)]

    def played_ms(self, now: float) -> float:
        return min((now - self._start) * 1000, self._sent * FRAME_MS)

    @property
    def all_sent(self) -> bool:
        return self.line is None or self._sent >= self.line.frames

    def next_deadline(self) -> float | None:
        if self.line is None:
            return None
        due_ms: float = self.line.duration_ms
        if not self.all_sent:
            due_ms = (self._sent - self._lead_frames + 1) * FRAME_MS
        word_ms = self.line.next_word_ms()
        return self._start + min(due_ms, due_ms if word_ms is None else word_ms) / 1000


class Chunk(bytes):
    """Audio that is followed by a mark of this name."""

    mark: str

    @classmethod
    def of(cls, data: bytes, mark: str) -> Chunk:
        chunk = cls(data)
        chunk.mark = mark
        return chunk


class MarkedMouth:
    """As far ahead as it has words for, up to a lead; what was heard is what has come back as a mark."""

    def __init__(self, form: Format, lead_ms: int) -> None:
        self._bytes_per_ms = form.rate_hz * form.bytes_per_sample / 1000
        self._chunk_bytes = round(CHUNK_MS * self._bytes_per_ms)
        self._lead_bytes = max(self._chunk_bytes, round(lead_ms * self._bytes_per_ms))
        self._sent = self._heard = self._number = 0
        self._unheard: deque[tuple[str, int]] = deque()
        "(mark, how much of the line was sent with it)"
        self.line: Line | None = None

    def say(self, line: Line, now: float) -> None:
        self.line, self._sent, self._heard = line, 0, 0
        self._unheard.clear()

    def hush(self) -> None:
        self.line = None
        self._unheard.clear()

    def frames_due(self, now: float) -> list[bytes]:
        due: list[bytes] = []
        while self.line is not None and self._sent - self._heard < self._lead_bytes:
            data = self.line.piece(self._sent, self._chunk_bytes)
            if not data:
                break
            self._sent += len(data)
            self._number += 1
            due.append(Chunk.of(data, f"chunk {self._number}"))
            self._unheard.append((f"chunk {self._number}", self._sent))
        return due

    def on_mark(self, name: str) -> None:
        """Came back. One that belongs to what was taken back says nothing of what was heard."""
        if self._unheard and self._unheard[0][0] == name:
            self._heard = self._unheard.popleft()[1]

    def played_ms(self, now: float) -> float:
        return self._heard / self._bytes_per_ms

    @property
    def all_sent(self) -> bool:
        return self.line is None or not self.line.piece(self._sent, 1)

    def next_deadline(self) -> float | None:
        """Nothing here depends on the time."""
        return None
