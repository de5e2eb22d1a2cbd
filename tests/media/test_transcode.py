"""Between line and platform: exact where it can be, by ear where it is resampled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from media.codecs import CODECS, Codec
from media.transcode import transcoder
from tests.helpers.audio import level_db, loudest_hz, tone

PCMU, PCMA = CODECS["PCMU"], CODECS["PCMA"]
BOTH = pytest.mark.parametrize("codec", [PCMU, PCMA], ids=["PCMU", "PCMA"])
ALL_CODES = bytes(range(256))
EVERY_SAMPLE = np.arange(-32768, 32768, dtype=np.int16)


def samples(data: bytes) -> npt.NDArray[np.int16]:
    return np.frombuffer(data, np.int16)


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
        ("s16le", 0, "cannot resample 8000 Hz to 0 Hz"),
        ("s16le", -8000, "cannot resample 8000 Hz to -8000 Hz"),
    ],
)
@BOTH
def test_what_no_table_has(codec: Codec, encoding: str, rate_hz: int, why: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the whole text is compared below)
        transcoder(codec, encoding, rate_hz)
    assert str(caught.value) == why


LINEAR = pytest.mark.parametrize(
    "codec", [CODECS[name] for name in ("G722", "opus", "L16/8000", "L16/16000")], ids=lambda row: row.name
)


@LINEAR
@pytest.mark.parametrize(
    ("encoding", "rate_hz"), [("s16le", 8000), ("s16le", 16000), ("s16le", 48000), ("mulaw", 8000)]
)
def test_linear_lines_reach_every_format_by_ear(codec: Codec, encoding: str, rate_hz: int) -> None:
    way = transcoder(codec, encoding, rate_hz)
    song = tone(700, 0.5, codec.line_rate_hz)
    size = codec.frame_bytes(20)
    line = song.tobytes()
    up = b"".join(way.up(line[at : at + size]) for at in range(0, len(line), size))
    heard = PCMU.decode(up) if encoding == "mulaw" else samples(up)
    assert len(heard) == rate_hz // 2
    assert loudest_hz(heard, rate_hz) == pytest.approx(700, abs=5)
    back = codec.decode(way.down(up))
    assert len(back) == len(song)
    assert loudest_hz(back, codec.line_rate_hz) == pytest.approx(700, abs=5)


def test_a_line_at_the_platforms_own_rate_is_not_touched() -> None:
    data = tone(440, 0.1, 16000).tobytes()
    for codec in (CODECS["G722"], CODECS["L16/16000"]):
        way = transcoder(codec, "s16le", 16000)
        assert way.up(data) is data
        assert way.down(data) is data


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
@pytest.mark.parametrize("encoding", ["mulaw", "s16le"])
def test_the_tables_say_the_same_as_the_functions(codec: str, encoding: str) -> None:
    both = transcoder(CODECS[codec], encoding, 8000)
    assert both.tables is not None
    up, down = both.tables
    codes = bytes(range(256))
    if encoding == "mulaw":
        assert both.up(codes) == (up or codes)
        assert both.down(codes) == (down or codes)
        assert bool(up) == bool(down) == (codec == "PCMA")
    else:
        assert both.up(codes) == up
        assert both.down(np.arange(65_536, dtype=np.uint16).tobytes()) == down


@pytest.mark.parametrize(("codec", "rate_hz"), [("PCMU", 16_000), ("G722", 16_000), ("L16/8000", 8000)])
def test_where_more_than_a_table_is_needed_there_is_none(codec: str, rate_hz: int) -> None:
    assert transcoder(CODECS[codec], "s16le", rate_hz).tables is None
