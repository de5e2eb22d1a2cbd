"""The desk: the shell around the sessions. It carries events in and commands out, and decides nothing about a call.

    sip process --events--> Desk --feed--> Session --commands--> Desk --> sip process, workers, platforms, records

Everything runs on one loop; a session is fed synchronously, so there is nothing to lock. A bug in one session ends that
call and no other.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from bridge.calls.inbound import InboundSession
from bridge.calls.ledger import Ledger, Records
from bridge.calls.legs import Legs
from bridge.calls.lines import Line
from bridge.calls.logwords import describe, summary
from bridge.calls.outbound import Order, OutboundSession
from bridge.calls.paired import PairedSession
from bridge.calls.routes import ways_to
from bridge.calls.session import CallSettings, Session, State
from bridge.calls.trunks import ListedTrunks, Trunks
from bridge.calls.words import (
    AbandonPlatform,
    Arm,
    Command,
    CreatePlatform,
    FindWays,
    HangUp,
    Input,
    LineLost,
    PlaceBeside,
    PlatformCreated,
    PlatformRefused,
    Shutdown,
    TakeTrunk,
    TellCall,
    TellTrunks,
    ToSip,
    ToWorker,
    TransferMode,
    TransferWanted,
    TrunkDown,
    TrunkFull,
    TrunkTaken,
    WaysFound,
    WorkerLost,
    WriteRecord,
)
from bridge.calls.workers import Workers
from bridge.errors import Blame, End, MediaError, PlatformBusy, PlatformError
from bridge.logs import current_call
from bridge.platforms.base import CallFacts, Platform
from bridge.records import CallRecord
from media import wire
from sip import messages as sip

log = logging.getLogger(__name__)

QUIET = (wire.FarEvent, sip.Pong, wire.Pong)
"Too many of them to be worth a line at info."


class Switchboard(Protocol):
    """Turns an INVITE into a session that has not begun: routing and settings, see `bridge.app`."""

    def inbound(self, incoming: sip.Incoming, now: float, started_at: str) -> InboundSession: ...

    def admit(self, incoming: sip.Incoming) -> End | None:
        """Why its trunk has no room for this call; None: it has, and the room is taken."""

    def max_calls(self, platform: str) -> int:
        """Our own cap on calls at once; 0: none."""


class Desk:
    def __init__(
        self,
        line: Line,
        workers: Workers,
        platforms: Mapping[str, Platform],
        records: Records,
        switchboard: Switchboard | None = None,
        trunks: Trunks | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        watch: Callable[[str, Input], None] = lambda call, received: None,
    ) -> None:
        """Without a switchboard inbound calls are refused: a desk for test calls. `watch` sees every input."""
        self.line, self.workers, self.platforms = line, workers, platforms
        self._ledger = Ledger(self, records, clock)
        self._switchboard, self._clock, self._watch = switchboard, clock, watch
        self._sessions: dict[str, Session] = {}
        self._legs = Legs(trunks or ListedTrunks())
        self._timers: dict[str, list[asyncio.TimerHandle]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: dict[str, asyncio.Future[CallRecord]] = {}
        self._closing = False
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def is_closing(self) -> bool:
        """No new calls."""
        return self._closing

    def knows(self, call: str) -> bool:
        """Whether a call of this name stands."""
        return call in self._sessions

    def standing(self) -> list[Session]:
        """Calls that are not closed yet, oldest first."""
        return list(self._sessions.values())

    # --- what comes in ---

    def on_sip(self, event: sip.AnyEvent | LineLost) -> None:
        match event:
            case sip.Incoming():
                self._on_incoming(event)
            case LineLost():
                log.error("! sip process lost: %s; calls that stand go on until their audio stops", event.why)
                for call in list(self._sessions):
                    self._feed(call, event)
            case sip.Started():
                log.info("= line up: udp %s, tcp %s", event.udp_port, event.tcp_port)
            case sip.StartFailed():
                log.error("! line did not come up: %s", event.why)
            case sip.Dropped():
                log.warning("! dropped %d x %s from %s: %s", event.count, event.method, event.source, event.why)
            case sip.RefusedByStack():
                log.warning("! refused by the SIP stack: %s from %s: %s", event.status, event.source, event.why)
            case sip.Registration() | sip.Probed() | sip.TrunksSet() | sip.AboveRate() | sip.Pong():
                pass  # the keeper of the trunks tells what is news of them
            case _:
                if isinstance(event, sip.Ended):
                    self._legs.over(event.call)
                self._feed(self._legs.call_of(event.call), event)

    def on_worker(self, call: str, event: wire.AnyEvent | WorkerLost) -> None:
        self._feed(call, event)

    def on_trunk_down(self, trunk: str, why: str) -> None:
        """A trunk has been found dead, perhaps by a call that is in the middle of its own step: those that are being
        dialled over it hear of it next.
        """
        for session in self._sessions.values():
            if session.record.trunk == trunk and session.state is State.RINGING:
                self._feed_soon(session.call, TrunkDown(trunk, why))

    def dial(self, order: Order, settings: CallSettings, call: str = "") -> tuple[str, asyncio.Future[CallRecord]]:
        """Places a call, under a name that was given out already or a new one; the future has its record."""
        call = call or new_call()
        ended: asyncio.Future[CallRecord] = asyncio.get_running_loop().create_future()
        self._ends[call] = ended
        session = OutboundSession(call, order, settings, self._clock(), _utc_now())
        self._admit(session, session.start)
        return call, ended

    def hang_up(self, call: str) -> bool:
        """Ends a call, whatever its state. False: there is none of this name."""
        known = self.knows(call)
        self._feed(call, HangUp())
        return known

    def send(self, message: sip.Command) -> bool:
        """To the line. A call that nobody is there to place is lost at once, and not when its time is up."""
        sent = self.line.send(message)
        if not sent and isinstance(message, sip.Dial):
            call, lost = self._legs.call_of(message.call), LineLost("it was not up when the call was placed")
            asyncio.get_running_loop().call_soon(self._feed, call, lost)
        return sent

    def transfer(self, call: str, to: str, mode: TransferMode = "blind") -> str:
        """Hands a call over to `to` (E.164 or a SIP URI). Empty: it is under way, else why not."""
        session = self._sessions.get(call)
        why_not = session.why_no_transfer if session else "there is no such call"
        if not why_not:
            self._feed(call, TransferWanted(to, mode))
        return why_not

    async def close(self, grace_s: float = 5.0) -> None:
        """Refuses new calls, ends those that stand, and waits until each is in the record."""
        self._closing = True
        for call in list(self._sessions):
            self._feed(call, Shutdown())
        try:
            await asyncio.wait_for(self._empty.wait(), grace_s)
        except TimeoutError:
            for session in list(self._sessions.values()):
                self._perform(session, session.crash("not closed in time", self._clock()))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- sessions ---

    def _on_incoming(self, incoming: sip.Incoming) -> None:
        log.info(
            "< INVITE from %s (%s) to %s, trunk %s",
            *(incoming.from_uri, incoming.source, incoming.request_uri, incoming.trunk),
            extra={"call": incoming.call},
        )
        if self._switchboard is None:
            self.line.send(sip.Refuse(call=incoming.call, status=480))
            return
        if replaced := self._sessions.get(self._legs.call_of(incoming.replaces)) if incoming.replaces else None:
            self._legs.add(incoming.call, replaced.call)
            self._feed_session(replaced, incoming)
            return
        session = self._switchboard.inbound(incoming, self._clock(), _utc_now())
        stopping = End(Blame.SERVER, "shutdown", 503, "the bridge is stopping", 5)
        end = stopping if self._closing else self._switchboard.admit(incoming)
        if end is not None:
            self._admit(session, lambda now: session.refuse(end, now))
        else:
            self._admit(session, session.start)

    def _admit(self, session: Session, begin: Callable[[float], list[Command]]) -> None:
        self._sessions[session.call] = session
        self._empty.clear()
        self._ledger.opened(session.record)
        self._step(session, begin, "its start")

    def _feed(self, call: str, received: Input) -> None:
        session = self._sessions.get(call)
        if session is None:
            log.debug("< %s for a call that is over", type(received).__name__, extra={"call": call})
            return
        self._feed_session(session, received)

    def _feed_session(self, session: Session, received: Input) -> None:
        level = logging.DEBUG if isinstance(received, QUIET) else logging.INFO
        if log.isEnabledFor(level):
            log.log(level, "< %s", describe(received), extra={"call": session.call})
        self._watch(session.call, received)
        self._step(session, lambda now: session.feed(received, now), type(received).__name__)

    def _step(self, session: Session, step: Callable[[float], list[Command]], what: str) -> None:
        before, now = session.state, self._clock()
        try:
            commands = step(now)
        except Exception:  # around one call: a bug of ours ends it and leaves the others alone
            log.exception("! bug in %r at %s", session, what, extra={"call": session.call})
            commands = session.crash(f"at {what}", now)
        if session.state is not before:
            log.info("= %s", session.state.name, extra={"call": session.call})
        session.record.platform = session.platform  # should nobody come to end this call: it is known who had it
        self._ledger.moved(session.record)
        self._perform(session, commands)

    # --- commands ---

    def _perform(self, session: Session, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case ToSip(message):
                    self._log_out(session, message)
                    if isinstance(message, sip.Dial):
                        self._legs.add(message.call, session.call)
                    self._ledger.send(session.record, message)
                case ToWorker(wire.OpenCall() as message):
                    self._log_out(session, message)
                    self._open(session, message)
                case ToWorker(message):
                    self._log_out(session, message)
                    self.workers.send(session.call, message)
                case CreatePlatform():
                    self._spawn(session, self._create(session, command))
                case AbandonPlatform(platform, reference):
                    log.info(
                        *("> %s call %s is left to its join time-out", platform, reference),
                        extra={"call": session.call},
                    )
                case TakeTrunk():
                    self._take(session, command)
                case TellTrunks(outcome):
                    self._legs.trunks.on_outcome(outcome)
                case FindWays(number, to, trunk):
                    self._feed_soon(session.call, WaysFound(number, ways_to(self._legs.trunks, to, trunk)))
                case PlaceBeside():
                    self._place_beside(session, command)
                case TellCall(call, received):
                    self._feed_soon(call, received)
                case Arm(timer, after_ms):
                    handle = asyncio.get_running_loop().call_later(after_ms / 1000, self._feed, session.call, timer)
                    self._timers.setdefault(session.call, []).append(handle)
                case WriteRecord(record):
                    self._close_session(session, record)

    def _open(self, session: Session, message: wire.OpenCall) -> None:
        try:
            session.record.worker = self.workers.place(session.call, session.beside)
        except MediaError as error:
            failed = wire.CallFailed(call=session.call, why=str(error))
            self._feed_soon(session.call, failed)
            return
        self.workers.send(session.call, message)

    def _place_beside(self, session: Session, command: PlaceBeside) -> None:
        """For a transfer that the peer will not do: a call to the target, to be joined with this one."""
        settings, call = session.settings, command.call
        if settings.recording:
            settings = replace(settings, recording=str(Path(settings.recording).with_name(f"{call}.wav")))
        now, started_at = self._clock(), _utc_now()
        beside = PairedSession(call, session.call, command.to, command.ways, settings, now, started_at)
        self._admit(beside, beside.start)

    def _feed_soon(self, call: str, received: Input) -> None:
        """Not at once: whoever asks is still in the middle of its own step."""
        asyncio.get_running_loop().call_soon(self._feed, call, received)

    def _take(self, session: Session, command: TakeTrunk) -> None:
        why_not = self._legs.take(command.leg, session.call, command.trunk)
        self._feed_soon(session.call, TrunkFull(command.attempt, why_not) if why_not else TrunkTaken(command.attempt))

    async def _create(self, session: Session, command: CreatePlatform) -> None:
        name, number = command.platform, command.attempt
        log.info("> create call at %s", name)
        received: Input
        try:
            self._check_cap(session, name)
            created = await self.platforms[name].create(self._facts(session))
            received = PlatformCreated(number, created.spec, created.reference)
        except PlatformError as error:
            received = PlatformRefused(number, error.end())
        except Exception:  # around one call: an adapter's bug is that platform's failure, the next one is tried
            log.exception("! bug in the adapter of %s", name)
            end = End(Blame.SERVER, "internal-error", 503, f"{name}: adapter failed", 5, try_next=True)
            received = PlatformRefused(number, end)
        # Not by name: the session may be over and out of the registry, and must still give the platform's call up.
        self._feed_session(session, received)

    def is_full(self, platform: str) -> bool:
        """Our own cap on calls at once is reached."""
        cap = self._switchboard.max_calls(platform) if self._switchboard else 0
        return 0 < cap <= sum(one.platform == platform for one in self._sessions.values())

    def _check_cap(self, session: Session, platform: str) -> None:
        cap = self._switchboard.max_calls(platform) if self._switchboard else 0
        if cap and sum(one.platform == platform for one in self._sessions.values()) > cap:
            raise PlatformBusy(platform, f"our own cap of {cap} calls at once is reached")

    @staticmethod
    def _facts(session: Session) -> CallFacts:
        record, choice = session.record, session.near.choice
        is_ringing = session.state is State.RINGING
        return CallFacts(
            call=session.call,
            caller=record.caller,
            dialled=record.dialled,
            context=session.context,
            codec=choice.codec if choice else "",
            wait_ms=session.trunks.ring_ms if isinstance(session, OutboundSession) and is_ringing else 0,
        )

    def _close_session(self, session: Session, record: CallRecord) -> None:
        self._ledger.closed(record)
        for handle in self._timers.pop(session.call, []):
            handle.cancel()
        self.workers.release(session.call)
        self._sessions.pop(session.call, None)
        self._legs.forget(session.call)
        log.info("= ended %s", summary(record), extra={"call": session.call})
        if not self._sessions:
            self._empty.set()
        waiting = self._ends.pop(session.call, None)
        if waiting and not waiting.done():
            waiting.set_result(record)

    def _spawn(self, session: Session, work: Coroutine[Any, Any, None]) -> None:
        token = current_call.set(session.call)
        task = asyncio.create_task(work)
        current_call.reset(token)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _log_out(self, session: Session, message: sip.Command | wire.Command) -> None:
        log.info("> %s", describe(message), extra={"call": session.call})


def new_call() -> str:
    """A name that no other call has, here or in another bridge on the same store."""
    return secrets.token_hex(8)


def _utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
