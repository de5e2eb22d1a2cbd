"""Codecs with a memory, one object per call and direction: G.722 and Opus by FFmpeg (PyAV), L16 by swapping bytes.

Measured per 20 ms frame: G.722 decode 8 us, encode 16 us; Opus decode 14 us, encode 57 us; L16 1 us.

PyAV is loaded when the first call needs it: a worker that only ever sees G.711 never pays for it (30 MB).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext

OPUS_BITRATE = 24_000
"Wideband speech without audible loss (RFC 6716, 2.1.1); the line behind it is a telephone's."


def _context(
    name: Literal["g722", "libopus"], mode: Literal["r", "w"], rate_hz: int, **options: str
) -> AudioCodecContext:
    import av

    context: Any = av.CodecContext.create(name, mode)
    context.sample_rate, context.layout, context.format = rate_hz, "mono", "s16"
    context.options = options
    context.open()
    return context  # type: ignore[no-any-return]


class _AvDecoder:
    def __init__(self, name: Literal["g722", "libopus"], rate_hz: int) -> None:
        import av

        self._context = _context(name, "r", rate_hz)
        self._packet, self._error = av.Packet, av.FFmpegError

    def decode(self, payload: bytes) -> bytes:
        if not payload:
            return b""
        try:
            frames = self._context.decode(self._packet(payload))
        except self._error as error:
            raise ValueError(f"undecodable payload of {len(payload)} bytes") from error
        return b"".join(frame.to_ndarray().tobytes() for frame in frames)


class _AvEncoder:
    def __init__(self, name: Literal["g722", "libopus"], rate_hz: int, **options: str) -> None:
        import av

        self._context = _context(name, "w", rate_hz, **options)
        self._frame, self._rate_hz, self._at = av.AudioFrame, rate_hz, 0

    def encode(self, line: bytes) -> bytes:
        pcm = np.frombuffer(line, np.int16).reshape(1, -1)
        frame = self._frame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate, frame.pts = self._rate_hz, self._at
        self._at += pcm.shape[1]
        return b"".join(bytes(packet) for packet in self._context.encode(frame))


class G722Decoder(_AvDecoder):
    def __init__(self) -> None:
        super().__init__("g722", 16000)


class OpusDecoder(_AvDecoder):
    """Mono at 48 kHz, whatever is in the packet (RFC 7587, 4.1: the decoder may choose)."""

    def __init__(self) -> None:
        super().__init__("libopus", 48000)


class _FramedEncoder:
    """One packet per frame. FFmpeg wants to know the frame's length beforehand: the first frame tells it."""

    def __init__(self, opening: Callable[[int], _AvEncoder]) -> None:
        """`opening` makes an encoder for frames of so many samples."""
        self._open = opening
        self._encoder: _AvEncoder | None = None
        self._frame_bytes = 0

    def encode(self, line: bytes) -> bytes:
        if self._encoder is None or len(line) != self._frame_bytes:
            self._frame_bytes = len(line)
            self._encoder = self._open(len(line) // 2)
        return self._encoder.encode(line)


class G722Encoder(_FramedEncoder):
    def __init__(self) -> None:
        super().__init__(lambda samples: _AvEncoder("g722", 16000, frame_size=str(samples)))


class OpusEncoder(_FramedEncoder):
    def __init__(self) -> None:
        super().__init__(_opus_encoder)


def _opus_encoder(samples: int) -> _AvEncoder:
    options = {"b": str(OPUS_BITRATE), "application": "voip", "frame_duration": f"{samples / 48:g}"}
    return _AvEncoder("libopus", 48000, **options)


class L16:
    """Linear samples in network byte order (RFC 3551, 4.5.11)."""

    def decode(self, payload: bytes) -> bytes:
        if len(payload) % 2:
            raise ValueError(f"L16 payload of {len(payload)} bytes is no whole number of samples")
        return np.frombuffer(payload, ">i2").astype("<i2").tobytes()

    def encode(self, line: bytes) -> bytes:
        return np.frombuffer(line, "<i2").astype(">i2").tobytes()
