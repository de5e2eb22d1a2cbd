"""Platform to caller, before the queue: messages of any length become line audio, a slice at a time.

    message, shallow queue   -> converted at once                       -> Playout
    more than that           -> waits here, a slice per turn of the loop -> Playout

A platform that sends ahead may send half a minute in one message. It is in no hurry: what is not played within
`SLICE_MS` may be converted later, and the worker's other calls need the time now. Order is kept: what comes behind
audio that waits here waits behind it, marks too; a barge-in forgets both.

Pure: a platform's bytes and `now` in, a playout is filled.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from media.codecs import Codec
from media.marks import Marks
from media.playout import MAX_QUEUE_MS, Playout
from media.transcode import Transcoder, transcoder
from media.wire import FarSpec

SLICE_MS = 200
"Converted in one go: 0.3 ms of time from 48 kHz, and ten frames of margin for the tick."


@dataclass(slots=True)
class Voice:
    """What a far end says, and what makes the line's audio of it."""

    spec: FarSpec
    codec: Codec
    transcoder: Transcoder

    def bytes_of(self, ms: float) -> int:
        """Of whole samples, and of one at least."""
        return max(1, int(ms * self.spec.rate_hz / 1000)) * self.transcoder.down_sample_bytes

    def ms_of(self, data: bytes) -> float:
        return len(data) / self.transcoder.down_sample_bytes * 1000 / self.spec.rate_hz


def _voice(codec: Codec, spec: FarSpec) -> Voice:
    return Voice(spec, codec, transcoder(codec, spec.encoding, spec.rate_hz))


class Intake:
    """One call's. Begins with `use`."""

    __slots__ = ("_at", "_done", "_marks", "_messages", "_odd", "_playout", "_taken", "_voice", "_waiting_ms")

    def __init__(self, playout: Playout) -> None:
        self._playout = playout
        self._voice: Voice | None = None
        "Of the far end that is heard now; what another one has said before may still wait."
        self._messages: deque[tuple[Voice, bytes, float]] = deque()
        "Audio that waits: who said it, whole samples, when it came."
        self._at = 0
        "Bytes of the first one that have gone on."
        self._waiting_ms = 0.0
        self._taken = self._done = 0
        "Bytes since the beginning: that came, and that wait no more."
        self._marks = Marks()
        "Behind audio that waits, by the number of bytes that came before them."
        self._odd = b""
        "Bytes of a sample whose rest is still to come."

    @property
    def waits(self) -> bool:
        return bool(self._messages)

    @property
    def has_words(self) -> bool:
        """Something that was said is still to be played."""
        return bool(self._messages) or len(self._playout) > 0

    @property
    def is_straight(self) -> bool:
        """What comes next could go straight to the queue."""
        return not self._messages and not self._odd

    def use(self, codec: Codec, spec: FarSpec | None, playout: Playout) -> Transcoder | None:
        """The line's codec, the far end or the queue is another one. What waits is converted for the line as it is.

        Returns what both ways of this far end go through from now on.
        """
        self._playout = playout
        for voice, _, _ in self._messages:
            if voice.codec is not codec:
                voice.codec, voice.transcoder = codec, _voice(codec, voice.spec).transcoder
        if spec is None:
            return None
        self._odd = b""
        self._voice = _voice(codec, spec)
        return self._voice.transcoder

    def take(self, data: bytes, now: float) -> bool:
        """A message of audio. False: not one whole sample."""
        voice = self._voice
        assert voice is not None
        width = voice.transcoder.down_sample_bytes
        if width > 1:
            data = self._odd + data if self._odd else data
            keep = len(data) - len(data) % width
            self._odd, data = data[keep:], data[:keep]
        if not data:
            return False
        is_urgent = not self._messages and self._playout.waiting_ms < SLICE_MS
        if is_urgent and len(data) <= voice.bytes_of(SLICE_MS):
            self._playout.push(voice.transcoder.down(data), now)
            return True
        self._messages.append((voice, data, now))
        self._waiting_ms += voice.ms_of(data)
        self._taken += len(data)
        if is_urgent:
            self.convert()
        while self._waiting_ms > MAX_QUEUE_MS:
            self._playout.overflow_ms += int(self._next(self._waiting_ms - MAX_QUEUE_MS)[1])
            self._pass_marks()
        return True

    def convert(self) -> None:
        """The next slice, of one message or several."""
        left_ms = float(SLICE_MS)
        while self._messages and left_ms > 0:
            voice, _, arrived = self._messages[0]
            part, taken_ms = self._next(left_ms)
            left_ms -= taken_ms
            self._playout.push(voice.transcoder.down(part), arrived)
            self._pass_marks()

    def keep_up(self, due_ms: float) -> None:
        """So much is due now. In a busy loop turns may come too seldom."""
        if self._messages and self._playout.waiting_ms <= due_ms:
            self.convert()

    def _next(self, most_ms: float) -> tuple[bytes, float]:
        """Take so much of the oldest message, or what is left of it."""
        voice, data, _ = self._messages[0]
        part = data[self._at : self._at + voice.bytes_of(most_ms)]
        ms = voice.ms_of(part)
        self._at += len(part)
        self._done += len(part)
        self._waiting_ms -= ms
        if self._at == len(data):
            self._messages.popleft()
            self._at = 0
            if not self._messages:
                self._waiting_ms = 0.0  # what rounding has left
        return part, ms

    def mark(self, name: str) -> bool:
        """Put a mark behind all that came so far. False: there are too many, the oldest comes back early."""
        if not self._messages:
            return self._playout.mark(name)
        is_room = self._marks.put(name, self._taken)
        self._pass_marks()
        return is_room

    def forget_marks(self) -> None:
        """Who put them is gone."""
        self._marks.forget()
        self._playout.forget_marks()

    def flush(self, now: float) -> int:
        """Barge-in: forget everything that is not on the wire. Returns how many ms that was."""
        waiting_ms = round(self._waiting_ms)
        self._playout.flushed_ms += waiting_ms
        dropped_ms = waiting_ms + self._playout.flush(now)
        self.clear()
        self._odd = b""
        if self._voice is not None:
            self._voice.transcoder.reset()
        return dropped_ms

    def clear(self) -> None:
        """Nothing waits any more; the marks behind it are the queue's."""
        self._messages.clear()
        self._at, self._done, self._waiting_ms = 0, self._taken, 0.0
        self._pass_marks()

    def _pass_marks(self) -> None:
        for name in self._marks.reached(self._done) if len(self._marks) else ():
            self._playout.mark(name)
