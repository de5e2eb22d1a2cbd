"""Packet loss concealment by pitch repetition (after ITU-T G.711 Appendix I, without its added delay).

The last pitch period heard is repeated, fading out: full for 10 ms, silent after 60 ms. Where real audio goes on, after
a loss or a cut, its first milliseconds are faded in over what would have come in its place: nothing clicks, and since
both are there when it arrives, nothing waits.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from media.codecs import Codec

SHORTEST_PITCH_MS = 2.5
"400 Hz; speech is not higher."
LONGEST_PITCH_MS = 15
"66 Hz."
FULL_MS = 10
SILENT_MS = 60
GUESS_FULL_MS = 40
"A guess of Opus' own is at a third of its level by then."
JOIN_MS = 5


def conceal(codec: Codec, before: bytes, units: int, since: int = 0) -> bytes:
    """Line audio of `units` timestamp units to stand where packets were lost; `before` is what was heard last.

    `since` is how much stands there already: a loss may be filled in several steps.
    """
    wanted = codec.line_bytes(units) // codec.sample_bytes
    begun = codec.line_bytes(since) // codec.sample_bytes
    per_ms = codec.line_rate_hz // 1000
    shortest, longest = int(SHORTEST_PITCH_MS * per_ms), LONGEST_PITCH_MS * per_ms
    sounding = max(0, min(begun + wanted, SILENT_MS * per_ms) - begun)
    if not sounding or len(before) < 2 * shortest * codec.sample_bytes:
        return codec.silence * wanted
    past = codec.decode(before).astype(np.float32)
    period = past[-_pitch(past, shortest, min(longest, len(past) // 2)) :]
    repeated = np.resize(period, begun + sounding)[begun:]
    fade = _fading((begun + np.arange(sounding)) / per_ms, FULL_MS)
    return codec.encode((repeated * fade).astype(np.int16)) + codec.silence * (wanted - sounding)


def faded(codec: Codec, line: bytes, since: int) -> bytes:
    """`line`, a codec's own guess, which fades by itself: silent when ours is, and no step there."""
    pcm = codec.decode(line)
    at_ms = (codec.line_bytes(since) // codec.sample_bytes + np.arange(len(pcm))) * 1000 / codec.line_rate_hz
    return codec.encode(np.rint(pcm * _fading(at_ms, GUESS_FULL_MS)).astype(np.int16))


def risen(codec: Codec, line: bytes, since: int) -> bytes:
    """`line` where it follows such a guess, begun so long ago: up again within the first milliseconds."""
    size = min(len(line), JOIN_MS * codec.line_rate_hz // 1000 * codec.sample_bytes)
    low = _fading(np.array([since * 1000 / codec.clock_rate_hz]), GUESS_FULL_MS)[0]
    rise = np.linspace(low, 1, size // codec.sample_bytes)
    return codec.encode(np.rint(codec.decode(line[:size]) * rise).astype(np.int16)) + line[size:]


def ended(codec: Codec, onward: bytes, units: int) -> bytes:
    """Line audio of `units` in which what would have come, `onward`, falls silent at once."""
    size = min(len(onward), JOIN_MS * codec.line_rate_hz // 1000 * codec.sample_bytes, codec.line_bytes(units))
    fall = np.linspace(1, 0, size // codec.sample_bytes)
    fallen = codec.encode(np.rint(codec.decode(onward[:size]) * fall).astype(np.int16))
    return fallen + codec.silence * ((codec.line_bytes(units) - size) // codec.sample_bytes)


def _fading(at_ms: npt.NDArray[np.float64], full_ms: int) -> npt.NDArray[np.float64]:
    """How much is left of what stands in, so long after the loss."""
    left: npt.NDArray[np.float64] = np.clip(1 - (at_ms - full_ms) / (SILENT_MS - full_ms), 0, 1)
    return left


def join(codec: Codec, onward: bytes, line: bytes) -> bytes:
    """`line` so that it goes on from what was before: `onward` is what would have come in its place."""
    size = min(len(onward), len(line), JOIN_MS * codec.line_rate_hz // 1000 * codec.sample_bytes)
    if not size:
        return line
    fade = np.linspace(0, 1, size // codec.sample_bytes, dtype=np.float32)
    mixed = codec.decode(onward[:size]) * (1 - fade) + codec.decode(line[:size]) * fade
    return codec.encode(np.rint(mixed).astype(np.int16)) + line[size:]


def _pitch(past: np.ndarray, shortest: int, longest: int) -> int:
    """The lag at which the latest sound resembles itself most (normalised cross-correlation)."""
    template = past[-shortest:]
    if longest <= shortest or not np.any(template):
        return shortest
    lags = np.arange(shortest, longest + 1)
    windows = np.stack([past[len(past) - shortest - lag : len(past) - lag] for lag in lags])
    energy = np.sqrt((windows**2).sum(axis=1)) + 1e-9
    return int(lags[np.argmax(windows @ template / energy)])
