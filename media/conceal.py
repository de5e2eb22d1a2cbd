"""Packet loss concealment by pitch repetition (after ITU-T G.711 Appendix I, without its added delay).

The last pitch period heard is repeated, fading out: full for 10 ms, silent after 60 ms. Where real audio goes on, after
a loss or a cut, its first milliseconds are faded in over what would have come in its place: nothing clicks, and since
both are there when it arrives, nothing waits.
"""

from __future__ import annotations

import numpy as np

from media.codecs import Codec

SHORTEST_PITCH_MS = 2.5
"400 Hz; speech is not higher."
LONGEST_PITCH_MS = 15
"66 Hz."
FULL_MS = 10
SILENT_MS = 60
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
    fade = np.clip(1 - ((begun + np.arange(sounding)) / per_ms - FULL_MS) / (SILENT_MS - FULL_MS), 0, 1)
    return codec.encode((repeated * fade).astype(np.int16)) + codec.silence * (wanted - sounding)


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
