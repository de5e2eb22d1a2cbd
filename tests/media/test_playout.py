from __future__ import annotations

import pytest

from media.conceal import JOIN_MS, SILENT_MS, conceal, join
from media.cushion import JITTER_MS, MEMORY_MS, PEAKS_TO_LEARN, PEAKS_WITHIN_S
from media.playout import DRAIN_MS, MAX_QUEUE_MS, SAME_UTTERANCE_S, STANDING_MS, Playout
from tests.helpers.playing import FRAME, PCMA, PCMU, PTIME_S, QUIET, figures, heard, play, playout, speech

# --- messages of any length -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sends_ahead", [False, True])
@pytest.mark.parametrize("size", [1, 7, 80, 159, 160, 161, 320, 1000])
def test_messages_of_any_length_are_played_byte_for_byte(size: int, sends_ahead: bool) -> None:
    """A platform that paces in real time, in messages of its own size."""
    queue, voice, sent = playout(sends_ahead=sends_ahead), speech(50), 0
    out: list[bytes | None] = []
    for tick in range(60):
        now = 1.0 + tick * PTIME_S
        while sent < min(len(voice), (tick + 1) * FRAME):
            queue.push(voice[sent : sent + size], now)
            sent += size
        out.append(queue.next(now))
    assert heard(out).startswith(voice)  # and then it fades
    assert all(len(frame) == FRAME for frame in out if frame is not None)
    assert figures(queue) == {"played_ms": 1000}


@pytest.mark.parametrize(("frames", "left"), [(0.5, 80), (2.25, 40), (3 + 1 / 160, 1), (0.99375, 159)])
def test_the_tail_of_an_utterance_is_played_when_nothing_follows(frames: float, left: int) -> None:
    queue = playout()
    queue.push(QUIET * int(frames) + speech(frames)[-left:], 1.0)
    assert len(queue) == int(frames) + 1
    out = play(queue, 10)
    tail = out[-10:][-1 - out[::-1].index(next(frame for frame in out[::-1] if frame is not None))]
    assert tail is not None
    assert tail[:left] == speech(frames)[-left:]
    assert PCMU.is_quiet(tail[left + JOIN_MS * 8 :])  # what is missing of the frame: it ends without a click
    assert heard(out)[: -len(tail)] == QUIET * int(frames)
    assert len(queue) == 0
    assert figures(queue) == {"played_ms": (int(frames) + 1) * 20}


def test_the_tail_waits_for_the_message_that_completes_it() -> None:
    queue = playout()
    queue.push(speech(1)[:100], 1.0)
    assert play(queue, 2, 1.0) == [None, None]
    queue.push(speech(1)[100:], 1.039)
    assert play(queue, 1, 1.04) == [speech(1)]


def test_an_empty_message_is_nothing() -> None:
    queue = playout()
    queue.push(b"", 1.0)
    assert (len(queue), play(queue, 5)) == (0, [None] * 5)
    assert figures(queue) == {}


def test_a_frame_of_the_right_size_is_not_copied() -> None:
    queue, frame = playout(), speech(1)
    queue.push(frame, 1.0)
    assert queue.next(1.0) is frame


