from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bridge.bench.codecs import (
    AGENTS,
    PLATFORM_FORMATS,
    RATES_HZ,
    CodecReport,
    Options,
    codec_row,
    cost_us,
    frames_of,
    measure,
    resampler_row,
    transcoder_row,
    wrapping_row,
)
from bridge.bench.codecs_page import CODEC_HEAD, RESAMPLER_HEAD, TRANSCODER_HEAD, WRAPPING_HEAD, draw, markdown
from bridge.platforms import DIALECTS
from media.codecs import CODECS
from media.wire import FarSpec
from tests.bridge.bench.probes import CONDITIONS

SHORT = Options(frames=5, repeats=1)


async def test_everything_in_the_table_is_measured(tmp_path: Path) -> None:
    said: list[str] = []
    report = await measure(SHORT, said.append)
    assert [row.name for row in report.codecs] == list(CODECS)
    assert all(row.encode_us > 0 and row.decode_us > 0 and row.delay_ms >= 0 for row in report.codecs)
    assert len(report.resamplers) == len(RATES_HZ) * (len(RATES_HZ) - 1)
    assert len(CODECS) * (len(PLATFORM_FORMATS) - 1) <= len(report.transcoders) <= len(CODECS) * len(PLATFORM_FORMATS)
    assert [row.dialect for row in report.wrappings] == sorted(AGENTS)
    assert set(AGENTS) == {
        name for name, make in DIALECTS.items() if not make(FarSpec(platform="", dialect="")).raw_audio
    }
    rows = (report.codecs, report.transcoders, report.resamplers, report.wrappings)
    assert len(said) == sum(map(len, rows))
    text = markdown(report)
    widths = {len(head) + 1 for head in (CODEC_HEAD, TRANSCODER_HEAD, RESAMPLER_HEAD, WRAPPING_HEAD)}
    assert {line.count("|") for line in text.splitlines() if line.startswith("|")} == widths
    draw(report, tmp_path / "codecs.png")
    assert (tmp_path / "codecs.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert msgspec.json.decode(msgspec.json.encode(report), type=CodecReport) == report


@pytest.mark.parametrize(
    ("name", "snr_db", "payload_bytes"), [("PCMU", 37.3, 160), ("PCMA", 36.6, 160), ("L16/16000", 88, 640)]
)
def test_codecs_sound_as_their_standards_promise(name: str, snr_db: float, payload_bytes: int) -> None:
    row = codec_row(CODECS[name], SHORT)
    assert row.snr_db == pytest.approx(snr_db, abs=1)
    assert (row.payload_bytes, row.delay_ms) == (payload_bytes, 0.0)


def test_a_resampler_keeps_the_band_of_speech_and_nothing_else() -> None:
    down, up = resampler_row(16000, 8000, SHORT), resampler_row(8000, 16000, SHORT)
    assert min(down.snr_db, up.snr_db) > 60
    assert down.alias_db is not None
    assert down.alias_db < -55
    assert up.alias_db is None
    assert 0 < down.delay_ms <= 3


def test_a_pair_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="mulaw"):
        transcoder_row(CODECS["PCMU"], "mulaw", 16000, SHORT)


def test_what_text_frames_weigh_and_that_they_cost_something() -> None:
    row = wrapping_row("twilio", SHORT)
    assert (row.sound_bytes, row.up_us > 0, row.down_us > 0) == (160, True, True)
    assert min(row.up_bytes, row.down_bytes) > 160 * 4 / 3


def test_costs_are_per_frame_and_frames_are_whole() -> None:
    seen: list[bytes] = []

    def step(frame: bytes) -> bytes:
        seen.append(frame)
        return frame

    assert cost_us(step, [b"a", b"b"], Options(frames=3, repeats=2)) >= 0
    assert seen == [b"a", b"b", b"a"] * 2
    assert [len(frame) for frame in frames_of(b"\0" * 1000, 8000, 2)] == [320, 320, 320]


def test_a_report_of_nothing_can_be_drawn(tmp_path: Path) -> None:
    report = CodecReport(conditions=CONDITIONS, codecs=(), transcoders=(), resamplers=())
    draw(report, tmp_path / "codecs.png")
    assert not report.failed
