"""Our end of RTCP: two sessions back to back over a bad wire and a simulated clock, and every figure by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from media import rtp
from media.reporting import INTERVAL_S, Feedback, Received, RtcpSession, Sent, interval_s, random_cname
from media.rtcp import Bye, Description, ReceiverReport, Report, ReportBlock, SenderReport, parse, serialize
from tests.helpers.wire import Wire

RATE_HZ = 8000
STEADY_S = INTERVAL_S / 1.21828
"The interval when the dice show 0.5."


def half() -> float:
    return 0.5


def sent(packets: int, *, timestamp: int = 0, at: float = 0.0) -> Sent:
    return Sent(packets=packets, octets=packets * 160, timestamp=timestamp, at=at)


def received(expected: int, got: int, *, ssrc: int = 2, highest: int = 0, jitter: float = 0.0) -> Received:
    return Received(ssrc=ssrc, expected=expected, received=got, highest=highest, jitter=jitter)


def session(ssrc: int = 1, now: float = 0.0, *, wall_s: float = 0.0) -> RtcpSession:
    return RtcpSession(ssrc, RATE_HZ, now, wall_s=wall_s, cname="us", dice=half)


def block_of(data: bytes) -> ReportBlock:
    first = parse(data)[0]
    assert isinstance(first, SenderReport | ReceiverReport)
    assert len(first.blocks) == 1
    return first.blocks[0]


# --- two ends ---------------------------------------------------------------------------------------------------------


@dataclass
class End:
    """One end of a call: 50 packets a second and the reports about them, over wires that are none of its business."""

    ssrc: int
    media: Wire
    control: Wire
    began: float
    sends: bool = True
    sequence: int = 0xFFF0
    packets: int = 0
    heard: rtp.Reception = field(default_factory=lambda: rtp.Reception(RATE_HZ))
    highest: int = 0
    told: list[Feedback] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rtcp = RtcpSession(self.ssrc, RATE_HZ, self.began, wall_s=1.7e9, dice=half)

    def tick(self, now: float) -> None:
        if self.sends:
            data = rtp.serialize(0, self.sequence & 0xFFFF, self.packets * 160, self.ssrc, bytes(160))
            self.media.send(data, now)
            self.sequence += 1
            self.packets += 1
        if now >= self.rtcp.next_deadline():
            self.control.send(self.rtcp.report(now, self._sent(now), self._received()), now)

    def hear(self, other: End, now: float) -> None:
        for data, at in other.media.arrivals(now):
            packet = rtp.parse(data)
            self.heard.arrive(packet.sequence, packet.timestamp, at)
        for data, at in other.control.arrivals(now):
            feedback = self.rtcp.receive(data, at)
            if feedback is not None:
                self.told.append(feedback)

    def _sent(self, now: float) -> Sent:
        return Sent(packets=self.packets, octets=self.packets * 160, timestamp=self.packets * 160, at=now)

    def _received(self) -> Received | None:
        if not self.heard.received:
            return None
        highest = 0xFFF0 + self.heard.expected - 1
        return Received(3 - self.ssrc, self.heard.expected, self.heard.received, highest, self.heard.jitter)


def talk(a: End, b: End, seconds: float, begin: float = 1000.0) -> None:
    for step in range(round(seconds * 50)):
        now = begin + step * 0.02
        a.tick(now)
        b.tick(now)
        a.hear(b, now)
        b.hear(a, now)


def test_loss_and_round_trip_over_a_bad_wire() -> None:
    a = End(1, Wire("....x", delay_s=0.03), Wire(delay_s=0.03), 1000.0)
    b = End(2, Wire(delay_s=0.05), Wire(delay_s=0.05), 1000.7)
    talk(a, b, 60.0)
    assert [round(one.loss, 2) for one in a.told] == [0.2] * 14
    assert [one.loss for one in b.told] == [0.0] * 15
    assert a.told[-1].lost == pytest.approx(a.media.lost, abs=60)  # as of B's last report
    assert b.told[-1].lost == 0
    trips = [one.round_trip_ms for one in a.told + b.told]
    # Before its first report has been heard, nobody can know; then it is 30 + 50 ms, whoever asks.
    assert trips.count(None) == 1
    assert {round(trip) for trip in trips if trip is not None} == {80}
    assert {round(one.jitter_ms, 3) for one in a.told + b.told} == {0.0}
    assert (a.rtcp.malformed, b.rtcp.malformed, a.rtcp.left, b.rtcp.left) == (0, 0, False, False)
    assert b.rtcp.their_packets == pytest.approx(a.packets, abs=250)


def test_jitter_is_told_in_milliseconds() -> None:
    a = End(1, Wire(delay_s=0.03, jitter_s=(0.0, 0.01)), Wire(), 1000.0)
    b = End(2, Wire(), Wire(), 1000.7)
    talk(a, b, 30.0)
    assert a.told[-1].jitter_ms == pytest.approx(10.0, abs=0.2)
    assert b.told[-1].jitter_ms == 0.0


def test_lost_and_doubled_reports() -> None:
    """Every second report of A is lost, each of B comes twice: fewer figures, none of them wrong."""
    a = End(1, Wire("....x"), Wire("x.", delay_s=0.04), 1000.0)
    b = End(2, Wire(), Wire("2", delay_s=0.04), 1000.7)
    talk(a, b, 60.0)
    assert len(a.told) == 28
    assert len(b.told) == 7
    assert {round(one.loss, 2) for one in a.told} == {0.2}
    firsts = {round(one.round_trip_ms) for one in a.told[::2] if one.round_trip_ms is not None}
    assert firsts == {80}


def test_who_only_listens_reports_as_a_receiver() -> None:
    a = End(1, Wire("..x."), Wire(delay_s=0.02), 1000.0)
    b = End(2, Wire(), Wire(delay_s=0.02), 1000.7, sends=False)
    talk(a, b, 20.0)
    assert [round(one.loss, 2) for one in a.told] == [0.25] * 5
    assert b.told == []
    assert a.rtcp.their_packets == 0


# --- what we say ------------------------------------------------------------------------------------------------------


def test_a_whole_report() -> None:
    us = session(wall_s=1_700_000_000.0)
    us.receive(serialize([SenderReport(2, 0x1111_2222_3333_4444, 0, 50, 8000)]), 2.0)
    data = us.report(2.5, sent(100, timestamp=20_000, at=2.49), received(200, 190, highest=0x100C7, jitter=12.7))
    assert parse(data) == [
        SenderReport(
            ssrc=1,
            ntp=(1_700_000_002 + 2_208_988_800) << 32 | 0x80000000,
            timestamp=20_080,
            packets=100,
            octets=16_000,
            blocks=(
                ReportBlock(
                    ssrc=2,
                    fraction_lost=12,  # 10 of 200
                    lost=10,
                    highest=0x100C7,
                    jitter=12,
                    last_report=0x2222_3333,
                    delay=0x8000,
                ),
            ),
        ),
        Description(1, "us"),
    ]
    assert us.reports_sent == us.reports_received == 1


def test_nothing_sent_and_nothing_heard() -> None:
    assert parse(session().report(2.0, sent(0), None)) == [ReceiverReport(1), Description(1, "us")]


def test_a_sender_remains_one_for_two_intervals() -> None:
    us = session()
    kinds = [type(parse(us.report(float(n), sent(packets), None))[0]) for n, packets in enumerate([0, 9, 9, 9, 9, 10])]
    assert kinds == [ReceiverReport, SenderReport, SenderReport, ReceiverReport, ReceiverReport, SenderReport]


def test_the_fraction_is_of_the_interval_and_never_negative() -> None:
    us = session()
    steps = [(100, 50), (200, 150), (300, 260), (300, 260), (400, 260)]
    blocks = [block_of(us.report(float(n), sent(0), received(*step))) for n, step in enumerate(steps)]
    assert [(one.fraction_lost, one.lost) for one in blocks] == [(128, 50), (0, 50), (0, 40), (0, 40), (255, 140)]


def test_a_new_source_begins_at_zero() -> None:
    us = session()
    us.receive(serialize([SenderReport(2, 1 << 32, 0, 50, 8000)]), 0.5)
    us.report(1.0, sent(0), received(100, 80))
    block = block_of(us.report(2.0, sent(0), received(150, 125, ssrc=7)))
    assert (block.ssrc, block.lost, block.fraction_lost) == (7, 5, 5 * 256 // 50)
    assert (block.last_report, block.delay) == (0, 0)  # the last sender report was of another source


def test_the_stream_clock_wraps() -> None:
    us = session()
    first = parse(us.report(10.0, sent(2**32 + 5, timestamp=0xFFFFFFFF, at=9.99), None))[0]
    assert isinstance(first, SenderReport)
    assert (first.timestamp, first.packets, first.octets) == (79, 5, 5 * 160)


def test_another_clock_after_a_change_of_codec() -> None:
    us = session()
    us.use_rate(48000)
    first = parse(us.report(10.0, sent(1, timestamp=0, at=9.5), None))[0]
    assert isinstance(first, SenderReport)
    assert first.timestamp == 24000


def test_bye_is_the_last_word() -> None:
    us = session()
    assert parse(us.bye(3.0, sent(7), received(10, 10), "hung up"))[1:] == [Description(1, "us"), Bye((1,), "hung up")]
    assert us.next_deadline() == float("inf")


# --- when we say it ---------------------------------------------------------------------------------------------------


def test_intervals_are_diced() -> None:
    def shows(number: float) -> Callable[[], float]:
        return lambda: number

    assert interval_s(False, half) == STEADY_S
    assert interval_s(True, half) == STEADY_S / 2
    assert interval_s(False, shows(0.0)) == STEADY_S * 0.5
    assert interval_s(False, shows(0.999999)) == pytest.approx(STEADY_S * 1.5, rel=1e-5)


def test_deadlines_follow_the_report_not_the_plan() -> None:
    us = session(now=100.0)
    assert us.next_deadline() == 100.0 + STEADY_S / 2
    us.report(103.0, sent(0), None)
    assert us.next_deadline() == 103.0 + STEADY_S


def test_names_are_random_and_say_nothing() -> None:
    names = {random_cname() for _ in range(50)}
    assert len(names) == 50
    assert {len(name) for name in names} == {16}
    own = parse(RtcpSession(1, RATE_HZ, 0.0).report(1.0, sent(0), None))[1]
    assert isinstance(own, Description)
    assert len(own.cname) == 16


# --- what they say ----------------------------------------------------------------------------------------------------


def about_us(**changes: int) -> list[Report]:
    values = {"ssrc": 1, "fraction_lost": 0, "lost": 0, "highest": 0, "jitter": 0} | changes
    return [ReceiverReport(2, (ReportBlock(**values),))]


def test_their_word_about_our_stream() -> None:
    us = session()
    data = us.report(1.0, sent(50), None)
    ntp = parse(data)[0]
    assert isinstance(ntp, SenderReport)
    told = us.receive(
        serialize(
            about_us(
                fraction_lost=64, lost=-3, jitter=80, last_report=ntp.ntp >> 16 & 0xFFFFFFFF, delay=round(0.4 * 65536)
            )
        ),
        1.5,
    )
    assert told is not None
    assert (told.at, told.loss, told.lost, told.jitter_ms) == (1.5, 0.25, -3, 10.0)
    assert told.round_trip_ms == pytest.approx(100.0, abs=0.02)
    assert us.feedback == told


@pytest.mark.parametrize(
    ("last_report", "delay_s", "round_trip_ms"),
    [
        pytest.param(0, 0.0, None, id="they have heard none"),
        pytest.param(0x12345678, 0.0, None, id="one we never made"),
        pytest.param(-1, 0.5, 0.0, id="at once"),
        pytest.param(-1, 0.505, 0.0, id="their clock is a little fast"),
        pytest.param(-1, 30.0, None, id="longer than it can have lain there"),
    ],
)
def test_round_trips_that_are_none(last_report: int, delay_s: float, round_trip_ms: float | None) -> None:
    us = session(wall_s=1.7e9)
    made = parse(us.report(1.0, sent(50), None))[0]
    assert isinstance(made, SenderReport)
    lsr = made.ntp >> 16 & 0xFFFFFFFF if last_report < 0 else last_report
    told = us.receive(serialize(about_us(last_report=lsr, delay=round(delay_s * 65536))), 1.5)
    assert told is not None
    assert told.round_trip_ms == round_trip_ms


def test_an_old_report_of_ours_is_known_and_a_very_old_one_is_not() -> None:
    us = session()
    marks = []
    for n in range(20):
        made = parse(us.report(5.0 * n, sent(n + 1), None))[0]
        assert isinstance(made, SenderReport)
        marks.append(made.ntp >> 16 & 0xFFFFFFFF)
    trips = []
    for mark in (marks[-1], marks[-8], marks[-9]):
        told = us.receive(serialize(about_us(last_report=mark)), 95.1)
        assert told is not None
        trips.append(told.round_trip_ms and round(told.round_trip_ms))
    assert trips == [100, 35_100, None]


def test_reports_about_others_and_nonsense() -> None:
    us = session()
    assert us.receive(serialize(about_us(ssrc=99)), 1.0) is None
    assert us.receive(b"\x80\xc9", 1.0) is None
    assert us.receive(serialize([Description(2, "them")]), 1.0) is None
    assert (us.feedback, us.their_cname, us.reports_received, us.malformed) == (None, "them", 2, 1)


@pytest.mark.parametrize(
    ("reports", "left"),
    [
        pytest.param([ReceiverReport(5), Bye((5,))], True, id="who reports"),
        pytest.param([Bye((2,))], True, id="whom we hear"),
        pytest.param([ReceiverReport(5), Bye((6,))], False, id="a stranger"),
        pytest.param([Bye(())], False, id="nobody"),
    ],
)
def test_who_leaves(reports: list[Report], left: bool) -> None:
    us = session()
    us.report(1.0, sent(0), received(10, 10))
    us.receive(serialize(reports), 2.0)
    assert us.left is left
    us.report(3.0, sent(0), received(20, 20, ssrc=8))
    assert us.left is False  # somebody else speaks now
