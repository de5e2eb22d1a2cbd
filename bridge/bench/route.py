"""From mouth to ear on an imagined route: the receiver's buffer, and the budget of every hop. Pure."""

from __future__ import annotations

import random
import tomllib
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from bridge.bench.figures import Figures, figures
from bridge.bench.line import Line, Stretch
from bridge.bench.marks import SAMPLES_PER_MS
from bridge.bench.probing import first_came, first_heard
from bridge.bench.results import Came, Heard, Probed

PTIME_MS = 20.0
FASTEST_OF_S = 2.0
"The receiver takes the fastest packet of so long as its base, and so follows a stream that slides."


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of the configuration."""

    name: str
    trunk: Stretch
    platform: Stretch
    receiver_buffer_ms: float = 40.0
    processing_ms: float = 0.0
    promise_p50_ms: float = 0.0
    promise_p99_ms: float = 0.0
    "0: nothing is promised."


class Routes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    routes: tuple[Route, ...]


def load(path: Path) -> tuple[Route, ...]:
    """Raises ValueError with the file's name and what is wrong."""
    try:
        routes = msgspec.convert(tomllib.loads(path.read_text()), Routes).routes
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"{path}: {error}") from error
    if not routes:
        raise ValueError(f"{path}: no routes")
    return routes


HOPS = (
    "packetisation",
    "trunk in",
    "bridge up",
    "platform line",
    "platform",
    "bridge down",
    "trunk out",
    "receiver buffer",
)
MODELLED = frozenset({"packetisation", "platform", "trunk out", "receiver buffer"})
"Computed. `trunk in` and `platform line` are imagined too, but really waited for; the bridge's two are measured."


class Journey(msgspec.Struct, frozen=True, kw_only=True):
    """One frame from mouth to ear; ms per hop, in the order of HOPS."""

    hops_ms: tuple[float, ...]

    @property
    def total_ms(self) -> float:
        return sum(self.hops_ms)


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """All frames of one route."""

    route: Route
    total_ms: Figures
    hops_ms: Mapping[str, Figures]
    bridge_ms: Figures
    "Up and down together: our own share."
    frames: int
    "Spoken in the measured time."
    lost_in: int
    "On the way to the bridge (imagined)."
    lost_bridge: int
    "Reached the bridge, and did not come back: left out, or cut to pieces."
    lost_out: int
    "On the way to the ear (imagined)."
    too_late: int
    "After their turn in the receiver's buffer: the ear hears a gap."

    @property
    def keeps_promise(self) -> bool:
        return not self.route.promise_p99_ms or 0 < self.total_ms.p99 <= self.route.promise_p99_ms

    @property
    def reaches_goal(self) -> bool:
        return not self.route.promise_p50_ms or 0 < self.total_ms.p50 <= self.route.promise_p50_ms


class Receiver:
    """A telephone's jitter buffer: every packet is played so long after the fastest one would have been.

    arrival       |..x....|..x.|.....x|          x: packets at different speed
    played        |.......P....P......P          fastest transit + buffer, on the grid of the timestamps
    """

    def __init__(self, buffer_ms: float) -> None:
        self._buffer_s = buffer_ms / 1000
        self._fastest: deque[tuple[float, float]] = deque()
        "(arrival, transit), transits rising: the first is the least of the window."

    def play(self, at: float, timestamp: int) -> float | None:
        """When the packet's first sample is heard. None: it came after its turn."""
        spoken = timestamp / SAMPLES_PER_MS / 1000
        transit, fastest = at - spoken, self._fastest
        while fastest and fastest[-1][1] >= transit:
            fastest.pop()
        fastest.append((at, transit))
        while fastest[0][0] < at - FASTEST_OF_S:
            fastest.popleft()
        turn = spoken + fastest[0][1] + self._buffer_s
        return turn if at <= turn else None


def at_the_ear(route: Route, came: Iterable[Came], dice: random.Random) -> dict[int, tuple[float, float | None]]:
    """For each packet (by timestamp): when it is at the telephone, and when it is played. Lost ones are missing."""
    line, receiver = Line(route.trunk, dice), Receiver(route.receiver_buffer_ms)
    found: dict[int, tuple[float, float | None]] = {}
    for packet in came:
        at = line.through_at(packet.at_s)
        if at is not None:
            found[packet.timestamp] = (at, receiver.play(at, packet.timestamp))
    return found


def passage(route: Route, probed: Probed, heard: Iterable[Heard], dice: random.Random) -> Passage:
    """Follow every frame of the measured time through all hops."""
    came, known = first_came(probed), first_heard(heard)
    ear = at_the_ear(route, probed.came, dice)
    journeys: list[Journey] = []
    frames = lost_in = lost_bridge = lost_out = too_late = 0
    for number, frame in enumerate(probed.spoken):
        if not probed.since_s <= frame.spoken_s < probed.until_s:
            continue
        frames += 1
        if frame.left_s is None:
            lost_in += 1
        elif number not in came or number not in known:
            lost_bridge += 1
        elif came[number].timestamp not in ear:
            lost_out += 1
        else:
            at, played = ear[came[number].timestamp]
            if played is None:
                too_late += 1
                continue
            journeys.append(_journey(route, frame.spoken_s, frame.left_s, known[number], came[number], at, played))
    by_hop = zip(*(journey.hops_ms for journey in journeys), strict=True)
    return Passage(
        route=route,
        total_ms=figures(journey.total_ms for journey in journeys),
        hops_ms={name: figures(values) for name, values in zip(HOPS, by_hop, strict=False)},
        bridge_ms=figures(journey.hops_ms[2] + journey.hops_ms[5] for journey in journeys),
        frames=frames,
        lost_in=lost_in,
        lost_bridge=lost_bridge,
        lost_out=lost_out,
        too_late=too_late,
    )


def _journey(
    route: Route, spoken_s: float, left_s: float, heard: Heard, came: Came, at_s: float, played_s: float
) -> Journey:
    return Journey(
        hops_ms=(
            PTIME_MS,  # the first sample of a frame waits for the last
            (left_s - spoken_s) * 1e3,
            (heard.at_s - left_s) * 1e3,
            (heard.said_s - heard.at_s) * 1e3 - route.processing_ms,
            route.processing_ms,
            (came.at_s - heard.said_s) * 1e3 + came.begins_ms,
            (at_s - came.at_s) * 1e3,
            (played_s - at_s) * 1e3,
        )
    )
