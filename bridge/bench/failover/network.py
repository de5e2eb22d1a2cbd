"""The telephone network behind the partners of one region: takes what they bring, and calls in over them.

    bridge --INVITE--> partner --INVITE--> Door --> Uas: rings, answers, talks, hangs up
    bridge <--INVITE-- partner <--INVITE-- Door <-- Uac: over the first partner, and over the next when that is silent

It does what a carrier's switch does when a partner is not there: the next route, after a second and a half without an
answer or at once after a refusal. Which partner a call went over in the end is noted with the call.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from bridge.bench.failover.talk import Talk
from bridge.bench.failover.uas import State as Taken
from bridge.bench.failover.uas import Uas
from bridge.bench.siptext import Message, NotSip, parse, request
from bridge.bench.sockets import Address, send_all, udp_socket
from bridge.bench.uac import OVER, Uac
from bridge.bench.uac import State as Placed

ANSWER_AFTER_S = 0.1
"How long a telephone rings."
REROUTE_S = 1.5
"A partner that has answered nothing final by then loses the call to the next one."
HOLD_S = 0.5
"Calls that do not stand are over soon."

UNANSWERED = frozenset({Placed.CALLING, Placed.PROCEEDING})

Direction = Literal["inbound", "outbound"]


@dataclass(kw_only=True)
class Call:
    """One call as the network has it. Times are time.monotonic()."""

    direction: Direction
    number: str
    placed_s: float
    stands: bool = False
    answered_s: float | None = None
    via: str = ""
    "The partner over which it was answered."
    tried: list[str] = field(default_factory=list)
    "Partners, in order."
    answers: int = 0
    "Over how many partners it was answered: two would be one too many."
    why: str = ""
    "Of a refusal."
    talk: Talk | None = None
    dialog: Uac | Uas | None = None
    "That was answered."

    @property
    def has_ended_early(self) -> bool:
        return self.dialog is not None and self.dialog.ended_early


class Door:
    """Where one partner and the network meet: a socket."""

    def __init__(self, network: Network, name: str, host: str) -> None:
        self.name, self._network = name, network
        self.sock = udp_socket(host)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)

    @property
    def address(self) -> Address:
        host, port = self.sock.getsockname()
        return str(host), int(port)

    def open(self, partner: Address) -> None:
        self.sock.connect(partner)
        asyncio.get_running_loop().add_reader(self.sock, self._on_readable)

    def send(self, messages: list[bytes]) -> None:
        send_all(self.sock, messages)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.sock)
        self.sock.close()

    def _on_readable(self) -> None:
        while True:
            try:
                data = self.sock.recv(65536)
            except BlockingIOError:
                return
            except ConnectionRefusedError:  # the partner is dead: ICMP says so
                continue
            try:
                message = parse(data)
            except NotSip:
                continue
            self._network.on_message(self, message)


@dataclass
class _Attempt:
    """One INVITE of ours, over one partner."""

    call: Call
    door: Door
    uac: Uac
    routes: list[str]
    "Partners that are left."
    is_given_up: bool = False


@dataclass
class _Taken:
    """One INVITE of theirs."""

    call: Call
    door: Door
    uas: Uas
    hang_up_at: float = float("inf")


class Network:
    def __init__(self, host: str) -> None:
        self.host = host
        self.doors: dict[str, Door] = {}
        self.calls: list[Call] = []
        self.expected: dict[str, Call] = {}
        "By the number that is dialled, in the form in which it comes."
        self._attempts: dict[str, _Attempt] = {}
        self._taken: dict[tuple[str, str], _Taken] = {}
        # Calls that are over soon send nothing, and nobody listens.
        self._sink = udp_socket(host)
        self._said = 0

    def door(self, name: str) -> Door:
        self.doors[name] = Door(self, name, self.host)
        return self.doors[name]

    def close(self) -> None:
        for door in self.doors.values():
            door.close()
        for call in self.calls:
            if call.talk:
                call.talk.close()
        self._sink.close()

    # --- what the lab asks for

    def expect(self, number: str, now: float, talk: Talk | None = None) -> Call:
        """A call of the bridge's to this number is on its way."""
        call = Call(direction="outbound", number=number, placed_s=now, stands=talk is not None, talk=talk)
        self.calls.append(call)
        self.expected[number] = call
        return call

    def place(self, number: str, routes: Sequence[str], now: float, talk: Talk | None = None) -> Call:
        """Calls the bridge: over the first of these partners, else over the next."""
        call = Call(direction="inbound", number=number, placed_s=now, stands=talk is not None, talk=talk)
        self.calls.append(call)
        self._try(call, list(routes), now)
        return call

    def tell(self, name: str, word: str, value: str) -> None:
        """A word to a partner (partner.cfg)."""
        door = self.doors[name]
        host, port = door.address
        self._said += 1
        headers = [
            ("via", f"SIP/2.0/UDP {host}:{port};branch=z9hG4bKlab{self._said}"),
            ("max-forwards", "70"),
            ("from", f"<sip:lab@{host}>;tag=lab"),
            ("to", f"<sip:{word}@{host}>"),
            ("call-id", f"lab-{host}-{port}-{self._said}"),
            ("cseq", "1 INFO"),
            ("x-value", value),
        ]
        door.send([request("INFO", f"sip:{word}@{name}", headers)])

    def hang_up(self, now: float) -> None:
        """All that stand."""
        for attempt in self._attempts.values():
            attempt.door.send(attempt.uac.hang_up(now))
        for taken in self._taken.values():
            taken.door.send(taken.uas.hang_up(now))

    # --- time

    def poll(self, now: float) -> None:
        """What is due. Every few milliseconds."""
        for attempt in list(self._attempts.values()):
            attempt.door.send(attempt.uac.poll(now))
            self._look_at(attempt, now)
        for key, taken in list(self._taken.items()):
            taken.door.send(taken.uas.poll(now))
            if now >= taken.hang_up_at:
                taken.hang_up_at = float("inf")
                taken.door.send(taken.uas.hang_up(now))
            if taken.uas.state is Taken.ENDED and not taken.call.stands and now - taken.call.placed_s > 60:
                del self._taken[key]

    def _look_at(self, attempt: _Attempt, now: float) -> None:
        if attempt.is_given_up:
            return
        state = attempt.uac.state
        if state is Placed.TALKING and not attempt.call.stands and now - attempt.uac.answered_at >= HOLD_S:
            attempt.is_given_up = True
            attempt.door.send(attempt.uac.hang_up(now))
        elif state is Placed.REFUSED:
            attempt.is_given_up = True
            attempt.call.why = f"{attempt.door.name}: {attempt.uac.status}"
            self._try(attempt.call, attempt.routes, now)
        elif attempt.routes and state in UNANSWERED and now - attempt.uac.placed_at >= REROUTE_S:
            attempt.is_given_up = True
            attempt.call.why = f"{attempt.door.name}: no answer in {REROUTE_S:g} s"
            self._try(attempt.call, attempt.routes, now)

    def _try(self, call: Call, routes: list[str], now: float) -> None:
        if not routes:
            return
        door = self.doors[routes[0]]
        call.tried.append(door.name)
        host, port = door.sock.getpeername()
        rtp_port = call.talk.port if call.talk else self._sink.getsockname()[1]
        uac = Uac(f"sip:{call.number}@{host}:{port}", door.address, rtp_port, name="+5255550000", types=(0, 8))
        self._attempts[uac.call_id] = _Attempt(call, door, uac, routes[1:])
        door.send(uac.place(now))

    # --- what comes

    def on_message(self, door: Door, message: Message) -> None:
        now = asyncio.get_running_loop().time()
        call_id = message.first("call-id")
        if attempt := self._attempts.get(call_id):
            self._on_attempt(attempt, message, now)
            return
        key = (door.name, call_id)
        taken = self._taken.get(key)
        if taken is None and message.method == "INVITE":
            taken = self._take(door, message, now)
        if taken is None:
            return
        was = taken.uas.state
        door.send(taken.uas.receive(message, now))
        if taken.uas.state is Taken.TALKING and was is not Taken.TALKING:
            self._talks(taken.call, door, taken.uas, now)
            taken.hang_up_at = float("inf") if taken.call.stands else now + HOLD_S

    def _on_attempt(self, attempt: _Attempt, message: Message, now: float) -> None:
        uac, was = attempt.uac, attempt.uac.state
        attempt.door.send(uac.receive(message, now))
        if uac.state is Placed.TALKING and was is not Placed.TALKING:
            if attempt.is_given_up:  # answered too late: it is elsewhere by now
                attempt.door.send(uac.hang_up(now))
            else:
                self._talks(attempt.call, attempt.door, uac, now)
        elif uac.state in OVER:
            self._look_at(attempt, now)

    def _take(self, door: Door, invite: Message, now: float) -> _Taken:
        number = invite.uri.partition(":")[2].partition("@")[0]
        call = self.expected.get(number) or Call(direction="outbound", number=number, placed_s=now)
        call.tried.append(door.name)
        rtp_port = call.talk.port if call.talk else self._sink.getsockname()[1]
        uas = Uas(invite, door.address, rtp_port, ANSWER_AFTER_S)
        taken = self._taken[(door.name, uas.call_id)] = _Taken(call, door, uas)
        door.send(uas.ring(now))
        return taken

    def _talks(self, call: Call, door: Door, dialog: Uac | Uas, now: float) -> None:
        call.answers += 1
        if call.answered_s is None:
            call.answered_s, call.via, call.dialog = now, door.name, dialog
            if call.talk and dialog.media:
                call.talk.begin(dialog.media)
