"""Which dialog at the sip process is of which call, and the room that it takes on its trunk.

A call has one leg as a rule. It has several when one trunk after another is tried, when it is transferred, or when a
cancelled attempt takes its time to die: that one fills a line at the partner's until it is over, and is counted so.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.calls.trunks import Trunks


@dataclass(slots=True)
class Leg:
    call: str
    trunk: str = ""
    "Where it takes room. Empty: nowhere, or no longer."


class Legs:
    def __init__(self, trunks: Trunks) -> None:
        self.trunks = trunks
        self._legs: dict[str, Leg] = {}
        self._by_call: dict[str, list[str]] = {}

    def __len__(self) -> int:
        return len(self._legs)

    def call_of(self, leg: str) -> str:
        """The first leg of a call has the call's own name, and may be asked for before it is known."""
        known = self._legs.get(leg)
        return known.call if known else leg

    def add(self, leg: str, call: str) -> Leg:
        if leg not in self._legs:
            self._legs[leg] = Leg(call)
            self._by_call.setdefault(call, []).append(leg)
        return self._legs[leg]

    def take(self, leg: str, call: str, trunk: str) -> str:
        """Room on `trunk` for this dialog. Empty when there is, else why not."""
        why_not = self.trunks.take(trunk) if trunk else ""
        if not why_not:
            self.add(leg, call).trunk = trunk
        return why_not

    def over(self, leg: str) -> None:
        """The dialog has ended: its room is free. Twice is once."""
        known = self._legs.get(leg)
        if known is not None and known.trunk:
            trunk, known.trunk = known.trunk, ""
            self.trunks.release(trunk)

    def forget(self, call: str) -> None:
        """The call is over and so is all that belonged to it."""
        for leg in self._by_call.pop(call, []):
            self.over(leg)
            del self._legs[leg]
