"""One call taken by the lab's telephone network: the signalling of a plain UAS over UDP. Knows no socket and no clock.

    RINGING --answer_after_s--> ANSWERING --ACK--> TALKING --hang_up--> LEAVING --2xx to BYE--> ENDED
       |                           |                  +------- their BYE -----------------------> ENDED
       +-- CANCEL: 487 --> ENDED   +-- no ACK in 32 s --> ENDED

The 200 is repeated until the ACK, by the timers of RFC 3261, 13.3.1.4.
"""

from __future__ import annotations

import secrets
from enum import Enum, auto

from bridge.bench.siptext import Header, Message, audio_address, g711, offered_g711, request, response, uri_of
from bridge.bench.uac import BYE_GIVE_UP_S, GIVE_UP_S, T1_S, T2_S


class State(Enum):
    RINGING = auto()
    ANSWERING = auto()
    TALKING = auto()
    LEAVING = auto()
    ENDED = auto()


class Uas:
    """One call that came. `ring`, `receive`, `poll` and `hang_up` return what is to be sent."""

    def __init__(self, invite: Message, local: tuple[str, int], rtp_port: int, answer_after_s: float) -> None:
        self.state = State.RINGING
        self.media = audio_address(invite.body)
        self.talking_at = 0.0
        "When the ACK came: the caller has heard the 200."
        self.ended_early = False
        "The other side hung up, or never confirmed."
        self.call_id = invite.first("call-id")
        self._invite, self._local, self._rtp_port = invite, local, rtp_port
        self._answer_after_s = answer_after_s
        self._tag = secrets.token_hex(4)
        self._last = b""
        "Our last response to the INVITE."
        self._pending = b""
        self._answer_at = self._repeat_at = self._give_up_at = 0.0
        self._interval_s = T1_S

    def __repr__(self) -> str:
        return f"<Uas {self.call_id[:6]} {self.state.name}>"

    @property
    def number(self) -> str:
        """The user part of what was dialled."""
        return self._invite.uri.partition(":")[2].partition("@")[0]

    # --- what the shell calls ---

    def ring(self, now: float) -> list[bytes]:
        self._answer_at = now + self._answer_after_s
        self._last = self._response(180, "Ringing")
        return [self._last]

    def receive(self, message: Message, now: float) -> list[bytes]:
        if not message.method:
            if message.cseq == (1, "BYE") and message.status >= 200 and self.state is State.LEAVING:
                self._settle(State.ENDED)
            return []
        match message.method:
            case "INVITE" if message.cseq == self._invite.cseq:
                return [self._last]
            case "ACK":
                if self.state is State.ANSWERING:
                    self.talking_at = now
                    self._settle(State.TALKING)
                elif self.state is State.ENDED:
                    self._pending = b""  # the 487 has arrived
                return []
            case "CANCEL":
                return self._on_cancel(message, now)
            case "BYE":
                self.ended_early |= self.state in (State.ANSWERING, State.TALKING)
                self._settle(State.ENDED)
                return [response(message, 200, "OK")]
            case "OPTIONS":
                return [response(message, 200, "OK")]
        return [response(message, 488, "Not Acceptable Here")]

    def hang_up(self, now: float) -> list[bytes]:
        if self.state is not State.TALKING:
            return []
        return self._start(State.LEAVING, self._bye(), now, BYE_GIVE_UP_S)

    def poll(self, now: float) -> list[bytes]:
        """Answers when it is time, and repeats what has not been confirmed; call it every few milliseconds."""
        if self.state is State.RINGING and now >= self._answer_at:
            types = offered_g711(self._invite.body)[:1]
            self._last = self._response(200, "OK", g711(self._local[0], self._rtp_port, types))
            return self._start(State.ANSWERING, self._last, now, GIVE_UP_S)
        if not self._pending:
            return []
        if now >= self._give_up_at:
            self.ended_early |= self.state is State.ANSWERING
            self._settle(State.ENDED)
            return []
        if now < self._repeat_at:
            return []
        self._interval_s = min(2 * self._interval_s, T2_S)
        self._repeat_at = now + self._interval_s
        return [self._pending]

    # --- inside ---

    def _on_cancel(self, cancel: Message, now: float) -> list[bytes]:
        answer = response(cancel, 200, "OK", tag=self._tag)
        if self.state is not State.RINGING:
            return [answer]
        self._last = self._response(487, "Request Terminated")
        return [answer, *self._start(State.ENDED, self._last, now, GIVE_UP_S)]

    def _start(self, state: State, message: bytes, now: float, give_up_s: float) -> list[bytes]:
        self.state, self._pending, self._interval_s = state, message, T1_S
        self._repeat_at, self._give_up_at = now + T1_S, now + give_up_s
        return [message]

    def _settle(self, state: State) -> None:
        self.state, self._pending = state, b""

    def _response(self, status: int, reason: str, sdp: str = "") -> bytes:
        return response(self._invite, status, reason, [("contact", self._contact)], sdp, tag=self._tag)

    @property
    def _contact(self) -> str:
        return f"<sip:network@{self._local[0]}:{self._local[1]}>"

    def _bye(self) -> bytes:
        invite, (host, port) = self._invite, self._local
        # The set of routes is the INVITE's, in its order (RFC 3261, 12.1.1).
        routes: list[Header] = [("route", value) for value in invite.all("record-route")]
        return request(
            "BYE",
            uri_of(invite.first("contact")),
            [
                ("via", f"SIP/2.0/UDP {host}:{port};branch=z9hG4bK{secrets.token_hex(8)};rport"),
                ("max-forwards", "70"),
                ("from", f"{invite.first('to')};tag={self._tag}"),
                ("to", invite.first("from")),
                ("call-id", self.call_id),
                ("cseq", "1 BYE"),
                *routes,
            ],
        )
