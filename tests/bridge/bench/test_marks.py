from __future__ import annotations

import struct

import pytest

from bridge.bench.marks import CALLS, FRAME_SAMPLES, INDEXES, SILENCE, find, linear, mark, read_mulaw, read_s16le


def as_s16le(mulaw: bytes) -> bytes:
    return struct.pack(f"<{len(mulaw)}h", *map(linear, mulaw))


def test_linear_knows_the_corners_of_g711() -> None:
    assert [linear(code) for code in (0x00, 0x80, 0x7F, 0xFF, 0x0F, 0xFE)] == [-32124, 32124, 0, 0, -16764, 8]


@pytest.mark.parametrize("read", [read_mulaw, lambda frame: read_s16le(as_s16le(frame))], ids=["mulaw", "s16le"])
def test_every_mark_is_read_as_what_it_is(read: object) -> None:
    assert callable(read)
    wanted = [(call, index) for call in range(0, CALLS, 7) for index in range(INDEXES)]
    assert [read(mark(call, index)) for call, index in wanted] == wanted


def test_a_mark_is_one_frame_that_survives_16_bits_bit_for_bit() -> None:
    codes = {linear(code): code for code in range(256) if code != 0x7F}
    for call in range(CALLS):
        frame = mark(call, call % INDEXES)
        assert len(frame) == FRAME_SAMPLES
        assert bytes(codes[linear(code)] for code in frame) == frame


@pytest.mark.parametrize(("call", "index"), [(-1, 0), (CALLS, 0), (0, -1), (0, INDEXES)])
def test_what_cannot_be_told_apart_is_refused(call: int, index: int) -> None:
    with pytest.raises(ValueError, match=f"no mark for call {call}, index {index}"):
        mark(call, index)


def test_find_tells_where_the_mark_begins() -> None:
    frame = mark(3, 5)
    assert [find((SILENCE[:lead] + frame)[:FRAME_SAMPLES], 5) for lead in (0, 1, 80, 152)] == [0, 1, 80, 152]


def test_a_mark_cut_in_two_is_found_in_the_first_packet_with_a_millisecond_of_it() -> None:
    """A re-framing bridge: the end of one packet and the beginning of the next."""
    both = SILENCE + mark(1, 9) + SILENCE
    for shift in range(1, FRAME_SAMPLES):
        first, second = both[shift : shift + FRAME_SAMPLES], both[shift + FRAME_SAMPLES :][:FRAME_SAMPLES]
        assert find(first, 9) == (FRAME_SAMPLES - shift if shift >= 8 else -1)
        if shift < 8:
            assert find(second, 9) == 0


def test_other_marks_and_silence_are_not_found() -> None:
    assert [find(mark(7, other), 4) for other in range(INDEXES) if other != 4] == [-1] * (INDEXES - 1)
    assert find(SILENCE, 4) == find(b"", 4) == -1


def test_a_mark_in_the_middle_of_a_longer_frame_is_read() -> None:
    frame = SILENCE[:77] + mark(300, 31) + SILENCE[:83]
    assert read_mulaw(frame) == read_s16le(as_s16le(frame)) == (300, 31)


@pytest.mark.parametrize("frame", [b"", b"\x00", SILENCE, mark(1, 1)[:8], b"\x7f\xff" * 80])
def test_too_little_is_no_mark(frame: bytes) -> None:
    assert read_mulaw(frame) is None
    assert read_s16le(as_s16le(frame)) is None


def test_odd_bytes_are_no_error() -> None:
    assert read_s16le(as_s16le(mark(2, 3)) + b"\x00") == (2, 3)
