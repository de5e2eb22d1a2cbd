"""The codec table: what each codec of the line needs, and in which form its audio travels inside a worker.

Between the near end (RTP) and the far end a call's audio has one form, its *line* form:

    PCMU, PCMA      the G.711 codes themselves: nothing is decoded that need not be
    all others      s16le at the codec's own rate; decoded when a packet comes, encoded when one leaves, with a decoder
                    and an encoder per call, since these codecs remember

So an encoder of the second kind hears one unbroken stream, silence and flushes included, as it must.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from media import coders
from media.g711 import (
    ALAW_TO_PCM,
    MULAW_TO_PCM,
    PCM_TO_ALAW,
    PCM_TO_MULAW,
    QUIET_BELOW,
    Codes,
    Samples,
    quiet_codes,
)


class Decoder(Protocol):
    def decode(self, payload: bytes) -> bytes:
        """One packet's payload as s16le. Raises ValueError for what cannot be decoded."""

    def conceal(self, samples: int) -> bytes:
        """The codec's own guess at so much lost audio that comes next. Empty: it has none."""

    def follow(self, stood_in: bytes) -> None:
        """This stood in for lost audio, no guess of the codec's own: what comes next goes on from there."""


class Encoder(Protocol):
    def encode(self, line: bytes) -> bytes:
        """One frame of s16le as one packet's payload."""


@dataclass(frozen=True, kw_only=True)
class Codec:
    """One row of the table."""

    name: str
    "As in rtpmap; with the clock rate where the name alone says too little (`L16/16000`)."
    payload_type: int
    "Static payload type (RFC 3551, 6); -1: dynamic."
    clock_rate_hz: int
    "Of the RTP timestamps. Not always that of the audio: G.722 says 8000 and means 16000 (RFC 3551, 4.5.2)."
    line_rate_hz: int
    sample_bytes: int
    silence: bytes
    "One sample of silence in line form."
    decoder: Callable[[], Decoder] | None = None
    encoder: Callable[[], Encoder] | None = None
    "None: payload and line form are the same bytes."

    def frame_bytes(self, ptime_ms: int) -> int:
        """Line bytes of one frame."""
        return self.line_rate_hz * ptime_ms // 1000 * self.sample_bytes

    def line_bytes(self, units: int) -> int:
        """Line bytes of so many timestamp units."""
        return units * self.line_rate_hz // self.clock_rate_hz * self.sample_bytes

    def units(self, line: bytes) -> int:
        """Timestamp units that line audio lasts."""
        return len(line) // self.sample_bytes * self.clock_rate_hz // self.line_rate_hz

    def decode(self, line: bytes) -> Samples:
        """Line audio as samples."""
        return np.frombuffer(line, np.int16)

    def encode(self, pcm: Samples) -> bytes:
        """Samples as line audio."""
        return pcm.tobytes()

    def is_quiet(self, line: bytes) -> bool:
        pcm = np.frombuffer(line, np.int16)
        return not len(pcm) or (int(pcm.max()) < QUIET_BELOW and int(pcm.min()) > -QUIET_BELOW)


@dataclass(frozen=True, kw_only=True)
class G711(Codec):
    to_pcm: Samples
    from_pcm: Codes
    quiet: bytes
    "Every code that counts as silence: deleting these tells a silent frame in 0.15 us."

    def decode(self, line: bytes) -> Samples:
        return self.to_pcm[np.frombuffer(line, np.uint8)]

    def encode(self, pcm: Samples) -> bytes:
        return self.from_pcm[pcm.view(np.uint16)].tobytes()

    def is_quiet(self, line: bytes) -> bool:
        return not line.translate(None, self.quiet)


def _g711(name: str, payload_type: int, silence: bytes, to_pcm: Samples, from_pcm: Codes) -> G711:
    return G711(
        name=name,
        payload_type=payload_type,
        clock_rate_hz=8000,
        line_rate_hz=8000,
        sample_bytes=1,
        silence=silence,
        to_pcm=to_pcm,
        from_pcm=from_pcm,
        quiet=quiet_codes(to_pcm),
    )


def _linear(
    name: str,
    payload_type: int,
    clock_rate_hz: int,
    line_rate_hz: int,
    decoder: Callable[[], Decoder],
    encoder: Callable[[], Encoder],
) -> Codec:
    return Codec(
        name=name,
        payload_type=payload_type,
        clock_rate_hz=clock_rate_hz,
        line_rate_hz=line_rate_hz,
        sample_bytes=2,
        silence=b"\0\0",
        decoder=decoder,
        encoder=encoder,
    )


_ROWS = (
    _g711("PCMU", 0, b"\xff", MULAW_TO_PCM, PCM_TO_MULAW),
    _g711("PCMA", 8, b"\xd5", ALAW_TO_PCM, PCM_TO_ALAW),
    _linear("G722", 9, 8000, 16000, coders.G722Decoder, coders.G722Encoder),
    _linear("opus", -1, 48000, 48000, coders.OpusDecoder, coders.OpusEncoder),
    _linear("L16/8000", -1, 8000, 8000, coders.L16, coders.L16),
    _linear("L16/16000", -1, 16000, 16000, coders.L16, coders.L16),
)
CODECS: Final[dict[str, Codec]] = {row.name: row for row in _ROWS}
