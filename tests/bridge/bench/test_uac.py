from __future__ import annotations

import pytest

from bridge.bench.siptext import Message, g711, parse, response
from bridge.bench.uac import State, Uac

LOCAL = ("127.0.0.1", 4060)


class Line:
    """A UAC and what the other side makes of its messages."""

    def __init__(self) -> None:
        self.uac = Uac("sip:bench@127.0.0.1:5060", LOCAL, 4000)
        (invite,) = self.uac.place(0.0)
        self.invite = parse(invite)

    def answer(self, status: int, *, to: Message | None = None, sdp: str = "", now: float = 0.1) -> list[Message]:
        headers = [
            ("contact", "<sip:them@127.0.0.9:5090>"),
            ("record-route", "<sip:p1;lr>"),
            ("record-route", "<sip:p2>"),
        ]
        data = response(to or self.invite, status, "Because", headers if sdp else (), sdp, tag="theirs")
        return [parse(message) for message in self.uac.receive(parse(data), now)]

    def up(self) -> Message:
        (ack,) = self.answer(200, sdp=g711("127.0.0.9", 9000))
        return ack


def test_the_invite() -> None:
    line = Line()
    assert (line.invite.method, line.invite.uri) == ("INVITE", "sip:bench@127.0.0.1:5060")
    assert line.invite.body == g711("127.0.0.1", 4000)
    assert line.invite.cseq == (1, "INVITE")
    assert repr(line.uac) == f"<Uac {line.uac.call_id[:6]} CALLING ->"


def test_an_answered_call() -> None:
    line = Line()
    assert line.answer(100) == []
    assert line.answer(180) == []
    assert line.uac.state is State.PROCEEDING
    ack = line.up()
    assert (line.uac.state, line.uac.status, line.uac.media) == (State.TALKING, 200, ("127.0.0.9", 9000))
    assert (line.uac.placed_at, line.uac.answered_at, line.uac.ended_early) == (0.0, 0.1, False)
    # The dialog's route set is the Record-Route turned round, its target their Contact (RFC 3261, 12.1.2).
    assert (ack.method, ack.uri, ack.cseq) == ("ACK", "sip:them@127.0.0.9:5090", (1, "ACK"))
    assert ack.all("route") == ["<sip:p2>", "<sip:p1;lr>"]
    assert ack.first("to").endswith(";tag=theirs")
    assert ack.first("via") != line.invite.first("via")


def test_a_repeated_answer_gets_the_same_ack() -> None:
    line = Line()
    assert line.up() == line.up()
    assert line.uac.state is State.TALKING


def test_hanging_up() -> None:
    line = Line()
    line.up()
    (bye,) = map(parse, line.uac.hang_up(5.0))
    assert (bye.method, bye.cseq, line.uac.state) == ("BYE", (2, "BYE"), State.LEAVING)
    assert line.uac.hang_up(5.1) == []
    assert line.answer(200, to=bye) == []
    assert line.uac.state is State.ENDED
    assert line.uac.poll(9.0) == []


@pytest.mark.parametrize("status", [302, 404, 486, 503, 603])
def test_a_refusal_is_acknowledged_within_its_transaction(status: int) -> None:
    line = Line()
    (ack,) = line.answer(status)
    assert (ack.method, ack.uri, ack.cseq) == ("ACK", line.invite.uri, (1, "ACK"))
    assert ack.first("via") == line.invite.first("via")
    assert (line.uac.state, line.uac.status) == (State.REFUSED, status)
    (again,) = line.answer(status)
    assert again == ack
    assert line.uac.hang_up(1.0) == []


def test_invite_is_repeated_until_something_is_heard() -> None:
    line = Line()
    sent_at = [t / 10 for t in range(1, 320) if line.uac.poll(t / 10)]
    assert sent_at == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert line.uac.poll(32.0) == []
    assert (line.uac.state, line.uac.status) == (State.REFUSED, 408)


def test_no_more_invites_after_a_provisional_answer() -> None:
    line = Line()
    line.answer(100)
    assert [line.uac.poll(t / 2) for t in range(80)] == [[]] * 80


def test_bye_is_given_up_soon() -> None:
    line = Line()
    line.up()
    line.uac.hang_up(10.0)
    assert [len(line.uac.poll(10.0 + t / 2)) for t in range(1, 11)] == [1, 0, 1, 0, 0, 0, 1, 0, 0, 0]
    assert (line.uac.state, line.uac.status) == (State.ENDED, 200)


def test_their_bye_ends_the_call_early() -> None:
    line = Line()
    ack = line.up()
    bye = parse(
        b"BYE sip:load SIP/2.0\r\nVia: x\r\nTo: a\r\nFrom: b\r\nCSeq: 7 BYE\r\nCall-ID: "
        + ack.first("call-id").encode()
        + b"\r\n\r\n"
    )
    (answer,) = map(parse, line.uac.receive(bye, 1.0))
    assert (answer.status, answer.cseq, line.uac.state, line.uac.ended_early) == (200, (7, "BYE"), State.ENDED, True)


@pytest.mark.parametrize(("method", "statuses"), [("OPTIONS", [200]), ("INVITE", [488]), ("REFER", [488]), ("ACK", [])])
def test_other_requests(method: str, statuses: list[int]) -> None:
    line = Line()
    line.up()
    asked = parse(f"{method} sip:load SIP/2.0\r\nVia: x\r\nCSeq: 7 {method}\r\n\r\n".encode())
    assert [parse(answer).status for answer in line.uac.receive(asked, 1.0)] == statuses
    assert line.uac.state is State.TALKING


def test_an_answer_without_audio_is_hung_up() -> None:
    line = Line()
    ack, bye = line.answer(200, sdp="v=0\r\nm=audio 0 RTP/AVP 0\r\n")
    assert (ack.method, bye.method) == ("ACK", "BYE")
    assert (line.uac.state, line.uac.ended_early) == (State.LEAVING, True)


def test_an_answer_to_another_transaction_changes_nothing() -> None:
    line = Line()
    stray = parse(b"SIP/2.0 200 OK\r\nCSeq: 9 INVITE\r\n\r\n")
    assert line.uac.receive(stray, 1.0) == []
    assert line.uac.state is State.CALLING
