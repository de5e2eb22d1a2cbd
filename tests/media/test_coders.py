"""Codecs with a memory: what goes in comes out, by ear; nonsense is a ValueError."""

from __future__ import annotations

import numpy as np
import pytest

from media.codecs import CODECS, Codec
from tests.helpers.audio import loudest_hz, tone

CODED = pytest.mark.parametrize(
    "codec", [row for row in CODECS.values() if row.decoder is not None], ids=lambda row: row.name
)
PTIMES = pytest.mark.parametrize("ptime_ms", [10, 20, 40, 60])


def through(codec: Codec, pcm: np.ndarray, ptime_ms: int) -> tuple[np.ndarray, list[bytes]]:
    assert codec.encoder is not None
    assert codec.decoder is not None
    encoder, decoder = codec.encoder(), codec.decoder()
    size = codec.frame_bytes(ptime_ms)
    line = pcm.astype(np.int16).tobytes()
    payloads = [encoder.encode(line[at : at + size]) for at in range(0, len(line) - size + 1, size)]
    return np.frombuffer(b"".join(decoder.decode(payload) for payload in payloads), np.int16), payloads


@CODED
@PTIMES
def test_a_tone_survives_in_pitch_level_and_length(codec: Codec, ptime_ms: int) -> None:
    song = tone(1000, 0.6, codec.line_rate_hz)
    heard, payloads = through(codec, song, ptime_ms)
    assert len(payloads) == 600 // ptime_ms
    assert all(payloads)
    assert len(heard) == len(song)
    tail = heard[codec.line_rate_hz // 10 :]
    assert loudest_hz(tail, codec.line_rate_hz) == pytest.approx(1000, abs=5)
    loudness = np.sqrt((tail.astype(float) ** 2).mean()) / np.sqrt((song.astype(float) ** 2).mean())
    assert 0.7 < loudness < 1.3


@CODED
def test_a_payload_says_how_long_it_lasts(codec: Codec) -> None:
    _, payloads = through(codec, tone(440, 0.2, codec.line_rate_hz), 20)
    assert codec.decoder is not None
    decoder = codec.decoder()
    assert {codec.units(decoder.decode(payload)) for payload in payloads} == {codec.clock_rate_hz // 50}


@CODED
def test_an_empty_payload_is_no_audio(codec: Codec) -> None:
    assert codec.decoder is not None
    assert codec.decoder().decode(b"") == b""


@pytest.mark.parametrize("name", ["opus", "L16/8000", "L16/16000"])
def test_nonsense_is_a_value_error_and_the_decoder_goes_on(name: str) -> None:
    codec = CODECS[name]
    assert codec.decoder is not None
    _, payloads = through(codec, tone(440, 0.1, codec.line_rate_hz), 20)
    decoder = codec.decoder()
    decoder.decode(payloads[0])
    with pytest.raises(ValueError, match="payload of"):
        decoder.decode(b"\xff" * 3 if name == "opus" else b"123")
    assert codec.units(decoder.decode(payloads[1])) == codec.clock_rate_hz // 50


def test_garbage_never_raises_anything_else() -> None:
    rng = np.random.default_rng(5)
    for name in ("G722", "opus", "L16/8000"):
        make = CODECS[name].decoder
        assert make is not None
        decoder = make()
        for size in range(1, 80):
            try:
                decoder.decode(rng.bytes(size))
            except ValueError:
                continue


def test_l16_is_in_network_byte_order() -> None:
    make = CODECS["L16/8000"].encoder
    assert make is not None
    assert make().encode(np.array([0x0102, -2], "<i2").tobytes()) == b"\x01\x02\xff\xfe"


def test_opus_packets_are_small() -> None:
    _, payloads = through(CODECS["opus"], tone(440, 1.0, 48000), 20)
    assert sum(map(len, payloads)) < 48000 / 8
