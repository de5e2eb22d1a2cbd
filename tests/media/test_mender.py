"""What stands in, and that nothing clicks: in any codec's line form, whatever is missing and for however long."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from media.codecs import CODECS, Codec
from media.conceal import JOIN_MS, SILENT_MS, conceal, join
from media.mender import Mender
from tests.helpers.audio import tone

PCMU = CODECS["PCMU"]
LINES = pytest.mark.parametrize("name", ["PCMU", "PCMA", "G722", "opus", "L16/8000"])
HZ, PEAK = 170, 8000


class Listener:
    """Hears a tone in frames of 20 ms, some of which are missing."""

    def __init__(self, codec: Codec, seconds: float = 1.0) -> None:
        self.codec, self.mender = codec, Mender(codec)
        line, size = codec.encode(tone(HZ, seconds, codec.line_rate_hz, peak=PEAK)), codec.frame_bytes(20)
        self.frames = [line[at : at + size] for at in range(0, len(line), size)]
        self.units = codec.clock_rate_hz // 50
        self.out: list[bytes] = []

    def hear(self, *numbers: int) -> None:
        for number in numbers:
            frame = self.frames[number]
            if self.mender.is_open:
                frame = self.mender.joined(frame)
            self.mender.before, self.mender.last = self.mender.last, frame
            self.out.append(frame)

    def put(self, line: bytes | None) -> None:
        self.out.append(line or self.codec.silence * (self.codec.frame_bytes(20) // self.codec.sample_bytes))

    @property
    def sound(self) -> np.ndarray:
        return self.codec.decode(b"".join(self.out)).astype(int)

    def clicks(self) -> bool:
        """Is there a step that neither the tone has nor a fade of it?"""
        slope = 2 * np.pi * HZ / self.codec.line_rate_hz * PEAK
        fade = 2 * PEAK / (JOIN_MS * self.codec.line_rate_hz / 1000)
        begun = self.sound[self.codec.line_rate_hz // 25 :]  # a codec that adapts begins with a step of its own
        return bool(np.abs(np.diff(begun)).max() > slope + fade + PEAK / 32)  # and the steps of G.711 itself


@LINES
@pytest.mark.parametrize("lost", [1, 2, 3, 5])
def test_lost_packets_leave_no_click(name: str, lost: int) -> None:
    one = Listener(CODECS[name])
    one.hear(*range(10))
    for _ in range(lost):
        one.put(one.mender.stand_in(one.units))
    one.hear(*range(10 + lost, 20))
    assert not one.clicks()
    assert len(one.sound) == len(range(10 + lost + 10 - lost)) * one.codec.line_rate_hz // 50
    assert one.mender.concealed_ms == min(lost * 20, SILENT_MS)


@LINES
def test_without_mending_it_would_have_clicked(name: str) -> None:
    """The ear is good enough to tell."""
    one = Listener(CODECS[name])
    one.hear(*range(10))
    one.put(None)
    one.hear(*range(11, 20))
    assert one.clicks()


@LINES
@pytest.mark.parametrize("left_out", [None, 11])
def test_what_ends_at_once_ends_without_a_click_and_within_its_frame(name: str, left_out: int | None) -> None:
    """A barge-in: with what would have come next, or, when nothing waits, with its likely continuation."""
    one = Listener(CODECS[name])
    one.hear(*range(11))
    if left_out is not None:
        one.mender.leave_out(one.frames[left_out])
    last = one.mender.end(one.units)
    assert last is not None
    one.put(last)
    rest = one.codec.decode(last)[JOIN_MS * one.codec.line_rate_hz // 1000 :]
    assert np.abs(rest.astype(int)).max() <= 8
    one.put(None)
    one.hear(*range(20, 25))
    assert not one.clicks()


@LINES
def test_after_an_end_that_is_forgotten_the_next_words_are_untouched(name: str) -> None:
    one = Listener(CODECS[name])
    one.hear(*range(11))
    one.mender.end(one.units)
    one.mender.forget()
    one.hear(30)
    assert one.out[-1] is one.frames[30]


def test_quiet_ends_quietly() -> None:
    mender = Mender(PCMU)
    assert mender.end(160) is None  # nothing was ever heard
    assert mender.go_on(160) is None
    mender.last = PCMU.silence * 160
    assert mender.go_on(160) is None
    assert mender.end(160) is None


def test_going_on_ends_when_it_has_faded_out() -> None:
    one = Listener(PCMU)
    one.hear(0, 1)
    made = [one.mender.go_on(160) for _ in range(6)]
    assert [line is not None for line in made] == [True] * 3 + [False] * 3
    assert b"".join(line for line in made if line) == conceal(PCMU, one.frames[0] + one.frames[1], 3 * 160)


def test_silence_before_anything_was_heard_is_no_part_of_the_first_loss() -> None:
    """The filler begins with the platform, the caller's RTP some time after it."""
    one = Listener(PCMU)
    assert one.mender.stand_in(8000) == PCMU.silence * 8000
    assert (one.mender.concealed_ms, one.mender.is_open) == (0, False)
    one.hear(0, 1)
    assert one.mender.stand_in(160) == conceal(PCMU, one.frames[0] + one.frames[1], 160)
    assert one.mender.concealed_ms == 20


def test_what_was_left_out_is_faded_into_what_comes_instead() -> None:
    one = Listener(PCMU)
    one.hear(0, 1)
    one.mender.leave_out(b"")
    assert not one.mender.is_open
    one.mender.leave_out(one.frames[2])
    one.mender.leave_out(one.frames[3])  # the first of several is where they part
    one.hear(9)
    assert one.out[-1] == join(PCMU, one.frames[2], one.frames[9])
    assert not one.mender.is_open


