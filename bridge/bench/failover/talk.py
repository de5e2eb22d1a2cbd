"""Audio of the calls that stand: marked packets out, what comes back counted, all calls on one timer.

The marks go through the bridge to the echoing platform and back, so one that returns proves both ways. Arrival is the
kernel's (SO_TIMESTAMPNS): a late look into a socket falsifies no gap.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

from bridge.bench.sockets import Address, arrived, rtp_socket
from bridge.bench.stream import Incoming, Outgoing

FRAME_S = 0.020
EMPTY_EVERY = 5
"Packets sent between two looks into a socket."
LATE_S = 0.1
"Later than this, packets are left out instead of sent in a burst."
FRESH_S = 2.0
"Marks and packets so young prove that audio flows."
ROUND_TRIP_S = 0.5
"Marks younger than this may still be under way."


class Talk:
    """One call's audio."""

    def __init__(self, number: int, host: str) -> None:
        self.rtp = rtp_socket(host)
        dice = random.Random()
        self.outgoing = Outgoing(number, ssrc=dice.getrandbits(32), first_sequence=dice.getrandbits(16))
        self.incoming = Incoming(self.outgoing)
        self.is_sending = False
        self.last_at = 0.0
        "Arrival of the latest packet (monotonic seconds)."
        self._gaps_from = 0

    @property
    def port(self) -> int:
        return int(self.rtp.getsockname()[1])

    def begin(self, media: Address) -> None:
        if not self.is_sending:
            self.rtp.connect(media)
            self.is_sending = True

    def send(self) -> None:
        try:
            self.rtp.send(self.outgoing.next(time.monotonic_ns()))
        except (BlockingIOError, ConnectionRefusedError):
            return  # the marks that do not come back show it

    def empty(self) -> None:
        for data, at_ns in arrived(self.rtp):
            self.incoming.receive(data, at_ns)
            self.last_at = at_ns / 1e9

    def forget_gaps(self) -> None:
        """Only those from here on count."""
        self._gaps_from = len(self.incoming.gaps_ms)

    def longest_gap_ms(self, now: float) -> float:
        """Between two packets; the silence up to now counts too."""
        silent_ms = 1000 * (now - self.last_at) if self.last_at else 0.0
        return max([*self.incoming.gaps_ms[self._gaps_from :], silent_ms])

    def flows(self, now: float) -> bool:
        """Both ways: packets came just now, and most marks of the last seconds have returned."""
        until_ns, since_ns = (now - ROUND_TRIP_S) * 1e9, (now - ROUND_TRIP_S - FRESH_S) * 1e9
        marks = [one for one in self.outgoing.marks if since_ns <= one.sent_ns < until_ns]
        back = sum(one.returned_ns > 0 for one in marks)
        return now - self.last_at < ROUND_TRIP_S and back > len(marks) / 2

    def close(self) -> None:
        self.is_sending = False
        self.rtp.close()


class Metronome:
    """Sends for all calls that stand, every 20 ms, and looks into their sockets. `also` is called at each tick."""

    def __init__(self, also: Callable[[float], object] = lambda now: None) -> None:
        self.talks: list[Talk] = []
        self._also = also

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        due, tick = loop.time(), 0
        while True:
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - loop.time()))
            late_s = loop.time() - due
            if late_s > LATE_S:
                skipped = int(late_s / FRAME_S)
                due += skipped * FRAME_S
                for talk in self.talks:
                    talk.outgoing.skip(skipped)
            tick += 1
            for talk in self.talks:
                if talk.is_sending:
                    talk.send()
                    if tick % EMPTY_EVERY == 0:
                        talk.empty()
            self._also(time.monotonic())
