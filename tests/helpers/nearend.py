"""A near end on a simulated clock: a caller's packets for it, and what it sends tick by tick."""

from __future__ import annotations

from collections.abc import Iterable

from media import rtp
from media.codecs import CODECS
from media.near import Address, NearEnd
from media.playout import Playout
from media.wire import NearReport, NearSpec

PCMU = CODECS["PCMU"]
SDP: Address = ("192.0.2.1", 4000)
NAT: Address = ("198.51.100.7", 61_234)
STRANGER: Address = ("203.0.113.9", 5555)
SSRC = 0xCAFE
LOUD = bytes(0x80 + n % 0x40 for n in range(160))
START = 100.0


def spec(
    *,
    codec: str = "PCMU",
    at: Address = SDP,
    dtmf: int = 101,
    ptime_ms: int = 20,
    sends: bool = True,
    receives: bool = True,
) -> NearSpec:
    return NearSpec(
        host=at[0],
        port=at[1],
        codec=codec,
        payload_type=CODECS[codec].payload_type,
        dtmf_payload_type=dtmf,
        ptime_ms=ptime_ms,
        sends=sends,
        receives=receives,
    )


def near_end(negotiated: NearSpec | None = None, now: float = START) -> NearEnd:
    near = NearEnd()
    near.uplink.start(now)
    near.start(negotiated or spec(), now)
    return near


def packet(number: int, *, payload: bytes = LOUD, payload_type: int = 0, ssrc: int = SSRC, skew: int = 0) -> bytes:
    """The caller's n-th packet of 20 ms."""
    return rtp.serialize(payload_type, number & 0xFFFF, (number * 160 + skew) & 0xFFFFFFFF, ssrc, payload)


def hear(near: NearEnd, numbers: Iterable[int], source: Address = SDP, *, ssrc: int = SSRC) -> list[bytes | None]:
    """Packets, each at the time its number says."""
    return [near.receive(packet(n, ssrc=ssrc), source, START + n * 0.02) for n in numbers]


class Stream:
    """What a near end sends, tick by tick."""

    def __init__(self, near: NearEnd, playout: Playout | None = None) -> None:
        self.near = near
        self.playout = playout or Playout(PCMU, 20, sends_ahead=True)
        self.now = START
        self.packets: list[rtp.Packet] = []

    def run(self, ticks: int, *, skipped: int = 0) -> list[rtp.Packet]:
        sent = []
        for _ in range(ticks):
            sent += [rtp.parse(data) for data in self.near.tick(1, skipped, self.playout, self.now)]
            skipped = 0
            self.now += self.near.ptime_ms / 1000
        self.packets += sent
        return sent

    def steps(self) -> list[tuple[int, int]]:
        """How far each packet is ahead of the one before: (sequence, timestamp)."""
        pairs = zip(self.packets, self.packets[1:], strict=False)
        return [(rtp.seq_diff(b.sequence, a.sequence), rtp.ts_diff(b.timestamp, a.timestamp)) for a, b in pairs]

    def marks(self) -> list[int]:
        return [number for number, packet in enumerate(self.packets) if packet.marker]


def report(**figures: float) -> NearReport:
    return NearReport(**figures)  # type: ignore[arg-type]
