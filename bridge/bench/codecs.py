"""`puente bench codecs`: what a 20 ms frame costs in each codec, transcoder and resampler, and what becomes of sound.

Whatever stands in the codec table is measured; nothing here knows a codec by name. Beside it: what it costs to wrap a
frame into text, and to unwrap one, for platforms whose audio does not travel bare.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from pathlib import Path
from statistics import median

import msgspec
import numpy as np

from bridge.bench import signal
from bridge.bench.pages import Say, Watch
from bridge.bench.results import Conditions
from bridge.bench.signal import Samples
from bridge.platforms import DIALECTS
from bridge.simulators.twilio import messages
from media.codecs import CODECS, Codec
from media.far import Audio, Dialect
from media.resample import Resampler
from media.transcode import transcoder
from media.wire import FarSpec

PTIME_MS = 20
SIGNAL_S = 2.0
PLATFORM_FORMATS = (("mulaw", 8000), ("s16le", 8000), ("s16le", 16000), ("s16le", 24000), ("s16le", 48000))
RATES_HZ = (8000, 16000, 24000, 48000)

Step = Callable[[bytes], bytes]


@dataclass(frozen=True, kw_only=True)
class Options:
    frames: int = 1000
    repeats: int = 7
    out: Path = Path("out/bench")


QUICK = Options(frames=200, repeats=3)
"A few seconds."


class CodecRow(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of a packet <-> samples at the codec's own rate."""

    name: str
    rate_hz: int
    payload_bytes: int
    encode_us: float
    decode_us: float
    snr_db: float
    delay_ms: float
    "Both ways together, by correlation."


class TranscoderRow(msgspec.Struct, frozen=True, kw_only=True):
    """Line form <-> a platform's format. Costs are per frame; signal to noise includes the codes of both ends."""

    description: str
    up_us: float
    down_us: float
    up_snr_db: float
    down_snr_db: float


class ResamplerRow(msgspec.Struct, frozen=True, kw_only=True):
    from_hz: int
    to_hz: int
    frame_us: float
    snr_db: float
    "The least of several tones in the band of speech; images count as noise."
    alias_db: float | None
    "What is left of a tone above the lower Nyquist frequency. None: the rate rises."
    delay_ms: float


class WrappingRow(msgspec.Struct, frozen=True, kw_only=True):
    """Platform's samples <-> its text frames (JSON, base64), as a worker does it between codec and socket."""

    dialect: str
    sound_bytes: int
    up_bytes: int
    down_bytes: int
    up_us: float
    down_us: float


class CodecReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole run."""

    schema: str = "puente-bench-codecs/1"
    conditions: Conditions
    codecs: tuple[CodecRow, ...]
    transcoders: tuple[TranscoderRow, ...]
    resamplers: tuple[ResamplerRow, ...]
    wrappings: tuple[WrappingRow, ...] = ()

    @property
    def failed(self) -> bool:
        return False


def frames_of(data: bytes, rate_hz: int, sample_bytes: int) -> list[bytes]:
    """Whole frames; a rest is left out."""
    size = rate_hz * PTIME_MS // 1000 * sample_bytes
    return [data[at : at + size] for at in range(0, len(data) - size + 1, size)]


def cost_us(step: Step, frames: Sequence[bytes], options: Options) -> float:
    """Microseconds per frame: the median of several runs, so that somebody else's work does not count."""
    runs = []
    for _ in range(options.repeats):
        began = time.perf_counter_ns()
        for number in range(options.frames):
            step(frames[number % len(frames)])
        runs.append((time.perf_counter_ns() - began) / 1e3 / options.frames)
    return round(median(runs), 2)


def encoder_of(codec: Codec) -> Step:
    """s16le samples -> payload, with the memory of one call."""
    if codec.encoder is None:
        return lambda pcm: codec.encode(np.frombuffer(pcm, np.int16))
    encode = codec.encoder().encode
    return lambda pcm: encode(codec.encode(np.frombuffer(pcm, np.int16)))


def decoder_of(codec: Codec) -> Step:
    """Payload -> s16le samples, with the memory of one call."""
    if codec.decoder is None:
        return lambda payload: codec.decode(payload).tobytes()
    decode = codec.decoder().decode
    return lambda payload: codec.decode(decode(payload)).tobytes()


def codec_row(codec: Codec, options: Options) -> CodecRow:
    rate_hz = codec.line_rate_hz
    tone = frames_of(signal.sine(rate_hz, SIGNAL_S).tobytes(), rate_hz, 2)
    noise = signal.speech_band(rate_hz, SIGNAL_S)
    payloads = list(map(encoder_of(codec), tone))
    return CodecRow(
        name=codec.name,
        rate_hz=rate_hz,
        payload_bytes=max(map(len, payloads)),
        encode_us=cost_us(encoder_of(codec), tone, options),
        decode_us=cost_us(decoder_of(codec), payloads, options),
        snr_db=_db(signal.snr_db(_joined(map(decoder_of(codec), payloads)), rate_hz)),
        delay_ms=round(signal.delay_ms(noise, _there_and_back(codec, noise), rate_hz), 2),
    )


def _there_and_back(codec: Codec, pcm: Samples) -> Samples:
    payloads = map(encoder_of(codec), frames_of(pcm.tobytes(), codec.line_rate_hz, 2))
    return _joined(map(decoder_of(codec), payloads))


