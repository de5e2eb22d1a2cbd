from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pytest

from media.rtp import Reception
from media.uplink import (
    AHEAD_MS,
    DROP,
    HOLD_OFF_MS,
    TRIM_MS,
    WIDEST_HOLD_OFF_MS,
    Uplink,
)
from tests.helpers.wire import Wire

RATE_HZ = 8000
PER_MS = RATE_HZ // 1000
Voice = tuple[float, int, int, int, bool]
"A packet at its arrival: (time, sequence, timestamp, samples, quiet)."


@dataclass
class Journey:
    """What went up during a simulated call, and how far it was from real time at the extremes."""

    sent_ms: float = 0.0
    filled_ms: float = 0.0
    dropped_ms: float = 0.0
    most_ahead_ms: float = 0.0
    most_behind_ms: float = 0.0
    verdicts: list[int] = field(default_factory=list)
    "For each packet in order: samples of silence before it, or DROP."


def call(arrivals: Iterable[Voice], lasts_s: float, *, tick_ms: float = 20.0, start: float = 100.0) -> Journey:
    """Play a caller's packets against the ledger, with the filler asked at every tick, as the call does it."""
    uplink, reception, journey = Uplink(RATE_HZ), Reception(RATE_HZ), Journey()
    uplink.start(start)
    ticks = (start + n * tick_ms / 1000 for n in range(int(lasts_s * 1000 / tick_ms) + 2))
    for at, packet in _by_time(ticks, arrivals):
        if packet is None:
            # A filler's silence is never too much: it stops where real time has not yet asked for it.
            filled = uplink.fill(160, at)
            assert not filled or uplink.behind(at) >= 0
        else:
            _, sequence, timestamp, samples, quiet = packet
            verdict = reception.arrive(sequence & 0xFFFF, timestamp & 0xFFFFFFFF, at)
            if verdict in (Reception.LATE, Reception.DUPLICATE):
                continue
            journey.verdicts.append(uplink.admit(timestamp & 0xFFFFFFFF, samples, quiet, at))
        behind_ms = uplink.behind(at) / PER_MS
        journey.most_ahead_ms = max(journey.most_ahead_ms, -behind_ms)
        journey.most_behind_ms = max(journey.most_behind_ms, behind_ms)
    journey.sent_ms = uplink.sent / PER_MS
    journey.filled_ms = uplink.filled / PER_MS
    journey.dropped_ms = uplink.ahead_dropped / PER_MS
    return journey


def _by_time(ticks: Iterator[float], arrivals: Iterable[Voice]) -> Iterator[tuple[float, Voice | None]]:
    """Ticks (None) and packets in the order of their times."""
    waiting = iter(arrivals)
    packet = next(waiting, None)
    for tick in ticks:
        while packet is not None and packet[0] <= tick:
            yield packet[0], packet
            packet = next(waiting, None)
        yield tick, None


def voice(
    lasts_s: float,
    *,
    start: float = 100.0,
    begins_s: float = 0.0,
    ptime_ms: int = 20,
    sequence: int = 1,
    timestamp: int = 0,
    quiet: bool = False,
    clock: float = 1.0,
) -> list[Voice]:
    """A sender without fault, a millisecond away. `clock` above 1 is one whose crystal runs fast."""
    samples = ptime_ms * PER_MS
    return [
        (
            start + begins_s + (n + 1) * ptime_ms / 1000 / clock + 0.001,
            sequence + n,
            timestamp + n * samples,
            samples,
            quiet,
        )
        for n in range(round(lasts_s * 1000 / ptime_ms))
    ]


def over(wire: Wire, packets: list[Voice]) -> list[Voice]:
    form = struct.Struct(">qqq?")
    for at, *rest in packets:
        wire.send(form.pack(*rest), at)
    return [voice_at(at, *form.unpack(data)) for data, at in wire.arrivals()]


def voice_at(at: float, sequence: int, timestamp: int, samples: int, quiet: bool) -> Voice:
    return at, sequence, timestamp, samples, quiet


