from __future__ import annotations

import pytest

from bridge.bench.failover.uas import State, Uas
from bridge.bench.siptext import g711, parse, request, response
from bridge.bench.uac import GIVE_UP_S, Uac
from bridge.bench.uac import State as Placed

HERE, THERE = ("127.0.0.8", 5070), ("127.0.0.9", 5080)


class Line:
    """A caller and the network's telephone, back to back; whoever is `deaf` hears nothing."""

    def __init__(self, types: tuple[int, ...] = (0, 8)) -> None:
        self.now = 100.0
        self.uac = Uac("sip:+525510000001@127.0.0.9:5080", HERE, 4000, types=types)
        [invite] = self.uac.place(self.now)
        self.invite = parse(invite)
        self.uas = Uas(self.invite, THERE, 6000, 0.5)
        self.uas_is_deaf = False
        self.down(self.uas.ring(self.now))

    def down(self, messages: list[bytes]) -> None:
        for message in messages:
            self.up(self.uac.receive(parse(message), self.now))

    def up(self, messages: list[bytes]) -> None:
        for message in messages:
            if not self.uas_is_deaf:
                self.down(self.uas.receive(parse(message), self.now))

    def pass_time(self, seconds: float) -> list[bytes]:
        """What the telephone sends meanwhile."""
        sent = []
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            messages = self.uas.poll(self.now)
            sent += messages
            self.down(messages)
        return sent


def test_rings_answers_talks_and_is_hung_up() -> None:
    line = Line()
    assert (line.uas.number, line.uas.state, line.uac.state) == ("+525510000001", State.RINGING, Placed.PROCEEDING)
    line.pass_time(0.6)
    assert (line.uas.state, line.uac.state) == (State.TALKING, Placed.TALKING)
    assert (line.uas.media, line.uac.media) == (("127.0.0.8", 4000), ("127.0.0.9", 6000))
    assert line.uas.talking_at == pytest.approx(100.6)
    line.up(line.uac.hang_up(line.now))
    assert (line.uas.state, line.uac.state) == (State.ENDED, Placed.ENDED)
    assert (line.uas.ended_early, line.uac.ended_early) == (True, False)


def test_hangs_up_itself() -> None:
    line = Line()
    line.pass_time(0.6)
    [bye] = line.uas.hang_up(line.now)
    assert parse(bye).uri == "sip:load@127.0.0.8:5070"
    line.down([bye])
    line.uas.receive(parse(response(parse(bye), 200, "OK")), line.now)
    assert (line.uas.state, line.uas.ended_early) == (State.ENDED, False)
    assert line.uas.hang_up(line.now) == []


def test_its_way_back_is_the_one_that_was_noted() -> None:
    routed = request(
        "INVITE",
        "sip:1@127.0.0.9",
        [*Line().invite.headers[:-2], ("record-route", "<sip:a;lr>"), ("record-route", "<sip:b;lr>")],
        g711("127.0.0.8", 4000),
    )
    uas = Uas(parse(routed), THERE, 6000, 0.0)
    uas.poll(1.0)
    ack = request("ACK", "sip:network@127.0.0.9", [("cseq", "1 ACK")])
    uas.receive(parse(ack), 1.0)
    [bye] = uas.hang_up(1.0)
    assert parse(bye).all("route") == ["<sip:a;lr>", "<sip:b;lr>"]


def test_the_first_codec_of_the_offer_is_taken() -> None:
    line = Line(types=(8,))
    [answer] = line.pass_time(0.6)
    assert "m=audio 6000 RTP/AVP 8\r\n" in answer.decode()
    assert line.uac.state is Placed.TALKING


def test_an_answer_that_nobody_confirms() -> None:
    line = Line()
    line.uas_is_deaf = True
    sent = line.pass_time(GIVE_UP_S + 1)
    assert len(set(sent)) == 1
    assert 8 <= len(sent) <= 12
    assert (line.uas.state, line.uas.ended_early) == (State.ENDED, True)


def test_a_cancel_while_it_rings() -> None:
    line = Line()
    cancel = request(
        "CANCEL", line.invite.uri, [h for h in line.invite.headers if h[0] != "cseq"] + [("cseq", "1 CANCEL")]
    )
    ok, terminated = (parse(one) for one in line.uas.receive(parse(cancel), line.now))
    assert (ok.status, ok.cseq, terminated.status, terminated.cseq) == (200, (1, "CANCEL"), 487, (1, "INVITE"))
    assert line.pass_time(0.6) != []  # 487 until it is confirmed
    [ack] = line.uac.receive(terminated, line.now)
    line.uas.receive(parse(ack), line.now)
    assert line.pass_time(5.0) == []
    assert line.uas.state is State.ENDED


def test_what_it_does_not_know() -> None:
    line = Line()
    invite = line.invite
    [again] = line.uas.receive(invite, line.now)
    assert parse(again).status == 180
    other = request("MESSAGE", invite.uri, [h for h in invite.headers if h[0] != "cseq"] + [("cseq", "2 MESSAGE")])
    assert parse(line.uas.receive(parse(other), line.now)[0]).status == 488