def test_what_is_missing_with_nothing_in_its_place_leaves_no_click() -> None:
    one = Listener(PCMU)
    one.mender.miss()
    assert not one.mender.is_open  # nothing has been heard
    one.hear(*range(10))
    one.mender.miss()
    one.hear(*range(13, 20))
    assert one.out[10] == join(PCMU, conceal(PCMU, one.frames[8] + one.frames[9], JOIN_MS * 8), one.frames[13])
    assert not one.clicks()


def test_a_pause_of_the_speaker_is_no_loss() -> None:
    one = Listener(PCMU)
    one.hear(0, 1)
    one.mender.stand_in(80)
    one.mender.pause()
    one.hear(9)
    assert one.out[-1] is one.frames[9]


def test_another_stream_goes_on_where_the_old_one_stopped() -> None:
    one = Listener(PCMU)
    one.mender.renew(None)
    assert not one.mender.is_open
    one.hear(*range(10))
    one.mender.renew(None)
    one.hear(*range(13, 20))
    assert one.out[10] == join(PCMU, conceal(PCMU, one.frames[8] + one.frames[9], JOIN_MS * 8), one.frames[13])
    assert not one.clicks()


# --- decoders that remember -----------------------------------------------------------------------------------------


class Remembering:
    """A decoder that tells what it was told."""

    def __init__(self, guess: bytes = b"") -> None:
        self.guess, self.told = guess, list[object]()

    def decode(self, payload: bytes) -> bytes:
        return payload

    def conceal(self, samples: int) -> bytes:
        self.told.append(samples)
        return self.guess[: 2 * samples]

    def follow(self, stood_in: bytes) -> None:
        self.told.append(stood_in)


def mender_of(name: str, decoder: Remembering) -> Mender:
    codec = CODECS[name]
    mender = Mender(codec)
    mender.use(codec, decoder)
    mender.before = mender.last = codec.encode(tone(HZ, 0.02, codec.line_rate_hz))
    return mender


def test_the_decoder_is_told_before_it_goes_on_and_only_once() -> None:
    """Lost: 40 ms. The filler has put in 20 of them when the next packet comes."""
    decoder = Remembering()
    mender = mender_of("G722", decoder)
    past = mender.before + mender.last
    filled = mender.stand_in(160)
    mender.lose(320)
    told = list(decoder.told)
    assert told == [320, filled, 320, conceal(CODECS["G722"], past, 160, 160)]
    assert filled + mender.stand_in(160) == conceal(CODECS["G722"], past, 320)
    assert decoder.told == told


def test_a_loss_before_anything_was_heard_is_not_kept_for_a_later_one() -> None:
    decoder = Remembering()
    mender = mender_of("G722", decoder)
    mender.forget()
    mender.lose(160)
    assert CODECS["G722"].is_quiet(mender.stand_in(320))
    mender.before = mender.last = CODECS["G722"].encode(tone(HZ, 0.02, 16000))
    assert mender.stand_in(160) == conceal(CODECS["G722"], mender.before + mender.last, 160)


def test_after_a_long_loss_the_decoder_is_told_what_was_heard_of_it() -> None:
    decoder = Remembering()
    mender = mender_of("G722", decoder)
    mender.lose(8000)
    heard = mender.stand_in(8000)
    assert decoder.told == [SILENT_MS * 16, heard[: SILENT_MS * 32]]
    assert CODECS["G722"].is_quiet(heard[SILENT_MS * 32 :])
    mender.lose(8000)
    assert len(decoder.told) == 2


def test_a_codecs_own_guess_stands_in_and_its_decoder_joins_by_itself() -> None:
    codec = CODECS["opus"]
    guess = codec.encode(tone(333, 0.06, 48000))
    decoder = Remembering(guess)
    mender = mender_of("opus", decoder)
    mender.lose(960)
    assert mender.stand_in(960) == guess[:1920]
    assert decoder.told == [960]
    line = codec.encode(tone(500, 0.02, 48000))
    assert mender.joined(line) == line
    mender.before, mender.last = mender.last, line
    long = mender.stand_in(4800)  # 100 ms: silent after 60, and up again from there
    assert codec.is_quiet(long[SILENT_MS * 96 :])
    back = codec.decode(mender.joined(line))
    assert back[0] == 0
    assert np.array_equal(back[JOIN_MS * 48 :], codec.decode(line)[JOIN_MS * 48 :])


@pytest.mark.parametrize("name", ["G722", "opus"])
def test_with_real_decoders_whatever_is_lost(name: str) -> None:
    codec = CODECS[name]
    assert codec.encoder is not None
    assert codec.decoder is not None
    encoder, decoder, size = codec.encoder(), codec.decoder(), codec.frame_bytes(20)
    line = codec.encode(tone(HZ, 4.0, codec.line_rate_hz, peak=PEAK))
    payloads = [encoder.encode(line[at : at + size]) for at in range(0, len(line), size)]
    one = Listener(codec)
    one.mender.use(codec, decoder)
    lost = 0
    fates = itertools.cycle([True] * 11 + [False] + [True] * 9 + [False] * 3)
    for payload, has_come in zip(payloads, fates, strict=False):
        if not has_come:
            lost += 1
            continue
        if lost:
            one.mender.lose(lost * one.units)
        frame = decoder.decode(payload)
        for _ in range(lost):
            one.put(one.mender.stand_in(one.units))
        frame = one.mender.joined(frame) if one.mender.is_open else frame
        one.mender.before, one.mender.last = one.mender.last, frame
        one.out.append(frame)
        lost = 0
    assert not one.clicks()
