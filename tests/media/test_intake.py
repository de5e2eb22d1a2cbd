from __future__ import annotations

import numpy as np
import pytest

from media.codecs import CODECS
from media.intake import SLICE_MS, Intake
from media.playout import MAX_QUEUE_MS, Playout
from media.transcode import transcoder
from media.wire import FarSpec

PCMU, PCMA = CODECS["PCMU"], CODECS["PCMA"]
NOW = 10.0


def spec(rate_hz: int = 8000, encoding: str = "s16le") -> FarSpec:
    return FarSpec(platform="p", dialect="raw", rate_hz=rate_hz, encoding="mulaw" if encoding == "mulaw" else "s16le")


class Table:
    def __init__(self, rate_hz: int = 8000, encoding: str = "s16le", codec: str = "PCMU") -> None:
        self.spec, self.codec = spec(rate_hz, encoding), CODECS[codec]
        self.playout = Playout(self.codec, 20, sends_ahead=True)
        self.intake = Intake(self.playout)
        self.intake.use(self.codec, self.spec, self.playout)

    def heard(self) -> bytes:
        """All that stands in the queue, whole frames and the rest."""
        return b"".join(frame for frame, *_ in self.playout._frames) + self.playout._carry

    def convert_all(self) -> int:
        """In how many slices."""
        slices = 0
        while self.intake.waits:
            before = len(self.heard())
            self.intake.convert()
            slices += 1
            assert len(self.heard()) - before <= self.codec.frame_bytes(SLICE_MS)
        return slices


def noise(seconds: float, rate_hz: int) -> bytes:
    return np.random.default_rng(1).integers(-9000, 9000, int(seconds * rate_hz), dtype=np.int16).tobytes()


@pytest.mark.parametrize(("rate_hz", "codec"), [(48000, "PCMU"), (24000, "G722"), (8000, "PCMA"), (22050, "PCMU")])
def test_a_long_message_is_converted_slice_by_slice_to_the_same_audio(rate_hz: int, codec: str) -> None:
    on, data = Table(rate_hz, codec=codec), noise(3.0, rate_hz)
    assert on.intake.take(data, NOW)
    assert on.playout.waiting_ms == SLICE_MS  # the beginning is wanted now, the rest is in no hurry
    assert on.convert_all() == 3000 // SLICE_MS - 1
    at_once = transcoder(CODECS[codec], "s16le", rate_hz).down(data)
    assert len(on.heard()) == len(at_once)
    line = (CODECS[codec].decode(audio).astype(np.int32) for audio in (on.heard(), at_once))
    one, other = line
    assert int(np.abs(one - other).max()) <= (1 if codec == "G722" else 1024)  # one step of G.711 at its loudest
    assert float(np.mean(one != other)) < 0.001


def test_many_messages_at_once_are_converted_no_faster() -> None:
    on = Table()
    said = noise(4.0, 8000)
    for at in range(0, len(said), 320):
        on.intake.take(said[at : at + 320], NOW)
    assert on.playout.waiting_ms == SLICE_MS
    assert on.convert_all() == 4000 // SLICE_MS - 1
    assert on.heard() == PCMU.encode(np.frombuffer(said, np.int16))


def test_what_is_short_goes_straight_to_the_queue() -> None:
    on = Table()
    assert on.intake.take(bytes(320), NOW)
    assert not on.intake.waits
    assert on.playout.waiting_ms == 20


def test_half_a_sample_waits_for_its_other_half() -> None:
    on, said = Table(), bytes(range(1, 11))
    straight = []
    for at, size in ((0, 1), (1, 4), (5, 5)):
        on.intake.take(said[at : at + size], NOW)
        straight.append(on.intake.is_straight)
    assert straight == [False, False, True]
    assert on.heard() == PCMU.encode(np.frombuffer(said, np.int16))


def test_what_comes_later_does_not_overtake() -> None:
    on = Table(encoding="mulaw")
    said = [bytes([level]) * 8000 for level in (1, 2)] + [bytes([3]) * 160]
    for message in said:
        on.intake.take(message, NOW)
    on.convert_all()
    assert on.heard() == b"".join(said)


