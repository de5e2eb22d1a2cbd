from __future__ import annotations

import logging
from dataclasses import dataclass, field

import pytest

from sip import messages as m
from sip.border import SipError
from sip.headers import parse_message
from sip.switchboard import Switchboard

INVITE = parse_message(
    "INVITE sip:100@192.0.2.1 SIP/2.0\r\nFrom: Al <sip:a@b>;tag=1\r\nTo: <sip:100@x>\r\nX-A: 1\r\n"
    "Content-Type: application/sdp\r\n\r\nv=0\r\n"
)


@dataclass
class FakeLine:
    """Writes down what it is told; `broken` verbs fail."""

    name: str = "c1"
    sip_call_id: str = "id1"
    broken: tuple[str, ...] = ()
    done: list[object] = field(default_factory=list)

    def _do(self, verb: str, *what: object) -> None:
        self.done.append((verb, *what))
        if verb in self.broken:
            raise SipError(f"{verb} is broken")

    def dial(self, command: m.Dial) -> None:
        self._do("dial", command)

    def ring(self, command: m.Ring) -> None:
        self._do("ring", command)

    def answer(self, sdp: str) -> None:
        self._do("answer", sdp)

    def answer_reoffer(self, command: m.AnswerReoffer) -> None:
        self._do("answer_reoffer", command.sdp, command.number)

    def refuse_reoffer(self, command: m.RefuseReoffer) -> None:
        self._do("refuse_reoffer", command.status, command.number)

    def reinvite(self, command: m.Reinvite) -> None:
        self._do("reinvite", command)

    def send_digit(self, command: m.SendInfoDigit) -> None:
        self._do("send_digit", command)

    def refer(self, command: m.Refer, replaced: FakeLine | None) -> None:
        self._do("refer", command, replaced)

    def answer_refer(self, status: int) -> None:
        self._do("answer_refer", status)

    def notify_refer(self, command: m.NotifyRefer) -> None:
        self._do("notify_refer", command)

    def replaces(self) -> str:
        return f"{self.sip_call_id};to-tag=2;from-tag=1"

    def hang_up(self, command: m.Hangup, retry_after_s: int = 0) -> None:
        self._do("hang_up", command, retry_after_s)


class Bench:
    def __init__(self, line: FakeLine | None = None) -> None:
        self.events: list[m.AnyEvent] = []
        self.line = line or FakeLine()
        self.board = Switchboard(self.events.append, self.new_line)

    def new_line(self, command: m.Dial) -> FakeLine:
        if command.trunk:
            raise SipError(f"no trunk is called {command.trunk}")
        return self.line

    def called(self) -> None:
        self.board.on_incoming(self.line, "loop", "192.0.2.1:5060", INVITE)
        self.events.clear()


def test_an_invite_is_told_with_all_that_routing_wants() -> None:
    bench = Bench()
    bench.board.on_incoming(bench.line, "loop", "192.0.2.1:5060", INVITE)
    assert bench.events == [
        m.Incoming(
            call="c1",
            trunk="loop",
            source="192.0.2.1:5060",
            sip_call_id="id1",
            from_uri="sip:a@b",
            from_name="Al",
            to_uri="sip:100@x",
            request_uri="sip:100@192.0.2.1",
            offer="v=0\r\n",
            headers=(("X-A", "1"),),
        )
    ]


def test_commands_find_their_call() -> None:
    bench = Bench()
    bench.called()
    for command in (
        m.Ring(call="c1"),
        m.Answer(call="c1", sdp="s1"),
        m.AnswerReoffer(call="c1", sdp="s2", number=1),
        m.RefuseReoffer(call="c1", number=2),
        m.Refuse(call="c1", status=503, reason="full", retry_after_s=5),
        m.Hangup(call="c1", reason="bye"),
        m.Hangup(call="c2"),
        m.Ping(number=1),
    ):
        bench.board.perform(command)
    assert bench.line.done == [
        ("ring", m.Ring(call="c1")),
        ("answer", "s1"),
        ("answer_reoffer", "s2", 1),
        ("refuse_reoffer", 488, 2),
        ("hang_up", m.Hangup(call="c1", status=503, reason="full"), 5),
        ("hang_up", m.Hangup(call="c1", reason="bye"), 0),
    ]
    assert bench.events == []


def test_a_reoffer_that_cannot_be_answered_is_refused_and_the_call_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(FakeLine(broken=("answer_reoffer", "refuse_reoffer")))
    bench.called()
    bench.board.perform(m.AnswerReoffer(call="c1", sdp="s", number=3))
    assert bench.line.done == [("answer_reoffer", "s", 3), ("refuse_reoffer", 500, 3)]
    assert bench.events == []
    assert len(caplog.records) == 2


def test_a_stack_that_will_not_ends_the_call(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(FakeLine(broken=("answer", "hang_up")))
    bench.called()
    bench.board.perform(m.Answer(call="c1", sdp="s"))
    assert bench.line.done == [("answer", "s"), ("hang_up", m.Hangup(call="c1", status=500), 0)]
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "Answer failed: answer is broken",
        "Hangup failed: hang_up is broken",
    ]


