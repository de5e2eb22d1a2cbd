"""The load caller: many calls at once from one process that costs as little as Python allows.

One timer drives all calls. Their packets are spread over the 20 ms, due times count from one origin on the monotonic
clock. Nobody waits for packets that come back: the kernel stamps each with its arrival (SO_TIMESTAMPNS), so a call's
socket is emptied only every few packets and the figure is still exact to microseconds.

    python -m bridge.bench.caller --target 127.0.0.1:5060 --calls 10 --seconds 20

Standard output carries JSON lines: `Measuring`, `Measured`, `Load` of bridge.bench.results.
"""

from __future__ import annotations

import argparse
import gc
import random
import select
import sys
import time
from dataclasses import dataclass
from enum import Enum, auto

import msgspec

from bridge.bench.figures import figures
from bridge.bench.marks import CALLS
from bridge.bench.results import CallOutcome, Load, Mark, Measured, Measuring, Turn
from bridge.bench.siptext import NotSip, parse
from bridge.bench.sockets import Address, address, arrived, rtp_socket, send_all, udp_socket
from bridge.bench.stream import Incoming, Outgoing
from bridge.bench.uac import OVER, State, Uac

FRAME_NS = 20_000_000
EMPTY_EVERY = 5
"Packets sent between two looks into a call's socket: 100 ms of packets, far below what its buffer holds."
SLEPT_NS = 100_000_000
"Later than this, packets are skipped instead of sent in a burst."
TAIL_S = 1.0
"How long marks may still come back after the measured time."


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One run of the load caller."""

    target: Address
    calls: int
    seconds: float
    settle_s: float = 1.5
    "From the last answer to the measured time."
    dial_gap_s: float = 0.05
    "Between two INVITEs: set-up is not what is loaded here."
    users: tuple[str, ...] = ("bench",)
    "Dialled in turn."


class Call:
    """One call: its signalling, its two streams, its socket."""

    def __init__(self, number: int, plan: Plan, local: Address, dice: random.Random) -> None:
        self.rtp = rtp_socket(local[0])
        host, port = plan.target
        target = f"sip:{plan.users[number % len(plan.users)]}@{host}:{port}"
        self.uac = Uac(target, local, self.rtp.getsockname()[1])
        self.outgoing = Outgoing(
            number, ssrc=dice.getrandbits(32), first_sequence=dice.getrandbits(16), first_timestamp=dice.getrandbits(32)
        )
        self.incoming = Incoming(self.outgoing)
        self.number = number
        self.is_sending = False

    def begin(self) -> None:
        """Answered: from now on the socket talks and listens to the address in the SDP alone."""
        assert self.uac.media is not None
        self.rtp.connect(self.uac.media)
        self.is_sending = True

    def send(self, now_ns: int) -> None:
        try:
            self.rtp.send(self.outgoing.next(now_ns))
        except (BlockingIOError, ConnectionRefusedError):
            return  # full or closed on the other side: its sequence numbers and our marks show it

    def empty(self) -> None:
        on_packet = self.incoming.receive
        for data, at_ns in arrived(self.rtp):
            on_packet(data, at_ns)

    def outcome(self, since_ns: int, until_ns: int) -> CallOutcome:
        uac, heard = self.uac, self.incoming
        return CallOutcome(
            call=self.number,
            status=uac.status,
            set_up_ms=round((uac.answered_at - uac.placed_at) * 1e3, 3) if uac.answered_at else None,
            ended_early=uac.ended_early,
            sent=self.outgoing.sent,
            received=heard.received,
            lost=heard.lost,
            duplicate=heard.duplicate,
            reordered=heard.reordered,
            restarts=heard.restarts,
            malformed=heard.malformed,
            marks=tuple(
                Mark(
                    index=mark.index,
                    sent_s=mark.sent_ns / 1e9,
                    returned_s=mark.returned_ns / 1e9 if mark.returned_ns else None,
                )
                for mark in self.outgoing.marks
                if since_ns <= mark.sent_ns < until_ns
            ),
            turns=tuple(Turn(at_s=at_ns / 1e9, is_loud=is_loud) for at_ns, is_loud in heard.turns),
        )


class Phase(Enum):
    DIALLING = auto()
    SETTLING = auto()
    MEASURING = auto()
    TAIL = auto()
    LEAVING = auto()
    DONE = auto()


class Caller:
    """All calls and the one timer. `run` returns when they are over."""

    def __init__(self, plan: Plan) -> None:
        if not 1 <= plan.calls <= CALLS:
            raise ValueError(f"{plan.calls} calls; the marks tell 1 to {CALLS} apart")
        self._plan = plan
        self._sip = udp_socket("127.0.0.1")
        self._sip.connect(plan.target)
        dice = random.Random()
        self._calls = [Call(number, plan, self._sip.getsockname(), dice) for number in range(plan.calls)]
        self._by_id = {call.uac.call_id: call for call in self._calls}
        self._phase = Phase.DIALLING
        self._phase_ends = float("inf")
        self._dialled = 0
        self._dial_at = time.monotonic()
        self._since_ns = self._until_ns = 0
        self._late_ns: list[int] = []
        self._skipped = 0

    def run(self) -> Load:
        gc.collect()
        gc.freeze()
        gc.disable()  # nothing here makes cycles, and a collection would be a late packet
        try:
            self._turn()
        finally:
            gc.enable()
            for call in self._calls:
                call.rtp.close()
            self._sip.close()
        return Load(
            calls=tuple(call.outcome(self._since_ns, self._until_ns) for call in self._calls),
            gap_ms=figures(gap for call in self._calls for gap in call.incoming.gaps_ms),
            send_late_ms=figures(late / 1e6 for late in self._late_ns),
            skipped=self._skipped,
        )

    def _turn(self) -> None:
        """Slot after slot: slot k belongs to call k modulo N and is due at origin + k * 20 ms / N."""
        calls, slot_ns, slot = self._calls, FRAME_NS // len(self._calls), 0
        origin_ns = time.monotonic_ns()
        while self._phase is not Phase.DONE:
            due_ns = origin_ns + slot * slot_ns
            self._wait(due_ns)
            now_ns = time.monotonic_ns()
            if now_ns - due_ns > SLEPT_NS:
                # Whole rounds, so that each call keeps its place among the others.
                rounds = (now_ns - due_ns) // FRAME_NS
                slot += rounds * len(calls)
                due_ns += rounds * FRAME_NS
                self._skip(rounds)
            call = calls[slot % len(calls)]
            if call.is_sending:
                if self._phase is Phase.MEASURING:
                    self._late_ns.append(now_ns - due_ns)
                call.send(time.monotonic_ns())
                if call.outgoing.sent % EMPTY_EVERY == 0:
                    call.empty()
            slot += 1
            if slot % len(calls) == 0:
                self._once_a_round(time.monotonic())

    def _wait(self, due_ns: int) -> None:
        """Until the slot is due; signalling is handled at once. select() because it alone takes microseconds."""
        while True:
            left_ns = due_ns - time.monotonic_ns()
            readable, _, _ = select.select([self._sip], [], [], max(left_ns, 0) / 1e9)
            if not readable:
                return
            self._on_sip(time.monotonic())
            if left_ns <= 0:
                return

    def _skip(self, rounds: int) -> None:
        sending = [call for call in self._calls if call.is_sending]
        for call in sending:
            call.outgoing.skip(rounds)
        self._skipped += rounds * len(sending)

    # --- signalling ---

    def _on_sip(self, now: float) -> None:
        try:
            message = parse(self._sip.recv(65536))
        except (BlockingIOError, ConnectionRefusedError, NotSip):
            return  # a target that is not there shows as 408
        call = self._by_id.get(message.first("call-id"))
        if call is None:
            return
        send_all(self._sip, call.uac.receive(message, now))
        if call.uac.state is State.TALKING and not call.is_sending:
            call.begin()
        elif call.uac.state in OVER:
            call.is_sending = False

    # --- phases ---

    def _once_a_round(self, now: float) -> None:
        for call in self._calls[: self._dialled]:
            send_all(self._sip, call.uac.poll(now))
        match self._phase:
            case Phase.DIALLING:
                self._dial(now)
            case Phase.SETTLING if now >= self._phase_ends:
                up = sum(call.is_sending for call in self._calls)
                _say(Measuring(calls_up=up))
                self._since_ns = time.monotonic_ns()
                self._enter(Phase.MEASURING, now + self._plan.seconds)
            case Phase.MEASURING if now >= self._phase_ends:
                self._until_ns = time.monotonic_ns()
                _say(Measured())
                self._enter(Phase.TAIL, now + TAIL_S)
            case Phase.TAIL if now >= self._phase_ends:
                self._leave(now)
            case Phase.LEAVING if all(call.uac.state in OVER for call in self._calls):
                self._enter(Phase.DONE, now)

    def _enter(self, phase: Phase, ends: float) -> None:
        self._phase, self._phase_ends = phase, ends

    def _dial(self, now: float) -> None:
        while self._dialled < len(self._calls) and now >= self._dial_at:
            send_all(self._sip, self._calls[self._dialled].uac.place(now))
            self._dialled += 1
            self._dial_at = now + self._plan.dial_gap_s
        waiting = {State.CALLING, State.PROCEEDING}
        if self._dialled < len(self._calls) or any(call.uac.state in waiting for call in self._calls):
            return
        if any(call.is_sending for call in self._calls):
            self._enter(Phase.SETTLING, now + self._plan.settle_s)
        else:
            self._enter(Phase.LEAVING, now)

    def _leave(self, now: float) -> None:
        for call in self._calls:
            if call.is_sending:
                call.empty()
                call.is_sending = False
            send_all(self._sip, call.uac.hang_up(now))
        self._enter(Phase.LEAVING, now)


def _say(message: Measuring | Measured | Load) -> None:
    sys.stdout.write(msgspec.json.encode(message).decode() + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description="Places many marked calls at once and measures what comes back.")
    parser.add_argument("--target", type=address, required=True, help="host:port of the SIP side")
    parser.add_argument("--calls", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--settle", type=float, default=Plan.settle_s)
    parser.add_argument("--users", default="bench", help="user parts to dial, comma between, taken in turn")
    args = parser.parse_args()
    plan = Plan(
        target=args.target,
        calls=args.calls,
        seconds=args.seconds,
        settle_s=args.settle,
        users=tuple(args.users.split(",")),
    )
    _say(Caller(plan).run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
