from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from media.codecs import CODECS, QUIET_BELOW, Codec, transcoder
from tests.helpers.audio import level_db, loudest_hz, tone

PCMU, PCMA = CODECS["PCMU"], CODECS["PCMA"]
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
def test_every_code_survives_decoding_and_encoding(codec: Codec) -> None:
    back = codec.encode(codec.decode(ALL_CODES))
    changed = {(before, after) for before, after in zip(ALL_CODES, back, strict=True) if before != after}
    # mu-law has a negative zero, and only one of the two can come back.
    assert changed == ({(0x7F, 0xFF)} if codec is PCMU else set())


@BOTH
def test_every_sample_is_encoded_as_the_nearest_code(codec: Codec) -> None:
    values = np.unique(codec.to_pcm).astype(np.int32)
    wide = EVERY_SAMPLE.astype(np.int32)
    nearest = np.abs(wide[:, None] - values[None, :]).min(axis=1)
    error = np.abs(wide - codec.decode(codec.encode(EVERY_SAMPLE)).astype(np.int32))
    assert np.array_equal(error, nearest)


@BOTH
def test_louder_is_never_encoded_as_softer(codec: Codec) -> None:
    assert np.all(np.diff(codec.decode(codec.encode(EVERY_SAMPLE)).astype(np.int32)) >= 0)


@BOTH
def test_signal_to_noise_of_a_tone(codec: Codec) -> None:
    """G.712 asks for 33 dB; G.711 itself gives about 38 over its middle range."""
    for peak in (500, 4000, 16000, 32000):
        pcm = tone(1004, 1.0, peak=peak)
        noise = (codec.decode(codec.encode(pcm)).astype(np.int32) - pcm).astype(np.int16)
        assert level_db(pcm) - level_db(noise) > 33


@BOTH
def test_silence(codec: Codec) -> None:
    assert codec.encode(np.zeros(3, np.int16)) == 3 * codec.silence
    assert abs(int(codec.decode(codec.silence)[0])) <= 8
    assert codec.is_quiet(160 * codec.silence)
    assert codec.is_quiet(b"")


@BOTH
def test_quiet_is_what_nobody_hears(codec: Codec) -> None:
    quiet = {code for code in range(256) if codec.is_quiet(bytes([code]))}
    assert quiet == {code for code in range(256) if abs(int(codec.to_pcm[code])) < QUIET_BELOW}
    loudest = codec.encode(np.array([3000], np.int16))
    assert not codec.is_quiet(80 * codec.silence + loudest + 79 * codec.silence)


def test_rows_of_the_table() -> None:
    rows = {(c.name, c.payload_type, c.clock_rate_hz, c.silence, c.frame_bytes(20)) for c in CODECS.values()}
    assert rows == {("PCMU", 0, 8000, b"\xff", 160), ("PCMA", 8, 8000, b"\xd5", 160)}
    assert [PCMU.frame_bytes(ptime_ms) for ptime_ms in (10, 30, 60)] == [80, 240, 480]


# --- transcoders ------------------------------------------------------------------------------------------------------


def test_pcmu_to_mulaw_is_the_very_same_bytes() -> None:
    both = transcoder(PCMU, "mulaw", 8000)
    assert both.up(ALL_CODES) is ALL_CODES
    assert both.down(ALL_CODES) is ALL_CODES
    assert (both.down_sample_bytes, str(both)) == (1, "PCMU <-> mulaw/8000 (as it is)")


def test_pcma_to_mulaw_goes_by_the_nearest_value() -> None:
    both = transcoder(PCMA, "mulaw", 8000)
    assert both.up(ALL_CODES) == PCMU.encode(PCMA.decode(ALL_CODES))
    assert both.down(ALL_CODES) == PCMA.encode(PCMU.decode(ALL_CODES))
    assert (both.down_sample_bytes, str(both)) == (1, "PCMA <-> mulaw/8000")


@BOTH
def test_to_pcm_at_the_same_rate_is_exact(codec: Codec) -> None:
    both = transcoder(codec, "s16le", 8000)
    assert both.up(ALL_CODES) == codec.decode(ALL_CODES).astype("<i2").tobytes()
    assert both.down(EVERY_SAMPLE.astype("<i2").tobytes()) == codec.encode(EVERY_SAMPLE)
    assert (both.up(b""), both.down(b"")) == (b"", b"")
    assert (both.down_sample_bytes, str(both)) == (2, f"{codec.name} <-> s16le/8000")


@BOTH
@pytest.mark.parametrize("rate_hz", [16000, 24000, 48000])
def test_to_pcm_at_another_rate(codec: Codec, rate_hz: int) -> None:
    both = transcoder(codec, "s16le", rate_hz)
    assert (both.down_sample_bytes, str(both)) == (2, f"{codec.name} <-> s16le/{rate_hz} (resampled)")
    up = samples(both.up(codec.encode(tone(700, 1.0))))
    assert (len(up), loudest_hz(up, rate_hz)) == (rate_hz, 700)
    down = codec.decode(both.down(tone(900, 1.0, rate_hz).tobytes()))
    assert (len(down), loudest_hz(down)) == (8000, 900)
    assert level_db(down) == pytest.approx(level_db(tone(900, 1.0)), abs=0.2)


def test_reset_forgets_what_the_resampler_still_holds() -> None:
    both = transcoder(PCMU, "s16le", 16000)
    quiet = np.zeros(320, np.int16).tobytes()
    both.down(tone(400, 0.02, 16000).tobytes())
    assert not PCMU.is_quiet(both.down(quiet))
    both.down(tone(400, 0.02, 16000).tobytes())
    both.reset()
    assert both.down(quiet) == 160 * PCMU.silence


@BOTH
def test_reset_of_what_holds_nothing(codec: Codec) -> None:
    for both in (transcoder(codec, "mulaw", 8000), transcoder(codec, "s16le", 8000)):
        both.reset()
        assert both.down(b"\0\0") != b""


@pytest.mark.parametrize(
    ("encoding", "rate_hz", "why"),
    [
        ("mulaw", 16000, "mulaw at 16000 Hz: mu-law is 8000 Hz only"),
        ("opus", 48000, "unknown audio encoding 'opus'"),
        ("s16le", 0, "cannot resample 0 Hz to 8000 Hz"),
        ("s16le", -8000, "cannot resample -8000 Hz to 8000 Hz"),
    ],
)
@BOTH
def test_what_no_table_has(codec: Codec, encoding: str, rate_hz: int, why: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the whole text is compared below)
        transcoder(codec, encoding, rate_hz)
    assert str(caught.value) == why
