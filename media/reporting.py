"""Our end of RTCP in one call: when to report, what to say, and what the far side says about us (RFC 3550, 6).

    now       0 s       2.5        7.4       12.1          17.5
    we        |         SR+SDES    SR+SDES   SR+SDES       SR+SDES+BYE      each interval 5 s, diced (RFC 3550, 6.3.1)
    they             SR        SR        SR        SR
                                |         '- LSR = their last one, DLSR = how long it has lain here
                                '- LSR = our last one: round trip = arrival - LSR - DLSR (RFC 3550, 6.4.1)

Pure: datagrams, counters and clock readings in; datagrams and figures out.
"""

from __future__ import annotations

import base64
import random
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from media.rtcp import Bye, Description, ReceiverReport, Report, ReportBlock, SenderReport, parse, serialize
from media.rtp import Malformed

INTERVAL_S = 5.0
"""The minimum, which is what two members of an audio session always come to: 5 % of 64 kbit/s would allow ten times as
many (RFC 3550, 6.2). So neither the bandwidth nor the members are counted, and no timer is reconsidered."""
COMPENSATION = 1.21828
"e - 3/2 (RFC 3550, 6.3.1)."
NTP_EPOCH_S = 2_208_988_800
"From 1900 to 1970."
REMEMBERED_REPORTS = 8
"Of ours, that the far side may refer to: 40 s, and a report that names none of them is nonsense or very late."
TOLERANCE_S = 0.01
"On a fast line their delay, by their clock and rounded, may be longer than what has passed here."


def random_cname() -> str:
    """96 random bits, new for each call: says nothing about machine or company (RFC 7022, 4.2)."""
    return base64.b64encode(secrets.token_bytes(12)).decode()


def interval_s(is_first: bool, dice: Callable[[], float]) -> float:
    """Until the next report: 0.5 to 1.5 of the minimum, so that reports never fall into step (RFC 3550, 6.3.1)."""
    return INTERVAL_S * (0.5 if is_first else 1.0) * (0.5 + dice()) / COMPENSATION


@dataclass(frozen=True, slots=True)
class Sent:
    """Our stream, as the media path counts it."""

    packets: int
    octets: int
    "Of payload."
    timestamp: int
    "Of the frame that is due at `at`: with it, any moment can be told on the stream's clock."
    at: float


@dataclass(frozen=True, slots=True)
class Received:
    """Their stream, as `media.rtp.Reception` counts it."""

    ssrc: int
    expected: int
    received: int
    highest: int
    "Extended highest sequence number."
    jitter: float
    "In samples."


@dataclass(frozen=True, slots=True)
class Feedback:
    """What the far side has told about our stream."""

    at: float
    loss: float
    "Fraction lost between its last two reports, 0 to 1."
    lost: int
    "Since the beginning."
    jitter_ms: float
    round_trip_ms: float | None
    "None: it has not heard a report of ours yet, or refers to one that we never sent."


