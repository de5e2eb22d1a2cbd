"""Codecs with a memory, one object per call and direction: G.722 and Opus by FFmpeg (PyAV), L16 by swapping bytes.

Measured per 20 ms frame: G.722 decode 8 us, encode 20 us; Opus decode 43 us, encode 57 us; L16 1 us.

PyAV is loaded by `prepare`, or when the first call needs it: a worker that only ever sees G.711 never pays for it
(30 MB). Loading takes 50 to 100 ms, in which no call of the worker is served: so whoever knows beforehand prepares.

What a decoder remembers is wrong after a loss, and what it says then is worse than the loss itself: it must be told.
Opus guesses what was lost (`conceal`); G.722 goes on from what stood in for it (`follow`): over recorded speech the
20 ms after a loss of 1, 2 or 3 packets are nearer to the truth by 0.9, 1.2 and 1.2 dB, and the worst burst is 5 times
as loud as the speech, not 8. Opus' repair of a packet from the one behind it (FEC) is out of reach: FFmpeg's decoder
does not pass that wish on, so we do not ask for it in SDP either.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext

OPUS_BITRATE = 24_000
"Wideband speech without audible loss (RFC 6716, 2.1.1); the line behind it is a telephone's."
OPUS_PAST_BYTES = 5760
"60 ms, the longest frame."
G722_PAST_BYTES = 3200
"100 ms. From so much of what was heard the memory of a G.722 decoder is made anew; twice as much is no better."
G722_FOLLOWED_BYTES = 1280
"40 ms. What stands in for longer has faded, and would teach it silence."
G722_FRAME_BYTES = 640
"Of s16le; what FFmpeg's encoder takes at a time."
MOST_PACKETS = 10
"To be remembered: 100 ms of the shortest."


def prepare(codecs: Iterable[str]) -> None:
    """Load now what these codecs of `media.codecs` will need."""
    if not {"G722", "opus"}.isdisjoint(codecs):
        import av

        av.Packet(0)


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

    def conceal(self, samples: int) -> bytes:
        return b""

    def follow(self, stood_in: bytes) -> None:
        return None


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


class OpusDecoder(_AvDecoder):
    """Mono at 48 kHz, whatever is in the packet (RFC 7587, 4.1: the decoder may choose)."""

    def __init__(self) -> None:
        super().__init__("libopus", 48000)
        self._lost = b""
        "A packet of this kind that says: this frame was lost."
        self._guessed = b""
        "Guessed beyond what was asked for: a frame is guessed as a whole."

    def decode(self, payload: bytes) -> bytes:
        line = super().decode(payload)
        if payload:
            self._lost = bytes((payload[0] & 0xFC,))
        self._guessed = b""
        return line

    def conceal(self, samples: int) -> bytes:
        """A frame of length 0 was dropped on its way (RFC 6716, 3.2.1): the decoder goes on as it thinks best."""
        wanted = 2 * samples
        while self._lost and len(self._guessed) < wanted:
            more = super().decode(self._lost)
            if not more:
                break
            self._guessed += more
        guessed, self._guessed = self._guessed[:wanted], self._guessed[wanted:]
        return guessed


class G722Encoder(_AvEncoder):
    """Works in steps of 10 ms: so one and the same goes on when the packets' length changes. The far decoder would
    answer one that begins anew with a loud scratch.
    """

    def __init__(self) -> None:
        super().__init__("g722", 16000, frame_size="160")


class G722Decoder(_AvDecoder):
    def __init__(self) -> None:
        super().__init__("g722", 16000)
        self._past: deque[bytes] = deque(maxlen=MOST_PACKETS)
        self._followed = 0
        "Bytes that have stood in since the last packet."

    def decode(self, payload: bytes) -> bytes:
        line = super().decode(payload)
        self._past.append(line)
        self._followed = 0
        return line

    def follow(self, stood_in: bytes) -> None:
        """What is remembered is made anew from what was heard, coded and decoded again."""
        stood_in = stood_in[: G722_FOLLOWED_BYTES - self._followed]
        self._followed += len(stood_in)
        self._past.append(stood_in)
        heard = b"".join(self._past)[-G722_PAST_BYTES:]
        heard = heard[len(heard) % G722_FRAME_BYTES :]
        if heard and stood_in:
            self._context = _context("g722", "r", 16000)
            super().decode(_AvEncoder("g722", 16000).encode(heard))


class OpusEncoder:
    """One packet per frame. FFmpeg wants to know the frame's length beforehand: the first frame tells it. When that
    changes the next encoder first hears what the last one has heard: the 6.5 ms that it holds back go on, too.
    """

    def __init__(self) -> None:
        self._encoder: _AvEncoder | None = None
        self._frame_bytes = 0
        self._past = bytes(OPUS_PAST_BYTES)

    def encode(self, line: bytes) -> bytes:
        if self._encoder is None or len(line) != self._frame_bytes:
            self._frame_bytes = len(line)
            self._encoder = _opus_encoder(len(line) // 2)
            self._encoder.encode(self._past[-len(line) :])
        self._past = (self._past + line)[-OPUS_PAST_BYTES:]
        return self._encoder.encode(line)


def _opus_encoder(samples: int) -> _AvEncoder:
    options = {"b": str(OPUS_BITRATE), "application": "voip", "frame_duration": f"{samples / 48:g}"}
    return _AvEncoder("libopus", 48000, **options)


class L16:
    """Linear samples in network byte order (RFC 3551, 4.5.11)."""

    def conceal(self, samples: int) -> bytes:
        return b""

    def follow(self, stood_in: bytes) -> None:
        return None

    def decode(self, payload: bytes) -> bytes:
        if len(payload) % 2:
            raise ValueError(f"L16 payload of {len(payload)} bytes is no whole number of samples")
        return np.frombuffer(payload, ">i2").astype("<i2").tobytes()

    def encode(self, line: bytes) -> bytes:
        return np.frombuffer(line, "<i2").astype(">i2").tobytes()
