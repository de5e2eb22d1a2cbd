"""The calls of this process by name: commands find their call here, and every call ends exactly once. Knows no stack.

Command -> Switchboard.perform -> Line.ring, answer, hang_up ...
Line    -> Switchboard.on_incoming, on_ended -> Event
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal, Protocol, Self

import msgspec

from sip import messages as m
from sip.border import SipError
from sip.headers import Message, name_and_uri, sdp_of, told_headers

log = logging.getLogger("sip")

TURNED_AWAY = {
    "": "no trunk has this address",
    "limit": "more calls in a second than the trunk may bring: 503",
    "password": "a wrong password for a digest user of ours: 403",
    "challenge": "asked for its password: 401",
}
"Words of the gate (native/gate.c) -> why a request came to nothing."


class Line(Protocol):
    """One call at the stack. What it is told to do raises SipError when the stack will not."""

    name: str
    sip_call_id: str

    def dial(self, command: m.Dial) -> None: ...
    def ring(self, command: m.Ring) -> None: ...
    def answer(self, sdp: str) -> None: ...
    def answer_reoffer(self, command: m.AnswerReoffer) -> None: ...
    def refuse_reoffer(self, command: m.RefuseReoffer) -> None: ...
    def reinvite(self, command: m.Reinvite) -> None: ...
    def send_digit(self, command: m.SendInfoDigit) -> None: ...
    def refer(self, command: m.Refer, replaced: Self | None) -> None: ...
    def answer_refer(self, status: int) -> None: ...
    def notify_refer(self, command: m.NotifyRefer) -> None: ...
    def hang_up(self, command: m.Hangup, retry_after_s: int = 0) -> None: ...

    def replaces(self) -> str:
        """The Replaces header by which somebody else can take this call's place at its peer (RFC 3891)."""