# --- a second per second ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 60])
def test_clean_line_is_passed_on_untouched(ptime_ms: int) -> None:
    packets = voice(6.0, ptime_ms=ptime_ms)
    journey = call(packets, 6.0)
    assert journey.verdicts == [0] * len(packets)
    assert (journey.sent_ms, journey.filled_ms, journey.dropped_ms) == (6000, 0, 0)
    assert journey.most_ahead_ms == 0
    assert journey.most_behind_ms <= max(ptime_ms, 20)  # 20: the last tick, when the caller has gone


@pytest.mark.parametrize("pattern", [99 * "." + "x", 32 * "." + "x", 19 * "." + "x", 57 * "." + "xxx"])
def test_loss_is_filled_with_silence_of_the_same_length(pattern: str) -> None:
    wire = Wire(pattern)
    # A lost packet is known by the one that follows it; so the call ends with one that has come.
    journey = call(over(wire, voice(60.02)), 60.02)
    assert wire.lost > 25
    assert (journey.sent_ms, journey.filled_ms, journey.dropped_ms) == pytest.approx((60_020, wire.lost * 20, 0), abs=1)


def test_loss_is_filled_where_it_happened() -> None:
    journey = call(over(Wire("...x......"), voice(0.2)), 0.2)
    assert journey.verdicts == [0, 0, 0, 160, 0, 0, 0, 0, 0]


def test_jitter_below_the_hold_off_is_waited_for() -> None:
    """Nothing is filled, nothing dropped: a gap filled now would push the audio that follows out of its place."""
    jitter_s = [0.0, 0.031, 0.012, 0.004, 0.027, 0.018, 0.035, 0.001]
    packets = sorted(over(Wire(jitter_s=jitter_s), voice(10.0)))
    ordered = [voice_at(come[0], *sent[1:]) for come, sent in zip(packets, voice(10.0), strict=True)]
    journey = call(ordered, 10.0)
    assert (journey.filled_ms, journey.dropped_ms) == (0, 0)
    assert 9940 <= journey.sent_ms <= 10_000


@pytest.mark.parametrize("pattern", ["....>...", ".>>.", "..2.>x..", "2"])
def test_reordered_and_doubled_packets_make_no_extra_audio(pattern: str) -> None:
    wire = Wire(pattern, late_s=0.03)
    journey = call(over(wire, voice(20.0)), 20.0)
    assert 20_000 - HOLD_OFF_MS - 20 <= journey.sent_ms <= 20_000
    assert journey.most_ahead_ms <= 20
    assert journey.most_behind_ms <= HOLD_OFF_MS + 40


def test_dtx_is_filled_by_the_filler() -> None:
    """The caller is silent for two seconds: sequence numbers go on, the timestamp jumps (RFC 3551, 4.1)."""
    packets = voice(1.0) + voice(1.0, begins_s=3.0, sequence=51, timestamp=3 * RATE_HZ)
    journey = call(packets, 4.0)
    assert (journey.sent_ms, journey.filled_ms, journey.dropped_ms) == pytest.approx((4000, 2000, 0), abs=1)
    assert journey.most_behind_ms <= HOLD_OFF_MS + 40
    assert journey.most_ahead_ms <= 0.2


def test_hold_is_filled_though_the_timestamp_stood_still() -> None:
    packets = voice(1.0) + voice(1.0, begins_s=11.0, sequence=51, timestamp=RATE_HZ)
    journey = call(packets, 12.0)
    # What the hold-off had left unfilled is still owed, and nothing tells that it ever will be asked for.
    assert 12_000 - HOLD_OFF_MS - 20 <= journey.sent_ms <= 12_000
    assert (journey.filled_ms, journey.dropped_ms) == (journey.sent_ms - 2000, 0)


def test_nothing_at_all_is_silence() -> None:
    journey = call([], 5.0)
    assert journey.sent_ms == journey.filled_ms
    assert journey.filled_ms == pytest.approx(5000, abs=20)
    assert journey.most_behind_ms <= HOLD_OFF_MS + 20


