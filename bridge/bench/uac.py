"""One call placed by the load caller: the signalling of a plain UAC over UDP. Knows no socket and no clock.

    CALLING --1xx--> PROCEEDING --2xx--> TALKING --hang_up--> LEAVING --2xx to BYE--> ENDED
       |                 |                  +-------- their BYE -----------------------> ENDED
       +-- no answer ----+-- 3xx-6xx, CANCEL is never needed ------------------------> REFUSED

INVITE and BYE are repeated by timers A and E (RFC 3261, 17.1): 0.5 s, doubling up to 4 s. The ACK to a 2xx is sent
again for each copy of the 2xx (13.2.2.4).
"""

from __future__ import annotations

import secrets
from enum import Enum, auto

from bridge.bench.siptext import Header, Message, audio_address, g711, request, response, uri_of

T1_S = 0.5
T2_S = 4.0
GIVE_UP_S = 32.0
"Timers B and F, 64 x T1."
BYE_GIVE_UP_S = 4.0
"Ours, shorter than timer F: a lost BYE must not keep a benchmark for half a minute."


class State(Enum):
    CALLING = auto()
    PROCEEDING = auto()
    TALKING = auto()
    LEAVING = auto()
    REFUSED = auto()
    ENDED = auto()


OVER = frozenset({State.REFUSED, State.ENDED})


class Uac:
    """One outbound call. `place`, `receive`, `poll` and `hang_up` return what is to be sent."""

    def __init__(
        self, target: str, local: tuple[str, int], rtp_port: int, name: str = "load", types: tuple[int, ...] = (0,)
    ) -> None:
        """`types`: payload types that are offered."""
        self.state = State.CALLING
        self.status = 0
        "The final status of the INVITE; 408 is ours, when nobody answered."
        self.media: tuple[str, int] | None = None
        self.placed_at = self.answered_at = 0.0
        self.ended_early = False
        "The other side hung up, or its answer was of no use."
        self.call_id = f"{secrets.token_hex(8)}@{local[0]}"
        self._target = self._remote = target
        self._local, self._rtp_port, self._types = local, rtp_port, types
        self._from = f"<sip:{name}@{local[0]}:{local[1]}>;tag={secrets.token_hex(4)}"
        self._to = f"<{target}>"
        self._branch = _branch()
        self._route: list[Header] = []
        self._ack = b""
        self._pending = b""
        self._repeat_at = self._give_up_at = 0.0
        self._interval_s = T1_S

    def __repr__(self) -> str:
        return f"<Uac {self.call_id[:6]} {self.state.name} {self.status or '-'}>"

    # --- what the shell calls ---

    def place(self, now: float) -> list[bytes]:
        self.placed_at = now
        sdp = g711(self._local[0], self._rtp_port, self._types)
        return self._start("INVITE", self._request("INVITE", 1, self._branch, sdp), now, GIVE_UP_S)

    def hang_up(self, now: float) -> list[bytes]:
        if self.state is not State.TALKING:
            return []
        self.state = State.LEAVING
        return self._start("BYE", self._request("BYE", 2, _branch()), now, BYE_GIVE_UP_S)

    def receive(self, message: Message, now: float) -> list[bytes]:
        if message.method:
            return self._on_request(message)
        number, method = message.cseq
        if (number, method) == (1, "INVITE"):
            return self._on_invite_response(message, now)
        if (number, method) == (2, "BYE") and message.status >= 200 and self.state is State.LEAVING:
            self._settle(State.ENDED)
        return []

    def poll(self, now: float) -> list[bytes]:
        """Repeats what has not been answered; call it every few milliseconds."""
        if not self._pending:
            return []
        if now >= self._give_up_at:
            self.status = self.status or 408
            self._settle(State.REFUSED if self.state is State.CALLING else State.ENDED)
            return []
        if now < self._repeat_at:
            return []
        self._interval_s = min(2 * self._interval_s, T2_S)
        self._repeat_at = now + self._interval_s
        return [self._pending]

    # --- what happens ---

    def _on_invite_response(self, message: Message, now: float) -> list[bytes]:
        if message.status < 200:
            if self.state is State.CALLING:
                self._settle(State.PROCEEDING)
            return []
        if message.status < 300:
            return self._on_answer(message, now)
        self._to = message.first("to")
        if self.state in {State.CALLING, State.PROCEEDING}:
            self.status = message.status
            self._settle(State.REFUSED)
        # This ACK belongs to the INVITE's own transaction: same branch (RFC 3261, 17.1.1.3).
        return [self._request("ACK", 1, self._branch)]

    def _on_answer(self, message: Message, now: float) -> list[bytes]:
        if self.state not in {State.CALLING, State.PROCEEDING}:
            return [self._ack]
        self.status, self.answered_at = message.status, now
        self.media = audio_address(message.body)
        self._to = message.first("to")
        self._remote = uri_of(message.first("contact")) or self._target
        self._route = [("route", value) for value in reversed(message.all("record-route"))]
        self._settle(State.TALKING)
        self._ack = self._request("ACK", 1, _branch())
        if self.media is None:
            self.ended_early = True
            return [self._ack, *self.hang_up(now)]
        return [self._ack]

    def _on_request(self, message: Message) -> list[bytes]:
        if message.method == "ACK":
            return []
        if message.method == "BYE":
            if self.state is State.TALKING:
                self.ended_early = True
            self._settle(State.ENDED)
            return [response(message, 200, "OK")]
        if message.method == "OPTIONS":
            return [response(message, 200, "OK")]
        return [response(message, 488, "Not Acceptable Here")]

    # --- the sending side ---

    def _start(self, method: str, message: bytes, now: float, give_up_s: float) -> list[bytes]:
        self._pending, self._interval_s = message, T1_S
        self._repeat_at, self._give_up_at = now + T1_S, now + give_up_s
        return [message]

    def _settle(self, state: State) -> None:
        self.state, self._pending = state, b""

    def _request(self, method: str, cseq: int, branch: str, sdp: str = "") -> bytes:
        host, port = self._local
        headers: list[Header] = [
            ("via", f"SIP/2.0/UDP {host}:{port};branch={branch};rport"),
            ("max-forwards", "70"),
            ("from", self._from),
            ("to", self._to),
            ("call-id", self.call_id),
            ("cseq", f"{cseq} {method}"),
            ("contact", f"<sip:load@{host}:{port}>"),
            *self._route,
        ]
        return request(method, self._remote, headers, sdp)


def _branch() -> str:
    return "z9hG4bK" + secrets.token_hex(8)