class Switchboard:
    """Who is on which line."""

    def __init__(self, emit: Callable[[m.AnyEvent], None], new_line: Callable[[m.Dial], Line]) -> None:
        """`new_line` makes one that has not dialled yet; raises SipError when there is no such trunk."""
        self.emit, self._new_line = emit, new_line
        self._lines: dict[str, Line] = {}
        self._ended: list[Line] = []
        self._settled: set[str] = set()
        "SIP Call-IDs whose refusals, if any, have been told by other events."
        self._is_leaving = False

    def forget(self) -> None:
        """Lets go of the lines that have ended. Not to be called by one of them: it would saw off its own branch."""
        self._ended.clear()

    def leave(self) -> None:
        """Hangs up everybody; whoever calls from now on is told to try elsewhere."""
        self._is_leaving = True
        for name in list(self._lines):
            self.perform(m.Hangup(call=name, status=503))

    # --- commands

    def perform(self, command: m.AnyCommand) -> None:
        """A command for a call that is gone is nothing wrong: a BYE has crossed it."""
        name = getattr(command, "call", "")
        if isinstance(command, m.Dial):
            self._dial(command)
            return
        line = self._lines.get(name)
        if line is None:
            log.debug("%s for no call", type(command).__name__, extra={"call": name})
            return
        try:
            self._perform(line, command)
        except SipError as error:
            log.warning("%s failed: %s", type(command).__name__, error, extra={"call": name})
            self._on_failure(command, name, str(error))

    def _on_failure(self, command: m.AnyCommand, name: str, why: str) -> None:
        """What a call can go on without is told or forgotten; without the rest it ends."""
        match command:
            case m.Refer():
                self.emit(m.ReferProgress(call=name, status=500, reason=why, final=True))
            case m.Reinvite():
                self.emit(m.ReofferRefused(call=name, status=500))
            case m.AnswerReoffer():
                self.perform(m.RefuseReoffer(call=name, status=500, number=command.number))
            case m.Hangup() | m.RefuseReoffer() | m.SendInfoDigit() | m.AnswerRefer() | m.NotifyRefer():
                pass
            case _:
                self.perform(m.Hangup(call=name, status=500))

    def _perform(self, line: Line, command: m.AnyCommand) -> None:
        match command:
            case m.Ring():
                line.ring(command)
            case m.Answer():
                line.answer(command.sdp)
            case m.AnswerReoffer():
                line.answer_reoffer(command)
            case m.Refuse():
                end = m.Hangup(call=line.name, status=command.status, reason=command.reason)
                line.hang_up(end, command.retry_after_s)
            case m.RefuseReoffer():
                self.settle(line)
                line.refuse_reoffer(command)
            case m.Reinvite():
                line.reinvite(command)
            case m.SendInfoDigit():
                line.send_digit(command)
            case m.Refer():
                line.refer(command, self._line(command.replaces) if command.replaces else None)
            case m.AnswerRefer():
                line.answer_refer(command.status)
            case m.NotifyRefer():
                line.notify_refer(command)
            case m.Hangup():
                line.hang_up(command)

    def _dial(self, command: m.Dial) -> None:
        """Known before it dials: what happens to it may happen at once."""
        try:
            line = self._lines[command.call] = self._new_line(command)
            if command.replaces:
                replaces = (("Replaces", self._line(command.replaces).replaces()), ("Require", "replaces"))
                command = msgspec.structs.replace(command, headers=command.headers + replaces)
            line.dial(command)
            if command.call in self._lines:
                self.emit(m.Dialled(call=command.call, sip_call_id=line.sip_call_id))
        except SipError as error:
            self._lines.pop(command.call, None)
            self.emit(m.Ended(call=command.call, status=500, reason=str(error), by="error"))

    def _line(self, name: str) -> Line:
        """Another call that a command is about."""
        line = self._lines.get(name)
        if line is None:
            raise SipError(f"no call {name} to be replaced")
        return line

    def settle(self, line: Line) -> None:
        """Of a refusal inside this call everything is known, or nobody need know."""
        self._settled.add(line.sip_call_id)

    @property
    def lines(self) -> list[Line]:
        return list(self._lines.values())

    # --- what the stack reports

    def on_incoming(
        self,
        line: Line,
        trunk: str,
        source: str,
        invite: Message,
        *,
        replaces: str = "",
        matched_by: Literal["address", "account", "digest"] = "address",
    ) -> None:
        """`replaces`: the name of our call that this one is to take the place of."""
        self._lines[line.name] = line
        if self._is_leaving:
            self.perform(m.Hangup(call=line.name, status=503))
            return
        from_name, from_uri = name_and_uri(invite.first("from"))
        self.emit(
            m.Incoming(
                call=line.name,
                trunk=trunk,
                source=source,
                sip_call_id=line.sip_call_id,
                from_uri=from_uri,
                from_name=from_name,
                to_uri=name_and_uri(invite.first("to"))[1],
                request_uri=invite.request_uri,
                offer=sdp_of(invite),
                headers=told_headers(invite),
                replaces=replaces,
                matched_by=matched_by,
            )
        )

    def on_ended(
        self,
        line: Line,
        status: int,
        reason: str,
        by: Literal["remote", "local", "error"],
        *,
        contacts: tuple[str, ...] = (),
        retry_after_s: int = 0,
    ) -> None:
        if self._lines.pop(line.name, None) is None:
            return
        self._ended.append(line)
        self._settled.add(line.sip_call_id)
        self.emit(
            m.Ended(call=line.name, status=status, reason=reason, by=by, contacts=contacts, retry_after_s=retry_after_s)
        )

    def report(self, dropped: str, refused: str) -> None:
        """Once a second, what the gate has noted: lines `source method count`, and `source Call-ID method status why`.

        Refusals of ours are among the latter; they are told by other events.
        """
        for row in dropped.splitlines():
            source, what, count = row.split(" ")
            method, _, why = what.partition("!")
            told = "no SIP" if method == "garbage" else TURNED_AWAY.get(why, why)
            self.emit(m.Dropped(source=source, method=method, count=int(count), why=told))
        for row in refused.splitlines():
            source, sip_call_id, _, status, why = row.split("\t")
            if sip_call_id not in self._settled:
                self.emit(m.RefusedByStack(source=source, sip_call_id=sip_call_id, status=int(status), why=why))
        self._settled.clear()
