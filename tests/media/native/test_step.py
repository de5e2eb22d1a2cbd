"""The compiled packet step against the Python path: the same wires, every byte and every counter."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise

import pytest
from msgspec.structs import replace

from media.near import NearEnd
from media.step import COMPILED
from media.wire import NearSpec
from tests.helpers.stepcall import PCMA, PCMU, START, StepCall, caller_packet

LOUD = bytes(0x80 + n % 0x40 for n in range(160))
QUIET = b"\xff" * 160


def spec(call: StepCall | None = None, **changes: object) -> NearSpec:
    host, port = call.caller_at if call is not None else ("127.0.0.1", 9)
    plain = NearSpec(host=host, port=port, codec="PCMU", payload_type=0, dtmf_payload_type=101, ptime_ms=20)
    return replace(plain, **changes)


class Twins:
    """Two calls that differ in nothing but the way of their ordinary packets."""

    def __init__(self, encoding: str, codec: str = "PCMU", *, sends_ahead: bool = False) -> None:
        agreed = spec(codec=codec, payload_type=8 if codec == "PCMA" else 0)
        self.calls = [
            StepCall(agreed, encoding, NearEnd(), compiled=compiled, sends_ahead=sends_ahead)
            for compiled in (True, False)
        ]
        self.now = START
        for call in self.calls:
            near = call.near
            near.ssrc, near._sequence, near._timestamp = 0xBEEF, 0xFFF0, 0xFFFFF000
            call.agree(spec(call, codec=codec, payload_type=near._spec.payload_type if near._spec else 0), START)

    def each(self, act: str, *args: object) -> None:
        for call in self.calls:
            getattr(call, act)(*args, self.now)

    def receive(self, data: bytes, *, stranger: bool = False) -> None:
        for call in self.calls:
            call.receive(data, ("127.0.0.9", 9) if stranger else call.caller_at, self.now)

    def agree(self, **changes: object) -> None:
        for call in self.calls:
            assert call.near._spec is not None
            call.agree(replace(call.near._spec, **changes), self.now)

    def until(self, at: float) -> None:
        """Let the ticks before this time come."""
        while min(call.rings_at() for call in self.calls) <= at:
            for call in self.calls:
                if call.rings_at() <= at:
                    call.ring(call.rings_at())
        self.now = at

    def compare(self) -> None:
        compiled, plain = self.calls
        state = plain.state()
        differs = {
            name: (value, state[name])
            for name, value in compiled.state().items()
            if value != state[name] and name not in ("near._sdp_peer", "near._locked")
        }
        assert differs == {}
        assert compiled.up == plain.up
        assert b"".join(compiled.taped) == b"".join(plain.taped)
        assert compiled.sent() == plain.sent()


@pytest.fixture(params=["s16le", "mulaw"])
def encoding(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def twins(encoding: str) -> Iterator[Twins]:
    made = Twins(encoding)
    yield made
    for call in made.calls:
        call.close()


def test_it_is_built() -> None:
    """`make setup` builds it; without it these tests would prove nothing."""
    assert COMPILED is not None


def talk(
    twins: Twins, frames: int, *, payload: bytes = LOUD, sequence: int = 65_500, timestamp: int = 0xFFFFFE00
) -> None:
    """A clean line both ways, 20 ms a frame."""
    agent = twins.calls[0].transcoder.up(payload)
    for number in range(frames):
        twins.until(START + 0.02 * (number + 1))
        twins.receive(caller_packet(sequence + number, timestamp + 160 * number, payload))
        twins.until(twins.now + 0.001)
        twins.each("hear", agent)


def test_a_clean_line_takes_the_short_way_and_nothing_differs(twins: Twins) -> None:
    talk(twins, 400)
    twins.compare()
    up, down = twins.calls[0].passed
    assert up >= 395
    assert down >= 350  # until the phase is found the timer does it
    assert twins.calls[1].passed == [0, 0]


def test_a_law(encoding: str) -> None:
    twins = Twins(encoding, "PCMA")
    agent = twins.calls[0].transcoder.up(LOUD)
    for number in range(100):
        twins.until(START + 0.02 * (number + 1))
        twins.receive(caller_packet(number, 160 * number, LOUD, payload_type=8))
        twins.each("hear", agent)
    twins.compare()
    assert twins.calls[0].passed[0] >= 95
    assert twins.calls[0].near.codec is PCMA
    for call in twins.calls:
        call.close()


@pytest.mark.parametrize("sends_ahead", [False, True])
@pytest.mark.parametrize("seed", range(16))
def test_any_wire_gives_the_same_bytes_and_counters(encoding: str, seed: int, sends_ahead: bool) -> None:
    """Loss, swaps, doubles, wraps, strangers, new streams, digits, hold, another address, other lengths, stalls."""
    dice, twins = random.Random(seed), Twins(encoding, sends_ahead=sends_ahead)
    sequence, timestamp, ssrc = dice.choice([0, 65_400]), dice.choice([0, 0xFFFFF000]), 0xCAFE
    wild = seed % 3 == 0
    at = START
    for _number in range(500):
        at += 0.02 + dice.uniform(-0.001, 0.001)
        twins.until(at)
        what = dice.random() * (1.0 if wild else 8.0)
        packet = caller_packet(sequence, timestamp, dice.choice([LOUD, LOUD, LOUD, QUIET]), ssrc=ssrc)
        sequence, timestamp = sequence + 1, timestamp + 160
        if what < 0.03:
            pass  # lost
        elif what < 0.05:  # swapped with the next one
            twins.receive(caller_packet(sequence, timestamp, LOUD, ssrc=ssrc))
            twins.receive(packet)
            sequence, timestamp = sequence + 1, timestamp + 160
        elif what < 0.07:
            twins.receive(packet)
            twins.receive(packet)
        elif what < 0.09:
            twins.receive(packet, stranger=True)
        elif what < 0.10:
            ssrc, sequence = dice.getrandbits(32), dice.getrandbits(16)
        elif what < 0.11:
            twins.receive(caller_packet(sequence, timestamp, b"\x05\x8a\x03\x20", payload_type=101, ssrc=ssrc))
        elif what < 0.12:
            twins.receive(packet[: dice.randrange(len(packet))])
        elif what < 0.13:
            twins.receive(caller_packet(sequence - 1, timestamp - 160, dice.randbytes(dice.randrange(400)), ssrc=ssrc))
        elif what < 0.14:
            twins.agree(sends=dice.random() < 0.5, receives=dice.random() < 0.5)
        elif what < 0.15:
            twins.agree(sends=True, receives=True)
        elif what < 0.16:
            for call in twins.calls:
                call.near.sender.press("5")
        elif what < 0.17:
            for call in twins.calls:
                call.is_paused = not call.is_paused
        elif what < 0.18:
            timestamp += 160 * dice.randrange(50)  # silence suppression
            twins.receive(packet)
        elif what < 0.19:
            at += dice.uniform(0.0, 0.3)  # both sides silent
        else:
            twins.receive(packet)
        twins.until(twins.now + dice.uniform(0.0, 0.004))
        at = max(at, twins.now)
        kind = dice.random() * (1.0 if wild else 8.0)
        voice = twins.calls[0].transcoder.up(dice.choice([LOUD, QUIET]))
        if kind < 0.04:
            continue  # the agent is late
        if kind < 0.06:
            twins.each("hear", voice + voice)
        elif kind < 0.08:
            twins.each("hear", voice[: len(voice) // 2])
        elif kind < 0.09:
            for call in twins.calls:
                call.playout.flush(twins.now)
                call.beat.hasten(twins.now)
        else:
            twins.each("hear", voice)
        if not _number % 50:
            twins.compare()
    twins.compare()
    compiled = twins.calls[0]
    assert compiled.ticked > 0
    assert sum(compiled.passed) + compiled.ticked > 100  # the rest was not ordinary, or came while one was put right
    for call in twins.calls:
        call.close()


def test_the_caller_is_attended_to_whenever_there_is_something_to_do(twins: Twins) -> None:
    """A caller who falls silent while the agent speaks: silence goes up at the same moments."""
    talk(twins, 100)
    agent = twins.calls[0].transcoder.up(LOUD)
    for number in range(100, 150):
        twins.until(START + 0.02 * (number + 1) + 0.001)
        twins.each("hear", agent)
    twins.compare()
    assert twins.calls[0].near.uplink.filled > 0
    assert twins.calls[0].passed[1] > 100


def test_reports_are_asked_for_in_their_time(twins: Twins) -> None:
    talk(twins, 100)
    compiled = twins.calls[0]
    compiled.step.attend_at, compiled.attended[:] = twins.now + 0.1, []
    agent = compiled.transcoder.up(LOUD)
    for number in range(100, 110):
        twins.until(START + 0.02 * (number + 1))
        twins.receive(caller_packet(65_500 + number, 0xFFFFFE00 + 160 * number, LOUD))
        twins.until(twins.now + 0.001)
        twins.each("hear", agent)
    assert 5 <= len(compiled.attended) <= 6  # of ten frames, from the fifth on
    assert min(compiled.attended) >= compiled.step.attend_at


def test_what_is_recorded_is_told_frame_by_frame(twins: Twins) -> None:
    heard: list[bytes] = []
    twins.calls[0].near.on_air = heard.append
    talk(twins, 100)
    assert heard.count(LOUD) >= 95
    assert all(len(frame) == 160 for frame in heard)


def test_an_error_inside_is_told_and_loses_nothing_else(twins: Twins) -> None:
    talk(twins, 50)
    compiled = twins.calls[0]

    def full(data: bytes) -> None:
        raise OSError("disk full")

    compiled.step.tap = full
    with pytest.raises(OSError, match="disk full"):
        compiled.step.offer_up(caller_packet(65_550, 0xFFFFFE00 + 160 * 50, LOUD), compiled.caller_at, twins.now + 0.02)
    compiled.step.tap = None
    twins.until(START + 0.02 * 52)
    compiled.receive(caller_packet(65_551, 0xFFFFFE00 + 160 * 51, LOUD), compiled.caller_at, twins.now)
    assert compiled.up[-1] == compiled.transcoder.up(LOUD)


def test_a_closed_step_does_nothing(twins: Twins) -> None:
    step = twins.calls[0].step
    step.close()
    step.close()
    step.readable()
    step.audio(LOUD)
    assert not twins.calls[0].up


def test_a_class_without_the_slot_is_told_by_name() -> None:
    from media import native
    from media.step import OWNERS

    class Open:
        """Its attributes lie in a dictionary."""

        _spec = None

    with pytest.raises(TypeError, match=r"near\._spec is no slot"):
        native.load().learn({**OWNERS, "near": Open})


def test_the_beat_of_the_packets_is_that_of_the_frames(twins: Twins) -> None:
    talk(twins, 100)
    numbers = [int.from_bytes(packet[2:4], "big") for packet in twins.calls[0].sent()]
    assert all((b - a) & 0xFFFF == 1 for a, b in pairwise(numbers))
    assert twins.calls[0].near.codec is PCMU


def test_silence_and_what_was_sent_ahead_leave_by_the_short_way(encoding: str) -> None:
    twins = Twins(encoding, sends_ahead=True)
    twins.receive(caller_packet(1, 160, LOUD))  # so that his address is known
    twins.until(START + 0.5)
    twins.each("hear", twins.calls[0].transcoder.up(LOUD) * 50)
    twins.until(START + 2.0)
    twins.compare()
    assert twins.calls[0].ticked >= 95
    for call in twins.calls:
        call.close()


def test_after_the_far_ends_end_every_frame_is_attended_to(encoding: str) -> None:
    """When the last of its words has left, the caller is hung up: not at some later time."""
    twins = Twins(encoding, sends_ahead=True)
    twins.receive(caller_packet(1, 160, LOUD))
    twins.until(START + 0.1)
    twins.each("hear", twins.calls[0].transcoder.up(LOUD) * 10)
    compiled, plain = twins.calls
    compiled.step.far = None
    compiled.attended.clear()
    plain.attended.clear()
    twins.until(START + 0.5)
    assert compiled.attended == plain.attended
    assert len(compiled.attended) >= 19
    assert compiled.ticked > 0
    for call in twins.calls:
        call.close()