class RtcpSession:
    """Our end of one call.

    The media path calls `report` when `next_deadline` has come and sends what it gives, hands every RTCP datagram to
    `receive`, and says `bye` at the end. `wall_s` is time.time() - time.monotonic(), taken once: the clock of our
    reports must never be set. `dice` gives 0 <= x < 1.
    """

    def __init__(
        self,
        ssrc: int,
        rate_hz: int,
        now: float,
        *,
        wall_s: float = 0.0,
        cname: str = "",
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._ssrc, self._rate_hz, self._wall_s = ssrc, rate_hz, wall_s
        self._cname = cname or random_cname()
        self._dice = dice
        self._due_at = now + interval_s(True, dice)
        self._sent_before = (0, 0)
        "Packets we had sent at the last report, and at the one before."
        self._heard = Received(0, 0, 0, 0, 0.0)
        "As of our last report."
        self._lost_before = 0
        "Of the sources before the present one."
        self._our_reports: deque[tuple[int, float]] = deque(maxlen=REMEMBERED_REPORTS)
        "LSR of our sender reports, and when they were made."
        self._their_report: tuple[int, int, float] | None = None
        "SSRC, LSR and arrival of their last sender report."
        self._their_ssrc: int | None = None
        "Of whoever reported last; with no stream of its own it is told here alone."
        self.feedback: Feedback | None = None
        self.their_packets = 0
        "Sent, by their last sender report: what is missing here was lost on the way."
        self.their_cname = ""
        self.left = False
        "The source we hear, or whoever reports, has said BYE. No reason to end a call: SIP does that."
        self.reports_sent = 0
        self.reports_received = 0
        self.malformed = 0

    def use_rate(self, rate_hz: int) -> None:
        """Another codec, another clock of the stream."""
        self._rate_hz = rate_hz

    def next_deadline(self) -> float:
        return self._due_at

    def report(self, now: float, sent: Sent, received: Received | None) -> bytes:
        """What is to be said now; the next deadline is set. `received`: None while nothing has come."""
        self._due_at = now + interval_s(False, self._dice)
        self.reports_sent += 1
        return serialize(self._compound(now, sent, received))

    def bye(self, now: float, sent: Sent, received: Received | None, reason: str = "") -> bytes:
        """The last report. Two members need not wait for a turn (RFC 3550, 6.3.7)."""
        self._due_at = float("inf")
        self.reports_sent += 1
        return serialize([*self._compound(now, sent, received), Bye((self._ssrc,), reason)])

    def receive(self, data: bytes, now: float) -> Feedback | None:
        """One datagram. Returns what is new about our stream; nonsense is counted."""
        try:
            reports = parse(data)
        except Malformed:
            self.malformed += 1
            return None
        self.reports_received += 1
        told = None
        for report in reports:
            match report:
                case SenderReport(ssrc, ntp, _, packets, _, blocks):
                    self._their_ssrc = ssrc
                    self._their_report = ssrc, ntp >> 16 & 0xFFFFFFFF, now
                    self.their_packets = packets
                    told = self._about_us(blocks, now) or told
                case ReceiverReport(ssrc, blocks):
                    self._their_ssrc = ssrc
                    told = self._about_us(blocks, now) or told
                case Description(_, cname):
                    self.their_cname = cname
                case Bye(ssrcs):
                    self.left = self.left or self._their_ssrc in ssrcs or self._heard.ssrc in ssrcs
        self.feedback = told or self.feedback
        return told

    def _compound(self, now: float, sent: Sent, received: Received | None) -> list[Report]:
        blocks = (self._block(now, received),) if received is not None else ()
        last, before_last = self._sent_before
        self._sent_before = sent.packets, last
        if sent.packets == before_last:  # nothing sent since the report before the last: a receiver (RFC 3550, 6.4)
            return [ReceiverReport(self._ssrc, blocks), Description(self._ssrc, self._cname)]
        ntp = round((now + self._wall_s + NTP_EPOCH_S) * 2**32) & 0xFFFFFFFFFFFFFFFF
        self._our_reports.append((ntp >> 16 & 0xFFFFFFFF, now))
        timestamp = sent.timestamp + round((now - sent.at) * self._rate_hz)
        report = SenderReport(self._ssrc, ntp, timestamp, sent.packets, sent.octets, blocks)
        return [report, Description(self._ssrc, self._cname)]

    def _block(self, now: float, received: Received) -> ReportBlock:
        before = self._heard
        if before.ssrc != received.ssrc:
            # `Reception` counts on over a change of source; a report is about one source. What was lost between our
            # last report and the change is counted to the new one.
            self._lost_before = before.expected - before.received
            self.left = False
        self._heard = received
        expected = received.expected - before.expected
        lost = expected - (received.received - before.received)
        last_report, delay = 0, 0
        if self._their_report is not None and self._their_report[0] == received.ssrc:
            last_report = self._their_report[1]
            delay = round((now - self._their_report[2]) * 65536)
        return ReportBlock(
            ssrc=received.ssrc,
            fraction_lost=(lost << 8) // expected if expected > 0 and lost > 0 else 0,  # RFC 3550, A.3
            lost=received.expected - received.received - self._lost_before,
            highest=received.highest,
            jitter=int(received.jitter),
            last_report=last_report,
            delay=delay,
        )

    def _about_us(self, blocks: Sequence[ReportBlock], now: float) -> Feedback | None:
        block = next((one for one in blocks if one.ssrc == self._ssrc), None)
        if block is None:
            return None
        return Feedback(
            at=now,
            loss=block.fraction_lost / 256,
            lost=block.lost,
            jitter_ms=block.jitter * 1000 / self._rate_hz,
            round_trip_ms=self._round_trip_ms(block, now),
        )

    def _round_trip_ms(self, block: ReportBlock, now: float) -> float | None:
        """RFC 3550, 6.4.1, with our own clock readings in place of LSR: finer, and nothing that was made up counts."""
        made_at = next((at for lsr, at in self._our_reports if lsr == block.last_report), None)
        if made_at is None:
            return None
        round_trip_s = now - made_at - block.delay / 65536
        return max(0.0, round_trip_s * 1000) if round_trip_s > -TOLERANCE_S else None
