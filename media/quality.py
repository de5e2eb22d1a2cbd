"""How a call sounds, estimated from what the network did to it: the E-model (ITU-T G.107) in the form used for VoIP.

    R = 93.2 - Id(delay) - Ie,eff(codec, loss, burstiness)                MOS = mos(R)

93.2 is what is left of 100 with all of G.107's default values (its clause 7.7). Echo, noise and levels are taken as
these defaults: we measure none of them. So it is an estimate of what the *network and the codec* cost, comparable
between calls, not a measurement of one of them.

The scale is that of narrowband telephony, for all codecs: G.711 at its best is 93.2 and 4.41. A wideband call sounds
better than that, which this scale cannot say (G.107.1 has a longer one, on which G.711 itself is a poor codec): 4.41 of
a G.722 call means "nothing is lost", not "no better than G.711".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

R_BEST: Final = 93.2
BURST_RANDOM: Final = 1.0
"BurstR of losses that know nothing of each other."


@dataclass(frozen=True, slots=True)
class Impairment:
    """One codec on the narrowband scale."""

    ie: float
    "Equipment impairment factor without loss."
    bpl: float
    "Packet-loss robustness factor: the loss in percent at which half of what can be lost is lost."


IMPAIRMENTS: Final[dict[str, Impairment]] = {
    # ITU-T G.113, Appendix I: G.711 with the concealment of G.711 Appendix I or its like, and without any.
    "PCMU": Impairment(0.0, 25.1),
    "PCMA": Impairment(0.0, 25.1),
    "PCMU/bare": Impairment(0.0, 4.3),
    "PCMA/bare": Impairment(0.0, 4.3),
    "L16": Impairment(0.0, 4.3),
    "G729": Impairment(10.0, 19.0),
    # No value on the narrowband scale is published for these two. Without loss they are above G.711 (see above), so
    # nothing is taken off. G.722 has no concealment of its own in the common decoders: as bare G.711. Opus conceals as
    # well as the best codec of the appendix does, which is G.711 with its concealment.
    "G722": Impairment(0.0, 4.3),
    "opus": Impairment(0.0, 25.1),
}
"Codec as in rtpmap -> what it costs. `/bare`: what is lost is heard as silence."


@dataclass(frozen=True, slots=True)
class Estimate:
    r: float
    mos: float


def estimate(
    codec: str,
    *,
    delay_ms: float,
    loss: float,
    discarded: float = 0.0,
    burst_ratio: float = BURST_RANDOM,
) -> Estimate:
    """Of one direction. `delay_ms`: one way, mouth to ear, buffers included. `loss`: fraction lost by the network;
    `discarded`: fraction that came too late to be played. Raises KeyError for a codec that is not in the table.
    """
    r = R_BEST - delay_impairment(delay_ms) - loss_impairment(codec, min(1.0, loss + discarded), burst_ratio)
    return Estimate(round(r, 2), round(mos(r), 2))


def delay_impairment(delay_ms: float) -> float:
    """Id of a call with G.107's default echo, in two straight lines (Cole and Rosenbluth 2001): the conversation, and
    from 177.3 ms on the two who begin to speak at once.
    """
    return 0.024 * max(0.0, delay_ms) + 0.11 * max(0.0, delay_ms - 177.3)


def loss_impairment(codec: str, loss: float, burst_ratio: float = BURST_RANDOM) -> float:
    """Ie,eff (G.107, 7-29). Bursts cost more than the same loss spread evenly."""
    cost = IMPAIRMENTS[codec]
    percent = 100 * min(1.0, max(0.0, loss))
    return cost.ie + (95 - cost.ie) * percent / (percent / max(BURST_RANDOM, burst_ratio) + cost.bpl)


def burst_ratio(loss: float, bursts: int, lost: int) -> float:
    """BurstR: mean length of the losses seen (`lost` packets in `bursts` runs) to that of random loss, 1 / (1 - loss).

    Never below 1: loss that is spread more evenly than by chance gets no credit from us.
    """
    if not bursts or loss >= 1:
        return BURST_RANDOM
    return max(BURST_RANDOM, lost / bursts * (1 - loss))


def mos(r: float) -> float:
    """The mean opinion score that goes with R (G.107, Annex B), 1 to 4.5.

    The polynomial dips below 1 for R under 6.5; nobody's opinion does.
    """
    if r >= 100:
        return 4.5
    if r <= 0:
        return 1.0
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)
