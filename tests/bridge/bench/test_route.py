from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest

from bridge.bench.line import Stretch
from bridge.bench.region import ROUTES
from bridge.bench.results import Came
from bridge.bench.route import HOPS, Receiver, Route, at_the_ear, load, passage
from tests.bridge.bench.probes import heard, probed

ROUTE = Route(name="here", trunk=Stretch(one_way_ms=15), platform=Stretch(one_way_ms=10), receiver_buffer_ms=40)


def test_the_routes_of_the_repository_are_the_promise() -> None:
    regional, international = load(ROUTES)
    assert regional == Route(
        name="regional",
        trunk=Stretch(one_way_ms=15, jitter_ms=5, loss_percent=0.5),
        platform=Stretch(one_way_ms=10, jitter_ms=2),
        receiver_buffer_ms=40,
        promise_p50_ms=150,
        promise_p99_ms=300,
    )
    assert (international.trunk.one_way_ms, international.promise_p99_ms) == (130, 0)
    assert international.platform == regional.platform


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "No such file"),
        ("routes = [", "routes.toml: "),
        ("routes = []", "no routes"),
        ("[[routes]]\nname = 'x'\n[routes.trunk]\n", "missing required field `platform`"),
        ("[[routes]]\nname = 'x'\ndelay = 1\n", "unknown field `delay`"),
        ("[[routes]]\nname = 'x'\n[routes.platform]\n[routes.trunk]\njitter_ms = 5\n", "before it is sent"),
    ],
    ids=["no file", "no TOML", "empty", "incomplete", "misspelt", "impossible"],
)
def test_bad_routes_are_named(text: str | None, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "routes.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=complaint) as caught:
        load(path)
    assert str(path) in str(caught.value)


# --- the receiver's buffer ------------------------------------------------------------------------------------------


def test_every_packet_is_played_one_buffer_after_the_fastest() -> None:
    receiver = Receiver(40)
    arrivals = [10.000, 10.025, 10.038, 10.099, 10.110]  # transits 0, 5, -2, 39, 30 ms
    played = [receiver.play(at, 160 * number) for number, at in enumerate(arrivals)]
    # Packet 2 is the fastest so far: from then on the grid is 2 ms earlier, and packet 3 misses its turn by 1 ms.
    assert [None if at is None else round(at, 4) for at in played] == [10.04, 10.06, 10.078, None, 10.118]


def test_the_fastest_packet_is_forgotten_in_time() -> None:
    receiver = Receiver(40)
    receiver.play(10.0, 0)
    # From here on everything takes 30 ms longer; after two seconds that is the new base.
    played = [(at, receiver.play(at, int((at - 10.03) * 8000))) for at in (10.13, 11.93, 12.13, 14.03)]
    assert [round((turn or 0) - at, 4) for at, turn in played] == [0.01, 0.01, 0.04, 0.04]


def test_packets_lost_on_the_way_are_not_at_the_ear() -> None:
    came = [Came(at_s=n * 0.02, timestamp=160 * n, number=n, begins_ms=0.0) for n in range(400)]
    route = msgspec.structs.replace(ROUTE, trunk=Stretch(one_way_ms=15, loss_percent=50))
    found = at_the_ear(route, came, random.Random(1))
    assert 100 < len(found) < 300
    assert {round(at - timestamp / 8000, 4) for timestamp, (at, _) in found.items()} == {0.015}


# --- the whole way --------------------------------------------------------------------------------------------------


def test_the_hops_add_up() -> None:
    call = probed(2, lambda at: 15 + 1 + 20 + 4.0)
    found = passage(ROUTE, call, heard(call), random.Random(1))
    assert {hop: round(found.hops_ms[hop].p50, 3) for hop in HOPS} == {
        "packetisation": 20.0,
        "trunk in": 15.0,
        "bridge up": 1.0,
        "platform line": 20.0,
        "platform": 0.0,
        "bridge down": 4.0,
        "trunk out": 15.0,
        "receiver buffer": 40.0,
    }
    assert (round(found.total_ms.p50, 3), round(found.total_ms.max, 3)) == (115.0, 115.0)
    assert round(found.bridge_ms.p99, 3) == 5.0
    assert (found.frames, found.lost_in, found.lost_bridge, found.lost_out, found.too_late) == (100, 0, 0, 0, 0)


def test_processing_is_taken_out_of_the_platforms_line() -> None:
    call = probed(1, lambda at: 50.0)
    found = passage(msgspec.structs.replace(ROUTE, processing_ms=5), call, heard(call), random.Random(1))
    assert round(found.hops_ms["platform line"].p50, 3) == 15.0
    assert round(found.hops_ms["platform"].p50, 3) == 5.0


def test_every_frame_that_is_not_heard_is_counted_once() -> None:
    def trip(at: float) -> float | None:
        # Frame 10 is left out by the bridge, frame 20 comes 45 ms later than all others.
        return None if round(at / 0.02) == 10 else 100.0 if round(at / 0.02) == 20 else 55.0

    call = probed(2, trip, lost_in=frozenset({3, 4}))
    found = passage(ROUTE, call, heard(call), random.Random(1))
    assert (found.frames, found.lost_in, found.lost_bridge, found.lost_out, found.too_late) == (100, 2, 1, 0, 1)
    assert found.total_ms.count == 96


def test_only_the_measured_time_counts() -> None:
    call = msgspec.structs.replace(probed(2, lambda at: 50.0), since_s=0.499, until_s=1.499)
    assert passage(ROUTE, call, heard(call), random.Random(1)).frames == 50


@pytest.mark.parametrize(
    ("p50", "p99", "kept", "reached"),
    [(0, 0, True, True), (150, 300, True, True), (150, 100, False, True), (100, 300, True, False)],
)
def test_a_promise_is_kept_or_not(p50: float, p99: float, kept: bool, reached: bool) -> None:
    call = probed(2, lambda at: 40.0)
    route = msgspec.structs.replace(ROUTE, promise_p50_ms=p50, promise_p99_ms=p99)
    found = passage(route, call, heard(call), random.Random(1))
    assert (found.keeps_promise, found.reaches_goal) == (kept, reached)


def test_nothing_measured_keeps_no_promise() -> None:
    route = msgspec.structs.replace(ROUTE, promise_p99_ms=300)
    assert not passage(route, probed(1, lambda at: None), [], random.Random(1)).keeps_promise
