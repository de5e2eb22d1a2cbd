"""Made-up probe calls, and conditions, for the tests of what is made of them."""

from __future__ import annotations

from collections.abc import Callable

from bridge.bench.figures import Figures
from bridge.bench.results import Came, Conditions, Heard, Machine, Probed, Spoken, Stall

CONDITIONS = Conditions(
    started_at="2026-01-02 03:04 UTC",
    machine=Machine(cpu="Chip", cores=2, kernel="6.1", python="3.11.7"),
    steal_percent=0.5,
    load_average=1.25,
)
FRAME_S = 0.02
TO_THE_BRIDGE_S = 0.015
TO_THE_PLATFORM_S = 0.001
HELD_S = 0.020

Trip = Callable[[float], float | None]
"Round trip in ms of the frame spoken at this second; None: it never comes back."


def probed(
    seconds: float, trip: Trip, *, stalls: tuple[Stall, ...] = (), lost_in: frozenset[int] = frozenset()
) -> Probed:
    """A call whose frames come back as `trip` says, in packets of their own."""
    spoken, came = [], []
    for number in range(round(seconds / FRAME_S)):
        at = number * FRAME_S
        left = None if number in lost_in else at + TO_THE_BRIDGE_S
        spoken.append(Spoken(spoken_s=at, left_s=left))
        took_ms = trip(at)
        if left is not None and took_ms is not None:
            came.append(Came(at_s=at + took_ms / 1000, timestamp=160 * number, number=number, begins_ms=0.0))
    return Probed(
        status=200,
        ended_early=False,
        since_s=0.0,
        until_s=seconds,
        spoken=tuple(spoken),
        came=tuple(sorted(came, key=lambda one: one.at_s)),
        stalls=stalls,
        send_late_ms=Figures(),
    )


def heard(call: Probed) -> list[Heard]:
    """The platform heard every frame that reached the bridge, and held it for its line."""
    return [
        Heard(
            call=number // 32,
            index=number % 32,
            at_s=one.left_s + TO_THE_PLATFORM_S,
            said_s=one.left_s + TO_THE_PLATFORM_S + HELD_S,
        )
        for number, one in enumerate(call.spoken)
        if one.left_s is not None
    ]