def test_after_a_pause_the_whole_hold_off_is_there_for_jitter() -> None:
    """A caller who begins to speak after a second, over a line that delays by up to 55 ms: nothing of his is filled."""
    jitter_s = [0.0, 0.055, 0.04, 0.02, 0.055, 0.035, 0.015]
    packets = voice(2.0, begins_s=1.0)
    arrived: list[Voice] = []
    for number, (at, sequence, timestamp, samples, quiet) in enumerate(packets):
        latest = max([at + jitter_s[number % 7], *(packet[0] for packet in arrived[-1:])])
        arrived.append((latest, sequence, timestamp, samples, quiet))
    journey = call(arrived, 3.0)
    assert (journey.filled_ms, journey.dropped_ms) == (1000, 0)


def burst(stall_s: float, *, quiet: bool) -> list[Voice]:
    """One second of voice, a stall, what was held up in it all at once, and two seconds of voice."""
    before, held = voice(1.0), voice(stall_s, begins_s=1.0, sequence=51, timestamp=RATE_HZ, quiet=quiet)
    after = voice(2.0, begins_s=1.0 + stall_s, sequence=51 + len(held), timestamp=RATE_HZ + len(held) * 160)
    return [*before, *(voice_at(101.0 + stall_s, *packet[1:]) for packet in held), *after]


@pytest.mark.parametrize(("quiet", "bound_ms"), [(False, AHEAD_MS), (True, TRIM_MS)])
def test_a_burst_after_a_stall_is_trimmed_silence_first(quiet: bool, bound_ms: int) -> None:
    journey = call(burst(0.5, quiet=quiet), 3.5)
    assert journey.most_ahead_ms <= bound_ms
    assert 3500 <= journey.sent_ms <= 3500 + bound_ms
    assert 480 <= journey.filled_ms <= 500
    assert journey.dropped_ms == 3500 + journey.filled_ms - journey.sent_ms
    assert journey.verdicts[-50:] == [0] * 50  # and what comes a second after it goes through


def test_speech_that_stays_ahead_after_a_burst_is_cut_packet_by_packet_within_a_second() -> None:
    journey = call(burst(0.5, quiet=False), 3.5)
    after = journey.verdicts[-100:]
    cuts = [number for number, verdict in enumerate(after) if verdict == DROP]
    assert (cuts[0], len(cuts)) == (19, 5)
    assert max(cuts) * 0.02 < 0.7
    assert journey.sent_ms == pytest.approx(3520, abs=1)  # the burst ends 120 ms ahead: the last packet is left of it


@pytest.mark.parametrize("stall_s", [0.2, 0.5, 2.0])
@pytest.mark.parametrize("begins_ms", [0.5, 3, 10, 18])
def test_after_a_stall_the_caller_is_where_he_was(begins_ms: float, stall_s: float) -> None:
    """Heard later by a whole packet for the rest of the call, wherever the first packet had fallen."""
    packets = burst(stall_s, quiet=False)
    later = [voice_at(packet[0] - 0.021 + begins_ms / 1000, *packet[1:]) for packet in packets]
    journey = call(later, later[-1][0] - 100.0)
    assert journey.dropped_ms == journey.filled_ms > 0


def trembling(ptime_ms: int, jitter_ms: float, seed: int, pause_s: float = 0.0) -> list[Voice]:
    """A minute in which every packet is late by anything up to the jitter, behind the others; a pause each 3 s."""
    dice, size, latest = random.Random(seed), ptime_ms * PER_MS, 0.0
    packets = []
    for number in range(60_000 // ptime_ms):
        paused_s = pause_s * (number * ptime_ms // 3000)
        sent = 100.0 + seed * 0.003 + (number + 1) * ptime_ms / 1000 + paused_s
        latest = max(latest, sent + dice.random() * jitter_ms / 1000)
        packets.append((latest, number, number * size + round(paused_s * RATE_HZ), size, False))
    return packets


@pytest.mark.parametrize("pause_s", [0.0, 0.7])
@pytest.mark.parametrize("jitter_ms", [0.5, 5, 10, 30])
@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 60])
def test_jitter_alone_is_never_cut(ptime_ms: int, jitter_ms: float, pause_s: float) -> None:
    """Nor when the first packet was the latest, so that all others stand ahead of it."""
    for seed in range(2):
        packets = trembling(ptime_ms, jitter_ms, seed, pause_s)
        assert call(packets, packets[-1][0] - 100.0, tick_ms=ptime_ms).dropped_ms == 0