def transcoder_row(codec: Codec, encoding: str, rate_hz: int, options: Options) -> TranscoderRow:
    """Raises ValueError for a pair that the table does not have."""
    both = transcoder(codec, encoding, rate_hz)
    line = codec.encode(signal.sine(codec.line_rate_hz, SIGNAL_S))
    line_frames = frames_of(line, codec.line_rate_hz, codec.sample_bytes)
    far = _platform_bytes(signal.sine(rate_hz, SIGNAL_S), encoding)
    far_frames = frames_of(far, rate_hz, both.down_sample_bytes)
    at_platform = b"".join(map(both.up, line_frames))
    at_caller = b"".join(map(both.down, far_frames))
    return TranscoderRow(
        description=str(both),
        up_us=cost_us(both.up, line_frames, options),
        down_us=cost_us(both.down, far_frames, options),
        up_snr_db=_db(signal.snr_db(_platform_samples(at_platform, encoding), rate_hz)),
        down_snr_db=_db(signal.snr_db(codec.decode(at_caller), codec.line_rate_hz)),
    )


def _platform_bytes(pcm: Samples, encoding: str) -> bytes:
    return CODECS["PCMU"].encode(pcm) if encoding == "mulaw" else pcm.tobytes()


def _platform_samples(data: bytes, encoding: str) -> Samples:
    return CODECS["PCMU"].decode(data) if encoding == "mulaw" else np.frombuffer(data, np.int16)


TONES_HZ = (350.0, 1020.0, 1950.0, 2750.0)
"In the band of speech, below the transition of the filter towards 8 kHz."


def resampler_row(from_hz: int, to_hz: int, options: Options) -> ResamplerRow:
    timed = Resampler(from_hz, to_hz)
    tone = frames_of(signal.sine(from_hz, SIGNAL_S).tobytes(), from_hz, 2)
    lower = min(from_hz, to_hz)
    return ResamplerRow(
        from_hz=from_hz,
        to_hz=to_hz,
        frame_us=cost_us(lambda pcm: timed.push(np.frombuffer(pcm, np.int16)).tobytes(), tone, options),
        snr_db=_db(min(signal.snr_db(_resampled(from_hz, to_hz, hz), to_hz, hz) for hz in TONES_HZ)),
        alias_db=_db(signal.level_db(_resampled(from_hz, to_hz, 0.65 * lower), to_hz)) if to_hz < from_hz else None,
        delay_ms=round(Resampler(from_hz, to_hz).delay_ms, 2),
    )


def _resampled(from_hz: int, to_hz: int, hz: float) -> Samples:
    resampler = Resampler(from_hz, to_hz)
    frames = frames_of(signal.sine(from_hz, SIGNAL_S, hz).tobytes(), from_hz, 2)
    return np.concatenate([resampler.push(np.frombuffer(frame, np.int16)) for frame in frames])


def _joined(frames: Iterator[bytes]) -> Samples:
    return np.frombuffer(b"".join(frames), np.int16)


def _db(value: float) -> float:
    return round(value, 1)


def transcoder_rows(options: Options) -> Iterator[TranscoderRow]:
    """Every pair that is possible."""
    for codec in CODECS.values():
        for encoding, rate_hz in PLATFORM_FORMATS:
            try:
                yield transcoder_row(codec, encoding, rate_hz, options)
            except ValueError:  # no such pair
                continue


AGENTS: dict[str, Callable[[bytes], str]] = {"twilio": partial(messages.media, "MZ" + "0" * 32)}
"Dialects whose audio is wrapped: what a frame of the other side looks like."


def wrapping_row(name: str, options: Options) -> WrappingRow:
    sid = {"streamSid": "MZ" + "0" * 32}
    dialect = DIALECTS[name](FarSpec(platform=name, dialect=name, encoding="mulaw", options=sid))
    frames = frames_of(CODECS["PCMU"].encode(signal.sine(8000, SIGNAL_S)), 8000, 1)
    texts = [AGENTS[name](frame).encode() for frame in frames]
    wrapped = [_wrapped(dialect, frame) for frame in frames]
    return WrappingRow(
        dialect=name,
        sound_bytes=len(frames[0]),
        up_bytes=max(map(len, wrapped)),
        down_bytes=max(map(len, texts)),
        up_us=cost_us(lambda frame: _wrapped(dialect, frame), frames, options),
        down_us=cost_us(lambda text: _unwrapped(dialect, text), texts, options),
    )


def _wrapped(dialect: Dialect, sound: bytes) -> bytes:
    (frame,) = dialect.audio(sound, PTIME_MS)
    return frame.encode() if isinstance(frame, str) else frame


def _unwrapped(dialect: Dialect, text: bytes) -> bytes:
    (sound,) = dialect.on_text(text.decode())
    assert isinstance(sound, Audio)
    return sound.data


async def measure(options: Options, say: Say) -> CodecReport:
    watch = Watch()
    codecs = []
    for codec in CODECS.values():
        codecs.append(codec_row(codec, options))
        say(f"{codec.name}: encode {codecs[-1].encode_us} us, decode {codecs[-1].decode_us} us")
    transcoders = []
    for found in transcoder_rows(options):
        transcoders.append(found)
        say(f"{found.description}: up {found.up_us} us, down {found.down_us} us")
    resamplers = []
    for pair in permutations(RATES_HZ, 2):
        resamplers.append(resampler_row(*pair, options))
        say(f"{pair[0]} Hz to {pair[1]} Hz: {resamplers[-1].frame_us} us")
    wrappings = [wrapping_row(name, options) for name in AGENTS]
    for row in wrappings:
        say(f"{row.dialect}: up {row.up_us} us, down {row.down_us} us")
    return CodecReport(
        conditions=watch.conditions(),
        codecs=tuple(codecs),
        transcoders=tuple(transcoders),
        resamplers=tuple(resamplers),
        wrappings=tuple(wrappings),
    )
