"""Costs and sound quality as tables and bars."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from bridge.bench import pages
from bridge.bench.codecs import CodecReport, CodecRow, ResamplerRow, TranscoderRow, WrappingRow
from bridge.bench.table import grid

CODEC_HEAD = ("codec", "rate Hz", "payload bytes", "encode us", "decode us", "SNR dB", "delay ms")
TRANSCODER_HEAD = ("transcoder", "up us", "down us", "up SNR dB", "down SNR dB")
WRAPPING_HEAD = ("text frames", "bytes of sound", "bytes up", "bytes down", "up us", "down us")
RESAMPLER_HEAD = ("resampler", "us", "SNR dB", "alias dB", "delay ms")
NOTE = (
    "Microseconds per 20 ms frame in one process, median of several runs. SNR: of a 1020 Hz sine at -10 dBFS, the best "
    "fitting sine against all the rest (120: nothing is left); for resamplers the least of four tones from 350 to 2750 "
    "Hz. Alias: what is left of a tone at 0.65 of the lower rate. Codec: packet payload to samples and back, delay by "
    "correlation of noise in the band of speech. Transcoder: a codec's line form to a platform's format, without the "
    "packet's decoder and encoder; its SNR includes the codes at both ends. Text frames: JSON and base64 around a "
    "frame of mu-law, for platforms whose audio does not travel bare."
)


def codec_cells(row: CodecRow) -> tuple[str, ...]:
    return (
        row.name,
        str(row.rate_hz),
        str(row.payload_bytes),
        f"{row.encode_us:.2f}",
        f"{row.decode_us:.2f}",
        f"{row.snr_db:.1f}",
        f"{row.delay_ms:.2f}",
    )


def transcoder_cells(row: TranscoderRow) -> tuple[str, ...]:
    costs = (f"{row.up_us:.2f}", f"{row.down_us:.2f}")
    return (row.description, *costs, f"{row.up_snr_db:.1f}", f"{row.down_snr_db:.1f}")


def resampler_cells(row: ResamplerRow) -> tuple[str, ...]:
    alias = pages.ms(row.alias_db)
    return (resampler_name(row), f"{row.frame_us:.2f}", f"{row.snr_db:.1f}", alias, f"{row.delay_ms:.2f}")


def wrapping_cells(row: WrappingRow) -> tuple[str, ...]:
    sizes = (str(row.sound_bytes), str(row.up_bytes), str(row.down_bytes))
    return (row.dialect, *sizes, f"{row.up_us:.2f}", f"{row.down_us:.2f}")


def resampler_name(row: ResamplerRow) -> str:
    return f"{row.from_hz // 1000} -> {row.to_hz // 1000} kHz"


def markdown(report: CodecReport) -> str:
    return "\n\n".join(
        (
            f"`puente bench codecs`, {report.conditions.started_at}: {report.conditions}.",
            grid(CODEC_HEAD, map(codec_cells, report.codecs)),
            grid(TRANSCODER_HEAD, map(transcoder_cells, report.transcoders)),
            grid(RESAMPLER_HEAD, map(resampler_cells, report.resamplers)),
            grid(WRAPPING_HEAD, map(wrapping_cells, report.wrappings)),
            NOTE + "\n",
        )
    )


Bar = tuple[str, float, float, str]
"Name, the two costs, what is written behind them."


def draw(report: CodecReport, path: Path) -> None:
    title = "Puente: microseconds per 20 ms frame"
    figure, (left, middle, right) = pages.picture(title, report.conditions, 3, (3, 4, 3))
    codecs = [(row.name, row.encode_us, row.decode_us, f"{row.snr_db:.0f} dB") for row in report.codecs]
    transcoders = [
        (row.description, row.up_us, row.down_us, f"{row.up_snr_db:.0f} / {row.down_snr_db:.0f} dB")
        for row in report.transcoders
    ]
    resamplers = [(resampler_name(row), row.frame_us, 0.0, f"{row.snr_db:.0f} dB") for row in report.resamplers]
    _bars(left, "packet <-> samples", codecs, ("encode", "decode"))
    _bars(middle, "line form <-> platform", transcoders, ("up", "down"))
    _bars(right, "resampling, one way", resamplers, ("one way", ""))
    pages.save(figure, path)


def _bars(axes: Axes, title: str, rows: Sequence[Bar], names: tuple[str, str]) -> None:
    for at, (_, first, second, quality) in enumerate(rows):
        axes.barh(at - 0.2, first, 0.38, color=pages.COLOURS[0], label=None if at else names[0])
        if names[1]:
            axes.barh(at + 0.2, second, 0.38, color=pages.COLOURS[2], label=None if at else names[1])
        axes.annotate(f" {quality}", (max(first, second), at), va="center", fontsize=7)
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows], fontsize=7)
    axes.invert_yaxis()
    axes.margins(x=0.25)
    axes.set_title(title, fontsize=11)
    axes.set_xlabel("us (beside: signal to noise)")
    axes.grid(visible=True, axis="x", alpha=0.25)
    if rows:
        axes.legend(fontsize=8)