def test_what_a_burst_leaves_is_not_cut_while_late_packets_use_it() -> None:
    """Ahead only between the late ones: that is jitter, and the platform would run dry without it."""
    packets = burst(0.5, quiet=False)
    after = packets[-100:]
    for number in range(0, 90, 15):
        came = after[number][0] + 0.09
        for bunched in range(number, number + 5):
            after[bunched] = voice_at(came, *after[bunched][1:])
    journey = call(packets[:-100] + after, 3.5)
    assert journey.verdicts[-100:].count(DROP) == 0


def test_speech_that_ran_ahead_gives_way_at_the_first_silence() -> None:
    packets = burst(0.5, quiet=False)
    packets[-10:] = [(*packet[:4], True) for packet in packets[-10:]]
    journey = call(packets, 3.5)
    assert 3500 <= journey.sent_ms <= 3500 + TRIM_MS


@pytest.mark.parametrize("silent_s", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("late_s", [0.02, 0.05, 0.2])
def test_filler_and_late_packets_never_bring_the_same_time_twice(silent_s: float, late_s: float) -> None:
    """After each pause the next packets come late together: every pause would add its length if it were doubled."""
    packets: list[Voice] = []
    for turn in range(20):
        began = turn * (1.0 + silent_s)
        talk = voice(1.0, begins_s=began, sequence=1 + turn * 50, timestamp=round(began * RATE_HZ))
        bunched_at = talk[0][0] + late_s
        packets += [voice_at(max(packet[0], bunched_at), *packet[1:]) for packet in talk]
    lasts_s = 20 * (1.0 + silent_s)
    journey = call(packets, lasts_s)
    assert journey.most_ahead_ms <= AHEAD_MS
    assert lasts_s * 1000 - HOLD_OFF_MS - 40 <= journey.sent_ms <= lasts_s * 1000 + AHEAD_MS


# --- clocks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ppm", [-200, 200])
@pytest.mark.parametrize("quiet", [False, True])
def test_an_hour_with_a_sender_whose_clock_is_off(ppm: int, quiet: bool) -> None:
    packets = voice(3602.0, quiet=quiet, clock=1 + ppm / 1e6)
    arrived = [packet for packet in packets if packet[0] <= 3700]
    journey = call(arrived, 3600.0)
    bound_ms = TRIM_MS if quiet else AHEAD_MS
    assert 3_600_000 - HOLD_OFF_MS - 40 <= journey.sent_ms <= 3_600_000 + bound_ms
    off_ms = 3600 * 1000 * abs(ppm) / 1e6
    corrected_ms = journey.dropped_ms if ppm > 0 else journey.filled_ms
    assert corrected_ms == pytest.approx(off_ms, abs=bound_ms + 20)
    assert (journey.filled_ms if ppm > 0 else journey.dropped_ms) == 0


def test_timestamp_wraps_in_mid_speech_and_in_a_pause() -> None:
    speech = call(over(Wire(49 * "." + "x"), voice(20.02, timestamp=2**32 - 50_000)), 20.02)
    assert (speech.sent_ms, speech.filled_ms, speech.dropped_ms) == pytest.approx((20_020, 400, 0), abs=1)
    pause = call(
        voice(1.0, timestamp=2**32 - 2 * RATE_HZ) + voice(1.0, begins_s=3.0, sequence=51, timestamp=2**32 + RATE_HZ),
        4.0,
    )
    assert (pause.sent_ms, pause.filled_ms, pause.dropped_ms) == pytest.approx((4000, 2000, 0), abs=1)


@pytest.mark.parametrize("jump", [61 * RATE_HZ, 2**31 - 1, 2**31, -160, -RATE_HZ])
def test_a_jump_of_the_clock_is_no_pause(jump: int) -> None:
    packets = voice(1.0) + voice(1.0, begins_s=1.0, sequence=51, timestamp=RATE_HZ + jump)
    journey = call(packets, 2.0)
    assert journey.verdicts == [0] * 100
    assert (journey.sent_ms, journey.filled_ms, journey.dropped_ms) == (2000, 0, 0)


def test_a_new_stream_owes_nothing_to_the_old_one() -> None:
    uplink = Uplink(RATE_HZ)
    uplink.start(0.0)
    assert uplink.admit(0, 160, False, 0.02) == 0
    uplink.new_stream()
    assert uplink.admit(8000, 160, False, 1.02) == 0  # would be a pause of nearly a second
    assert uplink.admit(8320, 160, False, 1.06) == 160  # and this is loss again
    assert (uplink.sent, uplink.filled) == (4 * 160, 160)


# --- edges ------------------------------------------------------------------------------------------------------------


def test_before_the_start_nothing_is_owed_and_nothing_counted() -> None:
    """The line may be up before the platform is: what the caller says then must not count as sent ahead."""
    uplink = Uplink(RATE_HZ)
    for packet in range(100):
        at = 50 + packet * 0.02
        assert uplink.fill(160, at) == 0
        assert uplink.admit(packet * 160, 160, False, at) == 0
    uplink.start(52.0)
    assert (uplink.sent, uplink.filled, uplink.behind(52.0)) == (0, 0, 0)
    assert uplink.admit(100 * 160, 160, False, 52.02) == 0
    assert (uplink.sent, uplink.ahead_dropped) == (160, 0)


def test_starting_twice_does_nothing() -> None:
    uplink = Uplink(RATE_HZ)
    uplink.start(1.0)
    uplink.start(2.0)
    assert uplink.behind(2.0) == RATE_HZ


def test_a_filler_that_slept_catches_up_in_whole_frames() -> None:
    uplink = Uplink(RATE_HZ)
    uplink.start(0.0)
    assert [uplink.fill(160, at) for at in (0.05, 0.079, 0.08, 0.0999, 0.1, 1.111)] == [0, 0, 160, 0, 160, 50 * 160]
    assert uplink.sent == uplink.filled == 52 * 160


@pytest.mark.parametrize(
    ("jitter_ms", "hold_off_ms"), [(0.0, 60), (20.0, 60), (30.0, 90), (40.0, 120), (500.0, WIDEST_HOLD_OFF_MS)]
)
def test_the_filler_waits_longer_on_a_line_of_much_jitter(jitter_ms: float, hold_off_ms: int) -> None:
    uplink = Uplink(RATE_HZ)
    uplink.start(0.0)
    assert uplink.fill(160, (hold_off_ms + 19) / 1000, jitter_ms) == 0
    assert uplink.fill(160, (hold_off_ms + 21) / 1000, jitter_ms) == 160


def test_a_packet_longer_than_the_bound_is_dropped_not_sent() -> None:
    uplink = Uplink(RATE_HZ)
    uplink.start(0.0)
    too_long_ms = AHEAD_MS + 1
    assert uplink.admit(0, too_long_ms * PER_MS, False, 0.0) == DROP
    assert (uplink.sent, uplink.ahead_dropped) == (0, too_long_ms * PER_MS)
    assert uplink.admit(too_long_ms * PER_MS, AHEAD_MS * PER_MS, False, 0.0) == 0


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize("packet_ms", [10, 20, 30, 40, 60])
@pytest.mark.parametrize("begins_ms", [0, 3, 11, 29, 59])
def test_packets_of_any_length_in_real_time_are_no_burst(begins_ms: int, packet_ms: int, quiet: bool) -> None:
    """Wherever the first one falls. A silent one of 60 ms was trimmed as if it ran ahead: it lasts longer than that."""
    size = packet_ms * PER_MS
    packets = [(100.0 + (begins_ms + n * packet_ms) / 1000, n, n * size, size, quiet) for n in range(100)]
    journey = call(packets, packets[-1][0] - 100.0, tick_ms=packet_ms)
    assert journey.dropped_ms == 0
    assert journey.filled_ms <= HOLD_OFF_MS


def test_an_empty_packet_changes_nothing() -> None:
    uplink = Uplink(RATE_HZ)
    uplink.start(0.0)
    assert uplink.admit(0, 0, True, 0.02) == 0
    assert uplink.admit(0, 160, False, 0.02) == 0
    assert (uplink.sent, uplink.filled, uplink.ahead_dropped) == (160, 0, 0)
