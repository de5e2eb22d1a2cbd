"""Packet loss concealment by pitch repetition (after ITU-T G.711 Appendix I, without its added delay).

The last pitch period heard is repeated, fading out: full for 10 ms, silent after 60 ms. What comes back after a loss is
joined as it is; a cross-fade there would need the next packet before it is sent on, and delay every one of them.
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


def conceal(codec: Codec, before: bytes, units: int) -> bytes:
    """Line audio of `units` timestamp units to stand where packets were lost; `before` is what was heard last."""
    wanted = codec.line_bytes(units) // codec.sample_bytes
    past = codec.decode(before).astype(np.float32)
    per_ms = codec.line_rate_hz // 1000
    shortest, longest = int(SHORTEST_PITCH_MS * per_ms), LONGEST_PITCH_MS * per_ms
    if len(past) < 2 * shortest:
        return codec.silence * wanted
    period = past[-_pitch(past, shortest, min(longest, len(past) // 2)) :]
    sounding = min(wanted, SILENT_MS * per_ms)
    repeated = np.resize(period, sounding)
    fade = np.clip(1 - (np.arange(sounding) / per_ms - FULL_MS) / (SILENT_MS - FULL_MS), 0, 1)
    return codec.encode((repeated * fade).astype(np.int16)) + codec.silence * (wanted - sounding)


def _pitch(past: np.ndarray, shortest: int, longest: int) -> int:
    """The lag at which the latest sound resembles itself most (normalised cross-correlation)."""
    template = past[-shortest:]
    if longest <= shortest or not np.any(template):
        return shortest
    lags = np.arange(shortest, longest + 1)
    windows = np.stack([past[len(past) - shortest - lag : len(past) - lag] for lag in lags])
    energy = np.sqrt((windows**2).sum(axis=1)) + 1e-9
    return int(lags[np.argmax(windows @ template / energy)])
