"""Stereo WAV of one call (left: caller, right: agent), written off the hot path.

The call appends encoded bytes to two lists; once a second a thread of the worker decodes, interleaves and writes them.
A full disk ends the recording, never the call: what was written is a WAV like any other, and no empty file stays.
"""

from __future__ import annotations

import logging
import struct
import wave
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np

from media.codecs import Codec
from media.g711 import Samples
from media.resample import Resampler

log = logging.getLogger(__name__)

Taken = tuple[list[tuple[Codec, bytes]], list[tuple[Codec, bytes]]]
"Caller's and agent's encoded audio since the last write."

FLUSH_EVERY_S = 1.0
STUCK_AFTER_S = 30.0
"A disk that has not taken a second of audio in this time never will; waiting longer would only eat memory."
FLUSH_SLACK_MS = 100
"The two sides are written up to the shorter one; this much of the longer may wait (the filler's hold-off)."
HEADER_BYTES = 44
FRAME_BYTES = 4
_LENGTH = struct.Struct("<I")


class Recording:
    """Both sides of one call. `caller` and `agent` are called on the event loop and only append."""

    def __init__(self, path: Path, codec: Codec, executor: Executor) -> None:
        self.path = path
        self.failed = ""
        "Why the recording stopped, empty while it runs."
        self._executor = executor
        self._codec = codec
        self._rate_hz = codec.line_rate_hz
        "The file's, for the whole call: a codec that comes later is resampled to it."
        self._resamplers: dict[tuple[int, int], Resampler] = {}
        self._next_flush = 0.0
        self._last: Future[None] | None = None
        self._left = np.zeros(0, np.int16)
        self._right = np.zeros(0, np.int16)
        self._open = ExitStack()
        self._file: wave.Wave_write | None = None
        self._pending: Taken = ([], [])

    def use(self, codec: Codec) -> None:
        """The codec changed in mid-call."""
        self._codec = codec

    def caller(self, data: bytes) -> None:
        if not self.failed:
            self._pending[0].append((self._codec, data))

    def agent(self, data: bytes) -> None:
        if not self.failed:
            self._pending[1].append((self._codec, data))

    def tick(self, now: float) -> None:
        """Called every tick: hands a second's worth to the thread, if the last one has been written."""
        if now < self._next_flush or self.failed:
            return
        if self._last is not None and not self._last.done():
            if now - self._next_flush > STUCK_AFTER_S:
                self.failed = f"the disk took no data for {STUCK_AFTER_S:.0f} s"
                self._take()
            return
        self._next_flush = now + FLUSH_EVERY_S
        self._last = self._executor.submit(self._write, self._take(), False)

    def close(self) -> Future[None]:
        """Write what is left, pad the shorter side, close the file."""
        return self._executor.submit(self._write, self._take(), True)

    def _take(self) -> Taken:
        taken, self._pending = self._pending, ([], [])
        return taken

    def _write(self, taken: Taken, last: bool) -> None:
        if self.failed:
            self._give_up()  # the disk that was given up has moved after all
            return
        try:
            self._left = np.concatenate([self._left, *self._samples(0, taken[0])])
            self._right = np.concatenate([self._right, *self._samples(1, taken[1])])
            file = self._file or self._begin()
            count = self._ready(last)
            file.writeframes(np.stack((self._left[:count], self._right[:count]), axis=1).tobytes())
            self._left, self._right = self._left[count:], self._right[count:]
            if last:
                self._open.close()
        except (OSError, wave.Error) as error:
            self.failed = f"{type(error).__name__}: {error}"
            log.warning("! recording %s ended: %s", self.path, self.failed)
            self._give_up()

    def _samples(self, side: int, taken: list[tuple[Codec, bytes]]) -> Iterator[Samples]:
        for codec, data in taken:
            pcm = codec.decode(data)
            if codec.line_rate_hz != self._rate_hz:
                key = side, codec.line_rate_hz
                pcm = self._resamplers.setdefault(key, Resampler(codec.line_rate_hz, self._rate_hz)).push(pcm)
            yield pcm

    def _begin(self) -> wave.Wave_write:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Opened by ourselves: a Wave_write that cannot open its path stumbles once more when it is collected.
        raw = self._open.enter_context(self.path.open("wb"))
        self._file = file = self._open.enter_context(wave.open(raw, "wb"))  # noqa: SIM115 (_open closes it)
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(self._rate_hz)
        file.writeframes(b"")
        raw.flush()  # the header has its place before any sound needs one
        return file

    def _give_up(self) -> None:
        """Close the file as it is. What its buffer still holds may fail to get out once more, and that is known."""
        with suppress(OSError):
            self._open.close()
        if self._file is not None and self.path.is_file():
            with suppress(OSError):
                self._put_right()

    def _put_right(self) -> None:
        """The last write may have got out in part: the header is to tell of what is there. It takes no new space."""
        frames = max(0, self.path.stat().st_size - HEADER_BYTES) // FRAME_BYTES
        if not frames:
            self.path.unlink()
            return
        data_bytes = frames * FRAME_BYTES
        with self.path.open("r+b") as raw:
            raw.truncate(HEADER_BYTES + data_bytes)
            for at, length in ((4, HEADER_BYTES - 8 + data_bytes), (HEADER_BYTES - 4, data_bytes)):
                raw.seek(at)
                raw.write(_LENGTH.pack(length))

    def _ready(self, last: bool) -> int:
        """Samples that both sides have; at the end, or when one side lags too far, the shorter is padded."""
        longer = max(len(self._left), len(self._right))
        slack = 0 if last else FLUSH_SLACK_MS * self._rate_hz // 1000
        count = max(min(len(self._left), len(self._right)), longer - slack, 0)
        self._left = np.pad(self._left, (0, max(0, count - len(self._left))))
        self._right = np.pad(self._right, (0, max(0, count - len(self._right))))
        return count
