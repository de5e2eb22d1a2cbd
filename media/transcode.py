"""Between the line form of a codec and what a platform wants: the cheapest exact way, resampling only where it must.

PCMU <-> mulaw            the same bytes
PCMA <-> mulaw            one byte table
G.711 <-> s16le/8000      tables
anything else             to samples, through the FIR resampler where the rates differ, to the other form
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from media import g711
from media.codecs import CODECS, G711, Codec
from media.g711 import Convert
from media.resample import Resampler


@dataclass(frozen=True)
class Transcoder:
    """Both directions between one codec's line form and one platform format.

    `up` and `down` take whole samples only. `reset` forgets what the downlink resampler still holds (barge-in).
    """

    up: Convert
    down: Convert
    reset: Callable[[], None]
    down_sample_bytes: int
    "Bytes of one platform sample."
    description: str
    tables: tuple[bytes, bytes] | None = None
    """Up and down as bytes, where nothing but a table is needed: none (as it is), a code for each of 256, a sample (two
    bytes) for each of 256 codes, or a code for each of the 65,536 samples."""

    def __str__(self) -> str:
        return self.description


def transcoder(codec: Codec, encoding: str, rate_hz: int) -> Transcoder:
    """Raises ValueError for what no table has (mu-law is 8 kHz on every platform we know)."""
    name = f"{codec.name} <-> {encoding}/{rate_hz}"
    if encoding not in ("mulaw", "s16le"):
        raise ValueError(f"unknown audio encoding {encoding!r}")
    if encoding == "mulaw" and rate_hz != 8000:
        raise ValueError(f"mulaw at {rate_hz} Hz: mu-law is 8000 Hz only")
    width = 1 if encoding == "mulaw" else 2
    if codec.line_rate_hz == rate_hz:
        up, down = _same_rate(codec, encoding)
        as_it_is = " (as it is)" if up is _same else ""
        return Transcoder(up, down, _nothing, width, name + as_it_is, _tables(codec, encoding))
    up, down, reset = _resampled(codec, encoding, rate_hz)
    return Transcoder(up, down, reset, width, name + " (resampled)")


def _same_rate(codec: Codec, encoding: str) -> tuple[Convert, Convert]:
    match encoding, codec:
        case "mulaw", G711(name="PCMU"):
            return _same, _same
        case "mulaw", G711():
            return _translator(g711.ALAW_TO_MULAW), _translator(g711.MULAW_TO_ALAW)
        case "mulaw", _:
            return g711.encoder(g711.PCM_TO_MULAW), g711.decoder(g711.MULAW_TO_PCM)
        case _, G711():
            return g711.decoder(codec.to_pcm), g711.encoder(codec.from_pcm)
        case _:
            return _same, _same


def _tables(codec: Codec, encoding: str) -> tuple[bytes, bytes] | None:
    match encoding, codec:
        case "mulaw", G711(name="PCMU"):
            return b"", b""
        case "mulaw", G711():
            return g711.ALAW_TO_MULAW, g711.MULAW_TO_ALAW
        case _, G711():
            return codec.to_pcm.tobytes(), codec.from_pcm.tobytes()
        case _:
            return None


def _resampled(codec: Codec, encoding: str, rate_hz: int) -> tuple[Convert, Convert, Callable[[], None]]:
    upward, downward = Resampler(codec.line_rate_hz, rate_hz), Resampler(rate_hz, codec.line_rate_hz)
    mulaw = CODECS["PCMU"]

    def up(line: bytes) -> bytes:
        pcm = upward.push(codec.decode(line))
        return mulaw.encode(pcm) if encoding == "mulaw" else pcm.tobytes()

    def down(data: bytes) -> bytes:
        pcm = mulaw.decode(data) if encoding == "mulaw" else np.frombuffer(data, np.int16)
        return codec.encode(downward.push(pcm))

    return up, down, downward.reset


def _translator(table: bytes) -> Convert:
    return lambda data: data.translate(table)


def _same(data: bytes) -> bytes:
    return data


def _nothing() -> None:
    return None
