"""The reorder window: closed on a clean line, opened by lateness, closed again by patience."""

from __future__ import annotations

from media.reorder import HALVE_AFTER_S, MARGIN, NARROWEST_S, WIDEST_S, Reorder
from media.rtp import Packet


def packet(sequence: int) -> Packet:
    return Packet(0, sequence & 0xFFFF, 0, 1, b"")


def numbers(packets: list[Packet]) -> list[int]:
    return [one.sequence for one in packets]


def opened(late_s: float = 0.02, next_sequence: int = 10) -> Reorder:
    """A window that was opened by a packet `late_s` after its place had been passed over."""
    reorder = Reorder()
    reorder.gap(1.0)
    reorder.late(next_sequence, 1.0 + late_s)
    return reorder


def test_it_begins_closed() -> None:
    reorder = Reorder()
    assert (reorder.active, len(reorder), reorder.due(5.0), reorder.is_awaited(1)) == (False, 0, [], False)


def test_lateness_opens_it_as_wide_as_needed_within_bounds() -> None:
    assert opened(0.02).window_s == (1.02 - 1.0) * MARGIN
    assert opened(0.0001).window_s == NARROWEST_S
    assert opened(3.0).window_s == WIDEST_S


def test_swapped_packets_come_out_in_order_without_waiting_longer_than_needed() -> None:
    reorder = opened()
    assert numbers(reorder.push(packet(10), 2.0)) == [10]
    assert reorder.push(packet(12), 2.02) == []
    assert reorder.push(packet(13), 2.03) == []
    assert reorder.is_awaited(11)
    assert numbers(reorder.push(packet(11), 2.035)) == [11, 12, 13]
    assert len(reorder) == 0


def test_a_place_that_holds_nothing_is_passed_in_its_turn() -> None:
    reorder = opened()
    assert reorder.skip(10, 2.0) == []
    assert numbers(reorder.push(packet(11), 2.02)) == [11]
    assert reorder.push(packet(13), 2.04) == []
    assert numbers(reorder.skip(12, 2.045)) == [13]
    assert reorder.skip(15, 2.08) == []
    assert reorder.due(2.2) == []
    assert numbers(reorder.push(packet(16), 2.2)) == [16]
    reorder.skip(18, 2.2)
    assert reorder.reset() == []


def test_what_does_not_come_is_given_up_after_the_window() -> None:
    reorder = opened()
    reorder.push(packet(12), 2.0)
    reorder.push(packet(13), 2.02)
    assert reorder.due(2.0 + reorder.window_s - 0.001) == []
    assert numbers(reorder.due(2.0 + reorder.window_s)) == [12, 13]
    assert not reorder.is_awaited(11)
    assert reorder.is_awaited(14)


def test_a_wider_gap_later_widens_it() -> None:
    reorder = opened(0.01)
    narrow = reorder.window_s
    reorder.push(packet(12), 2.0)
    reorder.due(2.1)
    reorder.late(13, 2.13)
    assert reorder.window_s > narrow


def test_the_counter_wraps() -> None:
    reorder = opened(next_sequence=65535)
    assert reorder.push(packet(0), 2.0) == []
    assert numbers(reorder.push(packet(65535), 2.01)) == [65535, 0]
    assert reorder.is_awaited(1)


def test_without_lateness_it_halves_until_it_is_closed() -> None:
    reorder, now, widths = opened(3.0), 10.0, []
    sequence = 10
    while reorder.active:
        now += HALVE_AFTER_S + 0.1
        assert numbers(reorder.push(packet(sequence), now)) == [sequence]
        sequence += 1
        widths.append(reorder.window_s)
    assert widths == [0.03, 0.015, 0.0075, 0.0]


def swaps(reorder: Reorder, late_s: float, seconds: int) -> list[list[int]]:
    """Every second two packets change places, the first of them `late_s` late."""
    out = []
    for second in range(seconds):
        sequence, now = 10 + 2 * second, 10.0 + second
        out.append(numbers(reorder.push(packet(sequence + 1), now) + reorder.push(packet(sequence), now + late_s)))
    return out


def test_while_it_is_needed_it_stays_open() -> None:
    reorder = opened(0.03)
    width = reorder.window_s
    assert swaps(reorder, 0.03, 60) == [[10 + 2 * second, 11 + 2 * second] for second in range(60)]
    assert reorder.window_s == width


def test_when_less_of_it_is_needed_it_gets_so_narrow() -> None:
    reorder = opened(3.0)
    swaps(reorder, 0.01, 60)
    assert 0.01 * MARGIN <= reorder.window_s < 4 * 0.01 * MARGIN


def test_another_stream_forgets_everything() -> None:
    reorder = opened()
    reorder.push(packet(12), 2.0)
    assert numbers(reorder.reset()) == [12]
    assert (reorder.active, len(reorder)) == (False, 0)