@pytest.mark.parametrize("ptime_ms", [10, 30, 60])
def test_other_ptimes(ptime_ms: int) -> None:
    queue, size = playout(ptime_ms=ptime_ms), 8 * ptime_ms
    voice = speech(12)
    queue.push(voice, 1.0)
    out = [queue.next(1.0 + n * ptime_ms / 1000) for n in range(len(voice) // size)]
    assert out == [voice[at : at + size] for at in range(0, len(voice), size)]
    assert figures(queue) == {"played_ms": 240}


# --- figures ----------------------------------------------------------------------------------------------------------


def test_what_waits_for_its_tick_is_told_to_the_pacer() -> None:
    queue = playout()
    queue.push(speech(1), 1.0)
    queue.next(1.004)
    assert queue.waited == pytest.approx(0.004)
    queue.next(1.024)
    assert queue.waited == -1.0  # no frame, nothing learnt
    assert queue.down.spread() == queue.queued.spread()
    assert (queue.down.spread().count, queue.down.spread().max) == (1, 4.0)


def test_what_is_queued_by_intent_is_not_latency() -> None:
    queue = playout(sends_ahead=True)
    queue.push(speech(50), 1.0)
    queue.push(speech(50), 1.0)
    play(queue, 100, 1.001)
    assert (queue.down.spread().count, queue.down.spread().max) == (1, 1.0)
    assert (queue.queued.spread().count, queue.queued.spread().max) == (100, 1981.0)


@pytest.mark.parametrize(("pause_s", "underruns"), [(SAME_UTTERANCE_S / 2, 1), (SAME_UTTERANCE_S * 2, 0)])
def test_a_queue_that_ran_dry_inside_an_utterance(pause_s: float, underruns: int) -> None:
    queue = playout()
    assert play(queue, 3, 0.5) == [None] * 3
    queue.push(speech(2), 1.0)
    play(queue, 2, 1.0)
    silence = play(queue, round(pause_s / PTIME_S), 1.04)
    assert b"".join(frame or QUIET for frame in silence[: SILENT_MS // 20]) == conceal(PCMU, speech(2), SILENT_MS * 8)
    assert set(silence[SILENT_MS // 20 :]) == {None}
    queue.push(speech(2), 1.04 + pause_s)
    back = heard(play(queue, 2, 1.04 + pause_s))
    assert queue.underruns == underruns
    assert back == join(PCMU, PCMU.silence * FRAME, speech(2))  # it had broken off in mid-sound


def test_the_end_of_the_call_is_no_underrun() -> None:
    queue = playout()
    queue.push(speech(2), 1.0)
    play(queue, 500, 1.0)
    assert figures(queue) == {"played_ms": 40}


# --- barge-in ---------------------------------------------------------------------------------------------------------


def test_flush_forgets_everything_in_the_middle_of_a_frame() -> None:
    queue = playout(sends_ahead=True)
    queue.push(speech(10.5), 1.0)
    assert play(queue, 3, 1.0) == [speech(10)[at : at + FRAME] for at in (0, FRAME, 2 * FRAME)]
    assert queue.flush(1.05) == 7 * 20 + 10
    assert len(queue) == 0
    assert play(queue, 5, 1.06) == [None] * 5
    assert figures(queue) == {"played_ms": 60, "flushed_ms": 150}
    assert (queue.barge_in.spread().count, queue.barge_in.spread().max) == (1, 10.0)


def test_audio_after_a_flush_begins_at_its_own_first_byte() -> None:
    queue = playout()
    queue.push(speech(1.5), 1.0)
    queue.flush(1.0)
    queue.push(speech(2), 1.01)
    assert heard(play(queue, 2, 1.02)) == speech(2)  # nothing was heard yet, so nothing ends
    assert figures(queue) == {"played_ms": 40, "flushed_ms": 30}  # and the silence before it was meant


def test_a_flush_of_nothing_counts_no_audio_but_is_timed() -> None:
    queue = playout()
    assert queue.flush(1.0) == 0
    queue.next(1.005)
    assert figures(queue) == {}
    assert (queue.barge_in.spread().count, queue.barge_in.spread().max) == (1, 5.0)


# --- limits -----------------------------------------------------------------------------------------------------------


def test_the_oldest_goes_when_ten_minutes_wait() -> None:
    queue = playout(sends_ahead=True)
    for ten_seconds in range(61):
        queue.push(500 * bytes([ten_seconds]) * FRAME, float(ten_seconds))
    assert len(queue) * 20 == MAX_QUEUE_MS
    assert figures(queue) == {"overflow_ms": 10_000}
    assert queue.next(61.0) == FRAME * bytes([1])


def test_one_message_beyond_the_limit() -> None:
    queue = playout(sends_ahead=True)
    queue.push(bytes(30_100 * FRAME), 1.0)
    assert (len(queue), queue.overflow_ms) == (30_000, 2000)


def stalled(*, sends_ahead: bool, stall: int = 25, quiet_every: int = 0, seconds: int = 4) -> tuple[Playout, list[int]]:
    """A real-time platform whose `stall` frames come late and at once. The queue, and its depth after each tick."""
    queue, depths = playout(sends_ahead=sends_ahead), []
    for tick in range(seconds * 50):
        now = 1.0 + tick * PTIME_S
        arrived = 1 if tick < 50 else 0 if tick < 50 + stall else stall + 1 if tick == 50 + stall else 1
        for n in range(arrived):
            quiet = quiet_every and (tick + n) % quiet_every == 0
            queue.push(QUIET if quiet else speech(1), now)
        queue.next(now)
        depths.append(len(queue))
    return queue, depths


@pytest.mark.parametrize("stall", [3, 10, 25, 100])
@pytest.mark.parametrize("quiet_every", [0, 3])
def test_what_a_stall_leaves_standing_is_drained_within_a_second(stall: int, quiet_every: int) -> None:
    queue, depths = stalled(sends_ahead=False, stall=stall, quiet_every=quiet_every, seconds=6)
    burst = 50 + stall
    assert depths[burst] == stall
    settled = burst + (STANDING_MS + DRAIN_MS) // 20
    assert set(depths[settled:]) == {0}
    assert max(depths[burst + STANDING_MS // 40 :]) <= stall  # nothing is dropped before it is known to stand
    counted = {"underruns": 1} if stall * 20 < SAME_UTTERANCE_S * 1000 else {}
    assert figures(queue) == {"played_ms": (300 - stall) * 20, "drained_ms": stall * 20, **counted}


def test_silence_is_dropped_first() -> None:
    queue, pushed = playout(), 0
    out: list[bytes | None] = []
    for tick in range(100):
        for _ in range(6 if tick == 0 else 1):
            pushed += 1
            queue.push(QUIET if pushed % 2 else speech(1), 1.0)
        out.append(queue.next(1.0))
    assert (queue.drained_ms, pushed, len(queue)) == (5 * 20, 105, 0)
    assert out.count(speech(1)) == pushed // 2  # every word was heard


@pytest.mark.parametrize("since", [0, 5, 11])
def test_words_are_left_alone_while_silence_may_still_come(since: int) -> None:
    """Five frames stand. A pause of five comes up within the time that silence has to itself: every word is heard."""
    queue, words = playout(), 0
    for tick in range(100):
        quiet = 26 + since <= tick + 5 < 31 + since
        words += (6 if tick == 0 else 1) * (not quiet)
        queue.push(speech(6) if tick == 0 else QUIET if quiet else speech(1), 1.0 + tick * PTIME_S)
        words -= queue.next(1.0 + tick * PTIME_S) != QUIET
    assert (queue.drained_ms, len(queue), words) == (100, 0, 0)


def test_a_queue_that_is_deep_by_intent_is_left_alone() -> None:
    queue, sentence = playout(sends_ahead=True), speech(150)
    for tick in range(700):
        if tick % 175 == 0:
            queue.push(sentence, 1.0 + tick * PTIME_S)
        queue.next(1.0 + tick * PTIME_S)
    assert queue.sends_ahead
    assert figures(queue) == {"played_ms": 4 * 3000, "underruns": 3}  # half a second between two sentences


def test_one_that_may_send_ahead_and_speaks_in_real_time_is_drained_like_any_other() -> None:
    queue, depths = stalled(sends_ahead=True, seconds=6)
    assert not queue.sends_ahead
    assert depths[90] == 25  # not yet known
    assert set(depths[-100:]) == {0}
    assert figures(queue) == {"played_ms": 275 * 20, "drained_ms": 500, "underruns": 1}


def test_another_platform_is_judged_anew() -> None:
    queue, _ = stalled(sends_ahead=True, seconds=6)
    assert queue.successor(PCMU, 20, sends_ahead=True).sends_ahead
    queue, _ = stalled(sends_ahead=True, seconds=6)
    assert queue.successor(PCMA, 20, sends_ahead=True).sends_ahead


@pytest.mark.parametrize("message_ms", [40, 100, 200, 400])
def test_coarse_messages_are_no_standing_queue(message_ms: int) -> None:
    queue = playout()
    frames = message_ms // 20
    for tick in range(500):
        if tick % frames == 0:
            queue.push(speech(frames), 1.0 + tick * PTIME_S)
        queue.next(1.0 + tick * PTIME_S)
    assert figures(queue) == {"played_ms": 10_000}


@pytest.mark.parametrize(("message", "too_many"), [(5, 10), (10, 7), (10, 8), (20, 3)])
def test_of_a_queue_that_rises_and_falls_only_what_stands_is_drained(message: int, too_many: int) -> None:
    """Messages of several frames: the way down from each is needed, what is too many before the first is not."""
    queue = playout()
    for tick in range(500):
        if tick % message == 0:
            queue.push(speech(message + (too_many if tick == 0 else 0)), 1.0 + tick * PTIME_S)
        queue.next(1.0 + tick * PTIME_S)
    assert figures(queue) == {"played_ms": 10_000, "drained_ms": too_many * 20}


# --- jitter that is rarer than half a second --------------------------------------------------------------------------


def peaks(frames: int, every_s: float, *, count: int, lasts_s: float) -> Playout:
    """A real-time platform of which every so often some frames come late and together."""
    queue, held = playout(), 0
    queue.push(speech(1), 0.98)  # the utterance has begun
    queue.next(0.98)
    for tick in range(round(lasts_s / PTIME_S)):
        since, number = tick % round(every_s / PTIME_S), tick // round(every_s / PTIME_S)
        held += 1
        if not (number < count and since < frames):
            queue.push(speech(held), 1.0 + tick * PTIME_S)
            held = 0
        queue.next(1.0 + tick * PTIME_S)
    return queue


@pytest.mark.parametrize("frames", [1, 3, 5, 6])
@pytest.mark.parametrize("every_s", [1.4, 3.0])
def test_peaks_that_come_again_are_kept_in_hand(frames: int, every_s: float) -> None:
    """The first ones are drained like any stall, then it is known what to keep, and none of the others is heard."""
    queue = peaks(frames, every_s, count=20, lasts_s=20 * every_s)
    assert (queue.underruns, queue.drained_ms, len(queue)) == (
        PEAKS_TO_LEARN,
        (PEAKS_TO_LEARN - 1) * frames * 20,
        frames,
    )


def test_what_was_kept_for_peaks_is_given_up_when_they_have_ceased() -> None:
    queue = peaks(5, 3.0, count=6, lasts_s=18 + 2 * MEMORY_MS / 1000 + 1)
    assert (queue.underruns, queue.drained_ms, len(queue)) == (PEAKS_TO_LEARN, PEAKS_TO_LEARN * 100, 0)


@pytest.mark.parametrize("frames", [JITTER_MS // 20 + 1, 25])
def test_what_is_longer_is_a_stall_and_leaves_no_delay_however_often(frames: int) -> None:
    queue = peaks(frames, 3.0, count=10, lasts_s=30.0)
    assert (queue.underruns, queue.drained_ms, len(queue)) == (10, 10 * frames * 20, 0)


def test_peaks_far_apart_have_nothing_in_common() -> None:
    every_s = PEAKS_WITHIN_S / (PEAKS_TO_LEARN - 1) + 0.5
    queue = peaks(5, every_s, count=5, lasts_s=5 * every_s)
    assert (queue.underruns, queue.drained_ms, len(queue)) == (5, 5 * 100, 0)


def test_bursts_after_pauses_of_the_agent_are_no_peaks() -> None:
    """Each utterance begins with 100 ms at once: nothing ran dry, so nothing of it is kept."""
    queue = playout()
    for tick in range(1200):
        if tick % 120 < 60:
            queue.push(speech(6 if tick % 120 == 0 else 1), 1.0 + tick * PTIME_S)
        queue.next(1.0 + tick * PTIME_S)
    assert figures(queue)["drained_ms"] == 10 * 100


def test_behind_frames_that_are_kept_the_phase_is_not_to_be_seen() -> None:
    queue = peaks(5, 3.0, count=5, lasts_s=15.0)
    queue.push(speech(1), 16.0)
    assert queue.next(16.01) is not None
    assert queue.waited == -1.0
    while len(queue) > 1:
        queue.next(16.02)
    queue.next(16.03)
    assert queue.waited == pytest.approx(0.03)


def test_what_has_drained_by_itself_is_not_taken_from_the_next_utterance() -> None:
    queue = playout()
    for tick in range(24):
        queue.push(speech(11 if tick == 0 else 1), 1.0 + tick * PTIME_S)
        queue.next(1.0 + tick * PTIME_S)
    play(queue, 50, 1.48)
    before = queue.drained_ms
    queue.push(speech(10), 3.0)
    assert heard(play(queue, 10, 3.0))[JOIN_MS * 8 :] == speech(10)[JOIN_MS * 8 :]
    assert queue.drained_ms == before


@pytest.mark.parametrize("stops_after", range(26, 60))
def test_a_platform_that_stops_while_its_stall_is_drained(stops_after: int) -> None:
    """A hundred frames stand, eight are cut at a time, and no more come: the last ones are played, not cut away."""
    queue = playout()
    for tick in range(200):
        if tick < stops_after:
            queue.push(speech(100 if tick == 0 else 1), 1.0 + tick * PTIME_S)
        queue.next(1.0 + tick * PTIME_S)
    assert len(queue) == 0
    assert queue.played_ms + queue.drained_ms == (99 + stops_after) * 20


def test_a_flush_ends_the_draining() -> None:
    queue = playout()
    for tick in range(40):  # the drain of a deep queue has just begun
        queue.push(speech(40 if tick == 0 else 1), 1.0 + tick * PTIME_S)
        queue.next(1.0 + tick * PTIME_S)
    drained_ms = queue.drained_ms
    assert drained_ms > 0
    queue.flush(1.8)
    queue.push(speech(10), 1.82)
    assert heard(play(queue, 10, 1.82))[JOIN_MS * 8 :] == speech(10)[JOIN_MS * 8 :]
    assert queue.drained_ms == drained_ms