def test_a_mark_waits_behind_the_audio_that_waits_before_it() -> None:
    on = Table(encoding="mulaw")
    on.intake.take(bytes(8000), NOW)
    assert on.intake.mark("one")
    on.intake.take(bytes(8000), NOW)
    assert on.intake.mark("two")
    taken: list[tuple[int, str]] = []
    for tick in range(200):
        on.intake.keep_up(20)
        on.playout.next(NOW + tick * 0.02)
        taken += [(tick + 1, name) for name in on.playout.marks_reached()]
    assert taken == [(50, "one"), (100, "two")]


def test_too_many_marks_are_told_and_the_oldest_comes_early() -> None:
    on = Table(encoding="mulaw")
    on.intake.take(bytes(16000), NOW)
    assert all(on.intake.mark(str(number)) for number in range(4000))
    assert not on.intake.mark("one more")
    assert on.playout.has_marks


def test_the_queue_does_not_run_dry_while_something_waits() -> None:
    """Nobody ever converts, but the tick asks."""
    on = Table(48000)
    on.intake.take(noise(2.0, 48000), NOW)
    heard = 0
    for tick in range(100):
        on.intake.keep_up(20)
        heard += on.playout.next(NOW + tick * 0.02) is not None
    assert heard == 100
    assert on.playout.underruns == 0


def test_a_barge_in_forgets_what_waits_and_gives_back_its_marks() -> None:
    on = Table(48000)
    on.intake.take(noise(20.0, 48000), NOW)
    on.intake.mark("late")
    assert on.intake.flush(NOW) == 20_000
    assert on.playout.flushed_ms == 20_000
    assert on.playout.marks_reached() == ["late"]
    assert not on.intake.has_words
    on.intake.take(noise(0.1, 48000), NOW)
    assert on.heard() == transcoder(PCMU, "s16le", 48000).down(noise(0.1, 48000))  # nothing of before is left in it


def test_another_far_end_speaks_behind_what_the_last_one_has_said() -> None:
    on = Table(16000)
    said, more = noise(1.0, 16000), bytes(range(200)) * 8
    on.intake.take(said, NOW)
    on.intake.use(PCMU, spec(encoding="mulaw"), on.playout)
    on.intake.take(more, NOW)
    on.convert_all()
    wanted = transcoder(PCMU, "s16le", 16000).down(said)
    assert len(on.heard()) == len(wanted) + len(more)
    assert on.heard()[len(wanted) :] == more
    assert float(np.mean(np.frombuffer(on.heard()[: len(wanted)], np.uint8) != np.frombuffer(wanted, np.uint8))) < 0.01


def test_another_codec_of_the_line_is_what_waits_converted_for() -> None:
    on = Table(encoding="mulaw")
    on.intake.take(PCMU.encode(np.full(8000, 5000, np.int16)), NOW)
    on.playout = on.playout.successor(PCMA, 20, sends_ahead=True)
    on.intake.use(PCMA, on.spec, on.playout)
    while on.intake.waits:
        on.intake.convert()
    assert len(on.heard()) == 8000
    assert set(on.heard()) == set(PCMA.encode(PCMU.decode(PCMU.encode(np.full(1, 5000, np.int16)))))


def test_what_waits_has_a_limit() -> None:
    on = Table(encoding="mulaw")
    for _ in range(3):
        on.intake.take(bytes(8 * MAX_QUEUE_MS // 2), NOW)
    assert on.playout.overflow_ms == MAX_QUEUE_MS // 2 - SLICE_MS
    on.convert_all()
    assert on.playout.waiting_ms == MAX_QUEUE_MS
    assert on.playout.overflow_ms == MAX_QUEUE_MS // 2


def test_nothing_waits_after_the_end() -> None:
    on = Table(encoding="mulaw")
    on.intake.take(bytes(80000), NOW)
    on.intake.mark("m")
    on.intake.clear()
    assert not on.intake.waits
    assert on.playout.has_marks
    assert on.intake.has_words  # what stands in the queue is another's to forget
