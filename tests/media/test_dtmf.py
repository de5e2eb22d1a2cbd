from __future__ import annotations

import struct

import pytest

from media.dtmf import DIGITS, END_PACKETS, LOST_END_S, REMEMBERED, DigitReceiver, DigitSender, Press
from tests.helpers.wire import Wire

PTIME_S = 0.02


def event(digit: str, duration: int, *, end: bool = False) -> bytes:
    return struct.pack(">BBH", DIGITS.index(digit), (0x80 if end else 0) | 10, duration)


def send(sender: DigitSender, wire: Wire, *, start: float = 1.0) -> float:
    """Everything that is queued, as the near end sends it: all packets of an event bear its first timestamp."""
    at, timestamp, began = start, 1000, 0
    while sender.busy:
        packet = sender.poll()
        if packet is not None:
            began = timestamp if packet.marker else began
            wire.send(struct.pack(">I", began) + packet.payload, at)
        at += PTIME_S
        timestamp += 160
    return at


def listen(receiver: DigitReceiver, wire: Wire, until: float) -> list[Press]:
    """What comes out of the wire, with the clock ticking on in between."""
    presses, now = [], 1.0
    while now < until:
        for datagram, at in wire.arrivals(now):
            presses += receiver.receive(int.from_bytes(datagram[:4]), datagram[4:], at)
        presses += receiver.overdue(now)
        now += PTIME_S
    return presses


def pressed(digits: str, wire: Wire, *, ptime_ms: int = 20) -> list[Press]:
    sender = DigitSender(8000, ptime_ms)
    sender.press(digits)
    ended = send(sender, wire)
    return listen(DigitReceiver(8000), wire, ended + 1.0)


# --- back to back -----------------------------------------------------------------------------------------------------


def test_all_digits_over_a_clean_wire() -> None:
    assert pressed(DIGITS, Wire()) == [Press(digit, 100) for digit in DIGITS]


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 50])
def test_other_ptimes(ptime_ms: int) -> None:
    length_ms = 100 // ptime_ms * ptime_ms
    assert pressed("159#", Wire(), ptime_ms=ptime_ms) == [Press(digit, length_ms) for digit in "159#"]


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("x.......", id="the first packet, with the marker"),
        pytest.param("....x...", id="the last before the end"),
        pytest.param(".....x..", id="the first end"),
        pytest.param(".....xx.", id="two ends of three"),
        pytest.param("xxxxx..x", id="all but two ends"),
        pytest.param("xxxxxxx.", id="all but the last end"),
        pytest.param("22222222", id="everything twice"),
        pytest.param("....>...", id="the last one overtaken by its end"),
        pytest.param(".>.>.>.>", id="half of it late"),
    ],
)
def test_a_digit_is_told_once_whatever_the_wire_does(pattern: str) -> None:
    assert pressed("1123*", Wire(pattern, late_s=0.03)) == [Press(digit, 100) for digit in "1123*"]


def test_all_ends_lost() -> None:
    """The next key ends the one before; the last one ends when nothing has been heard of it for a while."""
    assert pressed("77", Wire(".....xxx")) == [Press("7", 100), Press("7", 100)]


@pytest.mark.parametrize("late_s", [0.1, 0.3, 0.6])
def test_packets_that_come_much_too_late_tell_no_digit_again(late_s: float) -> None:
    presses = pressed("1234", Wire(".......>", late_s=late_s))
    assert presses == [Press(digit, 100) for digit in "1234"]


def test_a_digit_of_which_nothing_came() -> None:
    assert pressed("123", Wire("........xxxxxxxx........")) == [Press("1", 100), Press("3", 100)]


# --- receiver ---------------------------------------------------------------------------------------------------------


def test_a_press_is_told_at_its_first_end_packet() -> None:
    receiver = DigitReceiver(8000)
    pending = [receiver.pending]
    assert receiver.receive(1000, event("5", 160), 1.0) == []
    pending.append(receiver.pending)
    assert receiver.receive(1000, event("5", 800, end=True), 1.1) == [Press("5", 100)]
    pending.append(receiver.pending)
    assert pending == [False, True, False]
    assert receiver.receive(1000, event("5", 800, end=True), 1.12) == []


def test_lost_ends_are_waited_for_from_the_last_packet_on() -> None:
    receiver = DigitReceiver(8000)
    receiver.receive(0, event("#", 160), 1.0)
    receiver.receive(0, event("#", 320), 1.1)
    assert receiver.overdue(1.1 + LOST_END_S - 0.001) == []
    assert receiver.overdue(1.1 + LOST_END_S + 0.001) == [Press("#", 40)]
    assert receiver.overdue(9.0) == []
    assert receiver.receive(0, event("#", 480, end=True), 9.0) == []  # too late to tell it again


