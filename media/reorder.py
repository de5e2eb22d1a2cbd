"""An adaptive reorder window: packets are held back only while the wire has lately shown that it swaps them.

On a clean line the window is 0 and nothing passes through here. The first packet that comes too late opens it, as wide
as would have been needed, at most `WIDEST_S`; when it has not been needed for a few seconds it halves, until it is
closed. Pure.
"""

from __future__ import annotations

from media.rtp import Packet, seq_diff

WIDEST_S = 0.06
"Every millisecond of it is heard as delay; what comes later than this is concealed."
NARROWEST_S = 0.005
HALVE_AFTER_S = 5.0
MARGIN = 1.25
"A window exactly as wide as the last lateness would miss the next one by a hair."


class Reorder:
    """Puts one stream's packets in order. `late` opens it, `push`, `skip` and `due` hand out what may go on."""

    __slots__ = ("_changed_at", "_gap_at", "_held", "_next", "window_s")

    def __init__(self) -> None:
        self.window_s = 0.0
        self._held: dict[int, tuple[Packet | None, float]] = {}
        "By sequence number, with the time at which what is before it is waited for no longer. None: a place, no more."
        self._next = 0
        self._gap_at = 0.0
        self._changed_at = 0.0

    @property
    def active(self) -> bool:
        return self.window_s > 0

    def __len__(self) -> int:
        return len(self._held)

    def gap(self, now: float) -> None:
        """A packet was passed over because the window is closed, or had run out."""
        self._gap_at = now

    def late(self, next_sequence: int, now: float) -> None:
        """One of those has come after all: open the window so wide that it would have been waited for."""
        wanted = min(WIDEST_S, max(NARROWEST_S, (now - self._gap_at) * MARGIN))
        if not self.active:
            self._next = next_sequence
        self.window_s = max(self.window_s, wanted)
        self._changed_at = now

    def is_awaited(self, sequence: int) -> bool:
        """Is this packet's place still open?"""
        return self.active and seq_diff(sequence, self._next) >= 0

    def push(self, packet: Packet, now: float) -> list[Packet]:
        """A packet that is awaited. Returns what may go on now, in order."""
        return self._put(packet.sequence, packet, now)

    def skip(self, sequence: int, now: float) -> list[Packet]:
        """The same of one that is not audio (a key, comfort noise): what is behind it need not wait for its place."""
        return self._put(sequence, None, now)

    def _put(self, sequence: int, packet: Packet | None, now: float) -> list[Packet]:
        if self._held and sequence == self._next:
            waited_s = now + self.window_s - min(deadline for _, deadline in self._held.values())
            if waited_s * MARGIN > self.window_s / 2:  # half as wide it would have been missed
                self._changed_at = now
        self._held[sequence] = (packet, now + self.window_s)
        ready = self._run()
        if not self._held and now - self._changed_at > HALVE_AFTER_S:
            self._changed_at = now
            self.window_s = self.window_s / 2 if self.window_s > 2 * NARROWEST_S else 0.0
        return ready

    def due(self, now: float) -> list[Packet]:
        """Asked every tick: packets that have waited long enough for one that did not come."""
        if not self._held or now < min(deadline for _, deadline in self._held.values()):
            return []
        self._gap_at = now
        self._next = min(self._held, key=lambda sequence: seq_diff(sequence, self._next))
        return self._run()

    def reset(self) -> list[Packet]:
        """Another stream begins: hand out what is held, and forget where the old one stood."""
        held = sorted(self._held.values(), key=lambda held: held[1])
        rest = [packet for packet, _ in held if packet is not None]
        self._held.clear()
        self.window_s = 0.0
        return rest

    def _run(self) -> list[Packet]:
        ready = []
        while self._next in self._held:
            packet, _ = self._held.pop(self._next)
            if packet is not None:
                ready.append(packet)
            self._next = (self._next + 1) & 0xFFFF
        return ready