def test_a_call_ends_once() -> None:
    bench = Bench()
    bench.called()
    bench.board.on_ended(bench.line, 200, "OK", "remote")
    bench.board.on_ended(bench.line, 408, "again", "error")
    bench.board.perform(m.Hangup(call="c1"))
    assert bench.events == [m.Ended(call="c1", status=200, reason="OK", by="remote")]
    assert bench.line.done == []


class TestDial:
    command = m.Dial(call="c1", uri="sip:x@y", sdp="s")

    def test_a_line_is_known_before_it_dials(self) -> None:
        bench = Bench()
        bench.board.perform(self.command)
        bench.board.perform(m.Hangup(call="c1"))
        assert bench.line.done == [("dial", self.command), ("hang_up", m.Hangup(call="c1"), 0)]
        assert bench.events == [m.Dialled(call="c1", sip_call_id="id1")]

    def test_a_stack_that_will_not_dial(self) -> None:
        bench = Bench(FakeLine(broken=("dial",)))
        bench.board.perform(self.command)
        bench.board.perform(m.Hangup(call="c1"))
        assert bench.events == [m.Ended(call="c1", status=500, reason="dial is broken", by="error")]
        assert bench.line.done == [("dial", self.command)]

    def test_a_trunk_that_is_not_there(self) -> None:
        bench = Bench()
        bench.board.perform(m.Dial(call="c1", uri="sip:x@y", sdp="s", trunk="moon"))
        assert bench.events == [m.Ended(call="c1", status=500, reason="no trunk is called moon", by="error")]


def test_leaving_hangs_up_everybody_and_turns_new_callers_away() -> None:
    bench = Bench()
    bench.called()
    bench.board.leave()
    late = FakeLine(name="c2")
    bench.board.on_incoming(late, "loop", "192.0.2.1:5060", INVITE)
    assert bench.line.done == [("hang_up", m.Hangup(call="c1", status=503), 0)]
    assert late.done == [("hang_up", m.Hangup(call="c2", status=503), 0)]
    assert bench.events == []


def test_reports_leave_out_refusals_of_our_own() -> None:
    bench = Bench()
    bench.called()
    bench.board.on_ended(bench.line, 486, "Busy", "local")
    bench.events.clear()
    rows = "192.0.2.1:5060\tid1\tINVITE\t486\tBusy\n192.0.2.1:5060\tid2\tINVITE\t400\tBad SDP\n"
    bench.board.report("192.0.2.9:5 REGISTER 7\n[2001:db8::1]:9 garbage 1\n", rows)
    bench.board.report("", rows.splitlines()[0])
    assert bench.events == [
        m.Dropped(source="192.0.2.9:5", method="REGISTER", count=7, why="no trunk has this address"),
        m.Dropped(source="[2001:db8::1]:9", method="garbage", count=1, why="no SIP"),
        m.RefusedByStack(source="192.0.2.1:5060", sip_call_id="id2", status=400, why="Bad SDP"),
        m.RefusedByStack(source="192.0.2.1:5060", sip_call_id="id1", status=486, why="Busy"),
    ]


@pytest.mark.parametrize(
    ("command", "verb"),
    [
        (m.Reinvite(call="c1", sdp="v=0"), "reinvite"),
        (m.SendInfoDigit(call="c1", digit="1"), "send_digit"),
        (m.Refer(call="c1", to_uri="sip:x@y"), "refer"),
        (m.AnswerRefer(call="c1"), "answer_refer"),
        (m.NotifyRefer(call="c1", status=200), "notify_refer"),
    ],
)
def test_what_a_call_can_go_on_without_does_not_end_it(command: m.AnyCommand, verb: str) -> None:
    bench = Bench(FakeLine(broken=(verb,)))
    bench.called()
    bench.board.perform(command)
    assert [done[0] for done in bench.line.done if isinstance(done, tuple)] == [verb]
    told = {
        "reinvite": [m.ReofferRefused(call="c1", status=500)],
        "refer": [m.ReferProgress(call="c1", status=500, reason="refer is broken", final=True)],
    }
    assert bench.events == told.get(verb, [])


def test_a_call_in_place_of_another_names_it() -> None:
    bench = Bench()
    bench.called()
    bench.board.perform(m.Dial(call="c2", uri="sip:x@y", sdp="v=0", headers=(("X-A", "1"),), replaces="c1"))
    dialled = [done[1] for done in bench.line.done if isinstance(done, tuple) and done[0] == "dial"]
    assert [command.headers for command in dialled] == [
        (("X-A", "1"), ("Replaces", "id1;to-tag=2;from-tag=1"), ("Require", "replaces"))
    ]


def test_in_place_of_nobody() -> None:
    bench = Bench()
    bench.called()
    bench.board.perform(m.Dial(call="c2", uri="sip:x@y", sdp="v=0", replaces="c9"))
    bench.board.perform(m.Refer(call="c1", replaces="c9"))
    assert bench.line.done == []
    assert bench.events == [
        m.Ended(call="c2", status=500, reason="no call c9 to be replaced", by="error"),
        m.ReferProgress(call="c1", status=500, reason="no call c9 to be replaced", final=True),
    ]
