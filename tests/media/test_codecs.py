from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from media.codecs import CODECS, G711
from media.g711 import QUIET_BELOW
from tests.helpers.audio import level_db, tone


def g711(name: str) -> G711:
    row = CODECS[name]
    assert isinstance(row, G711)
    return row


PCMU, PCMA = g711("PCMU"), g711("PCMA")
BOTH = pytest.mark.parametrize("codec", [PCMU, PCMA], ids=["PCMU", "PCMA"])
ALL_CODES = bytes(range(256))
EVERY_SAMPLE = np.arange(-32768, 32768, dtype=np.int16)


def mulaw_value(code: int) -> int:
    """ITU-T G.711, table 2, written out as arithmetic: 14-bit values, here times 4 for 16 bits."""
    code ^= 0xFF
    segment, step = code >> 4 & 7, code & 15
    magnitude = ((2 * step + 33) << segment) - 33
    return -4 * magnitude if code & 0x80 else 4 * magnitude


def alaw_value(code: int) -> int:
    """ITU-T G.711, table 1: 13-bit values, here times 8 for 16 bits."""
    code ^= 0x55
    segment, step = code >> 4 & 7, code & 15
    magnitude = 2 * step + 1 if segment == 0 else (2 * step + 33) << segment - 1
    return 8 * magnitude if code & 0x80 else -8 * magnitude


def samples(data: bytes) -> npt.NDArray[np.int16]:
    return np.frombuffer(data, np.int16)


# --- tables -----------------------------------------------------------------------------------------------------------


def test_mulaw_values() -> None:
    assert PCMU.to_pcm.tolist() == [mulaw_value(code) for code in range(256)]
    assert [int(PCMU.to_pcm[code]) for code in (0x00, 0x80, 0x7F, 0xFF, 0x7E, 0xFE)] == [-32124, 32124, 0, 0, -8, 8]


def test_alaw_values() -> None:
    assert PCMA.to_pcm.tolist() == [alaw_value(code) for code in range(256)]
    assert [int(PCMA.to_pcm[code]) for code in (0x2A, 0xAA, 0x55, 0xD5)] == [-32256, 32256, -8, 8]


@BOTH
def test_every_code_survives_decoding_and_encoding(codec: G711) -> None:
    back = codec.encode(codec.decode(ALL_CODES))
    changed = {(before, after) for before, after in zip(ALL_CODES, back, strict=True) if before != after}
    # mu-law has a negative zero, and only one of the two can come back.
    assert changed == ({(0x7F, 0xFF)} if codec is PCMU else set())


@BOTH
def test_every_sample_is_encoded_as_the_nearest_code(codec: G711) -> None:
    values = np.unique(codec.to_pcm).astype(np.int32)
    wide = EVERY_SAMPLE.astype(np.int32)
    nearest = np.abs(wide[:, None] - values[None, :]).min(axis=1)
    error = np.abs(wide - codec.decode(codec.encode(EVERY_SAMPLE)).astype(np.int32))
    assert np.array_equal(error, nearest)


@BOTH
def test_louder_is_never_encoded_as_softer(codec: G711) -> None:
    assert np.all(np.diff(codec.decode(codec.encode(EVERY_SAMPLE)).astype(np.int32)) >= 0)


@BOTH
def test_signal_to_noise_of_a_tone(codec: G711) -> None:
    """G.712 asks for 33 dB; G.711 itself gives about 38 over its middle range."""
    for peak in (500, 4000, 16000, 32000):
        pcm = tone(1004, 1.0, peak=peak)
        noise = (codec.decode(codec.encode(pcm)).astype(np.int32) - pcm).astype(np.int16)
        assert level_db(pcm) - level_db(noise) > 33


@BOTH
def test_silence(codec: G711) -> None:
    assert codec.encode(np.zeros(3, np.int16)) == 3 * codec.silence
    assert abs(int(codec.decode(codec.silence)[0])) <= 8
    assert codec.is_quiet(160 * codec.silence)
    assert codec.is_quiet(b"")


@BOTH
def test_quiet_is_what_nobody_hears(codec: G711) -> None:
    quiet = {code for code in range(256) if codec.is_quiet(bytes([code]))}
    assert quiet == {code for code in range(256) if abs(int(codec.to_pcm[code])) < QUIET_BELOW}
    loudest = codec.encode(np.array([3000], np.int16))
    assert not codec.is_quiet(80 * codec.silence + loudest + 79 * codec.silence)


def test_rows_of_the_table() -> None:
    rows = {(c.name, c.payload_type, c.clock_rate_hz, c.silence, c.frame_bytes(20)) for c in CODECS.values()}
    assert rows == {
        ("PCMU", 0, 8000, b"\xff", 160),
        ("PCMA", 8, 8000, b"\xd5", 160),
        ("G722", 9, 8000, b"\0\0", 640),
        ("opus", -1, 48000, b"\0\0", 1920),
        ("L16/8000", -1, 8000, b"\0\0", 320),
        ("L16/16000", -1, 16000, b"\0\0", 640),
    }
    assert [PCMU.frame_bytes(ptime_ms) for ptime_ms in (10, 30, 60)] == [80, 240, 480]