def test_the_same_key_again_is_another_press() -> None:
    receiver = DigitReceiver(8000)
    presses = [
        *receiver.receive(0, event("0", 160, end=True), 1.0),
        *receiver.receive(1600, event("0", 160, end=True), 1.2),
    ]
    assert presses == [Press("0", 20), Press("0", 20)]


def test_timestamps_wrap() -> None:
    receiver = DigitReceiver(8000)
    assert receiver.receive(0xFFFFFFFF, event("1", 80, end=True), 1.0) == [Press("1", 10)]
    assert receiver.receive(0, event("2", 80, end=True), 1.1) == [Press("2", 10)]


def test_a_timestamp_may_come_again_in_another_life() -> None:
    receiver = DigitReceiver(8000)
    for number in range(REMEMBERED + 1):
        assert receiver.receive(number, event("1", 80, end=True), float(number)) == [Press("1", 10)]
    assert receiver.receive(0, event("1", 80, end=True), 100.0) == [Press("1", 10)]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x05",
        b"\x05\x8a\x03",
        pytest.param(struct.pack(">BBH", 16, 0x8A, 800), id="flash"),
        pytest.param(struct.pack(">BBH", 32, 0x8A, 800), id="answer tone"),
        pytest.param(b"\xff" * 4, id="no event at all"),
    ],
)
def test_garbage_and_events_that_are_no_digits_say_nothing(payload: bytes) -> None:
    receiver = DigitReceiver(8000)
    assert receiver.receive(1000, payload, 1.0) == []
    assert not receiver.pending
    receiver.receive(1000, event("5", 160), 1.0)
    assert receiver.receive(2000, payload, 1.1) == []
    assert receiver.receive(1000, event("5", 320, end=True), 1.2) == [Press("5", 40)]


def test_what_follows_the_event_in_one_packet_is_not_read() -> None:
    """RFC 4733, 2.5.2.4: a packet may hold redundant older events after its own."""
    assert DigitReceiver(8000).receive(1, event("9", 800, end=True) + b"\xff" * 9, 1.0) == [Press("9", 100)]


def test_durations_are_in_the_streams_clock() -> None:
    assert DigitReceiver(16000).receive(1, event("9", 1600, end=True), 1.0) == [Press("9", 100)]


# --- sender -----------------------------------------------------------------------------------------------------------


def test_packets_of_one_digit() -> None:
    sender = DigitSender(8000, 20, press_ms=60)
    sender.press("3")
    packets = []
    while sender.busy:
        packet = sender.poll()
        assert packet is not None
        packets.append((packet.payload.hex(" ", 1), packet.marker))
    assert packets == [
        ("03 0a 00 a0", True),
        ("03 0a 01 40", False),
        ("03 0a 01 e0", False),
        *[("03 8a 01 e0", False)] * END_PACKETS,
    ]


def test_between_two_digits_audio_goes_out() -> None:
    sender = DigitSender(8000, 20, press_ms=20, pause_ms=60)
    sender.press("1")
    sender.press("2")
    polls = []
    while sender.busy:
        polls.append(sender.poll() is not None)
    assert polls == [True] * 4 + [False] * 3 + [True] * 4
    assert sender.poll() is None


def test_a_new_ptime_in_the_middle_of_a_digit_makes_no_second_one() -> None:
    sender, receiver, presses = DigitSender(8000, 20), DigitReceiver(8000), list[Press]()
    timestamp = -1
    sender.press("48")
    for poll in range(100):
        if poll == 3:
            sender.use(8000, 60)
        packet = sender.poll() if sender.busy else None
        if packet is not None:
            timestamp = poll if packet.marker else timestamp
            presses += receiver.receive(timestamp, packet.payload, float(poll))
    assert [press.digit for press in presses] == ["4", "8"]
    assert presses[-1] == Press("8", 60)


@pytest.mark.parametrize(("keys", "wrong"), [("12a", "a"), ("+49", "+"), ("1 2", " "), ("E", "E")])
def test_keys_that_no_telephone_has(keys: str, wrong: str) -> None:
    sender = DigitSender(8000, 20)
    with pytest.raises(ValueError, match="is no DTMF digit") as caught:
        sender.press(keys)
    assert str(caught.value) == f"{wrong!r} is no DTMF digit"
    assert not sender.busy
    sender.press("")
    assert not sender.busy


def test_a_peer_that_knows_no_events_is_sent_none() -> None:
    """Whoever asks is told, and tells it in another way; after a re-INVITE it may know them."""
    sender = DigitSender(8000, 20)
    assert sender.press("1")
    sender.use(8000, 20, False)
    assert not sender.press("2")
    sender.use(8000, 20, True)
    assert sender.press("3")
    sent = {packet.payload[0] for _ in range(60) if (packet := sender.poll()) is not None}
    assert sent == {1, 3}
