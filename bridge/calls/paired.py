"""A call that is placed beside another one, to be joined with it: the far end of each is the other. Pure.

It tells the first call when it is answered (LegAnswered), waits for its word (Join), and then both hear each other
(LegJoined). What ends before that is told too (LegFailed); afterwards whoever goes first ends the other, by the worker.
"""

from __future__ import annotations

from collections.abc import Mapping

from bridge.calls.hunt import Candidate
from bridge.calls.outbound import Order, OutboundSession
from bridge.calls.session import CallSettings, Row, State
from bridge.calls.trunks import Way
from bridge.calls.words import Join, LegAnswered, LegFailed, LegJoined, TellCall
from bridge.errors import Blame, End
from media import wire


class PairedSession(OutboundSession):
    def __init__(
        self, call: str, first: str, to: str, ways: tuple[Way, ...], settings: CallSettings, now: float, started_at: str
    ) -> None:
        """`first`: the call that it is placed beside."""
        far = wire.FarSpec(platform="", dialect="pair", options={"with": first})
        order = Order(to=to, ways=ways, candidates=(Candidate("", spec=far),))
        super().__init__(call, order, settings, now, started_at)
        self.first, self.beside = first, first
        self._is_joined = False

    def on_talking(self) -> None:
        self.ask(TellCall(self.first, LegAnswered(self.leg)))

    def on_join(self, join: Join) -> None:
        super().on_talking()

    def on_far_ready(self, ready: wire.FarReady) -> None:
        super().on_far_ready(ready)
        self._is_joined = True
        self.ask(TellCall(self.first, LegJoined()))

    def on_far_failed(self, failed: wire.FarFailed) -> None:
        self.finish(End(Blame.SERVER, "not-joined", detail=f"{failed.cause}: {failed.detail}"))

    def on_far_ended(self, ended: wire.FarEnded) -> None:
        self.finish(End(Blame.SUCCESS, "other-party-hung-up", detail=ended.reason))

    def let_go(self, end: End) -> None:
        super().let_go(end)
        if not self._is_joined:
            self.ask(TellCall(self.first, LegFailed(end)))


_TALKING: Row = {
    **OutboundSession.TABLE[State.TALKING],
    Join: PairedSession.on_join,
    wire.FarReady: PairedSession.on_far_ready,
    wire.FarFailed: PairedSession.on_far_failed,
}
TABLE: Mapping[State, Row] = {**OutboundSession.TABLE, State.TALKING: _TALKING}
PairedSession.TABLE = TABLE
