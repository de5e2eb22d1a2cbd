"""A playout on a simulated clock: what to say, how to let it play, and what it has counted."""

from __future__ import annotations

from media.codecs import CODECS
from media.playout import COUNTERS, Playout

PCMU, PCMA = CODECS["PCMU"], CODECS["PCMA"]
PTIME_S = 0.02
FRAME = 160
QUIET = FRAME * PCMU.silence


def playout(*, sends_ahead: bool = False, ptime_ms: int = 20) -> Playout:
    return Playout(PCMU, ptime_ms, sends_ahead=sends_ahead)


def speech(frames: float) -> bytes:
    """Loud codes, different from their neighbours."""
    return bytes(0x80 + n % 0x40 for n in range(round(frames * FRAME)))


def play(queue: Playout, ticks: int, now: float = 1.0) -> list[bytes | None]:
    """So many ticks of 20 ms, the first at `now`."""
    return [queue.next(now + n * PTIME_S) for n in range(ticks)]


def heard(frames: list[bytes | None]) -> bytes:
    return b"".join(frame for frame in frames if frame is not None)


def figures(queue: Playout) -> dict[str, int]:
    """The counters that have counted anything."""
    return {name: getattr(queue, name) for name in COUNTERS if getattr(queue, name)}
