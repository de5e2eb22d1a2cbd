"""The keeper of the trunks: looks up where partners are, probes them, and says which of them carries a call.

    DNS  ----------->  TrunkKeeper  --SetTargets, Probe-->  sip process
    sip process  --Probed, Registration-->  TrunkKeeper  --TrunkEvent-->  store
    desk  --choices, take, release, on_outcome-->  TrunkKeeper            (bridge.calls.trunks has the seam)

The shell around `bridge.trunks.partner`, which decides. One timer for all partners, one task for each look-up. Nothing
here touches a call that stands.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from bridge.calls.trunks import Choices, TrunkOutcome, Wanted
from bridge.calls.words import LineLost
from bridge.config import TrunkSection
from bridge.errors import Blame, End
from bridge.records import CallRecord, Cost, TrunkEvent
from bridge.routing.breaker import State
from bridge.routing.price import cost
from bridge.routing.ranking import CallFacts, rank
from bridge.trunks.accounts import account
from bridge.trunks.agenda import Agenda
from bridge.trunks.lookup import MOST_TTL_S, Answer, Directory, Found, LookUpFailed
from bridge.trunks.partner import Partner, spread
from bridge.trunks.states import TrunkState, state_of
from bridge.trunks.ways import number_of, way
from sip import messages as sip

log = logging.getLogger(__name__)

SHORTEST_SLEEP_S = 0.01
ONE_WAY_AFTER_S = 6.0
"An answered call as long as this in which we heard nothing was deaf. Shorter ones may just have been hung up."
TRUNKS_SET_S = 3.0
MOST_WAYS = 16
"Nobody tries more for one call."
STATES = {"up", "down", "half-open", "registered", "refused", "unreachable", "unregistered"}
TROUBLE = {"down", "refused", "unreachable", "target-down", "lookup-failed", "problem"}


class Line(Protocol):
    """What is needed of the sip process."""

    def send(self, message: sip.Command) -> bool: ...


@dataclass(frozen=True, slots=True)
class Changes:
    """What a reload did, by names."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class TrunkKeeper:
    def __init__(
        self,
        trunks: Iterable[TrunkSection],
        line: Line,
        directory: Directory,
        tell: Callable[[TrunkEvent], object] = lambda event: None,
        *,
        our_host: str = "127.0.0.1",
        clock: Callable[[], float] = time.monotonic,
        roll: Callable[[], float] = random.random,
    ) -> None:
        """`tell` hears what happens to trunks. `our_host`: in our identity where a trunk has no domain for us."""
        self._line, self._directory, self._tell = line, directory, tell
        self._our_host, self._clock, self._roll = our_host, clock, roll
        now = clock()
        self._partners = {section.name: Partner(section, now, roll) for section in trunks}
        self._gone: dict[str, Partner] = {}
        "Removed by a reload, and calls of theirs still stand or wait for their price."
        self._inbound: dict[str, str] = {}
        "Calls that came in, and their trunk."
        self._decisions = 0
        self._line_is_up = False
        self._running = False
        self._agenda = Agenda()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._look_ups: dict[str, asyncio.Task[None]] = {}
        self._trunks_set: asyncio.Future[tuple[str, ...]] | None = None
        spread(self._partners.values())
        for partner in self._partners.values():
            self._address_known(partner, now)

    def __len__(self) -> int:
        return len(self._partners)

    # --- life ---

    def start(self) -> None:
        """Names are looked up from here on, whether the line is up or not."""
        self._running = True
        self._step_all()

    async def stop(self) -> None:
        """May be called twice."""
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
        tasks = list(self._look_ups.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def accounts(self, environ: Mapping[str, str]) -> list[sip.TrunkAccount]:
        """For the SIP stack, as they are now. Raises SecretMissing."""
        return [account(one.section, environ, one.targets) for one in self._partners.values()]

    # --- what the sip process tells ---

    def on_sip(self, event: sip.AnyEvent | LineLost) -> None:
        now = self._clock()
        match event:
            case sip.Started():
                self._line_is_up = True
                for one in self._partners.values():
                    one.forget_probes(now)
                    self._set_targets(one)
                self._step_all()
            case LineLost():
                self._line_is_up = False
            case sip.Probed():
                if partner := self._partners.get(event.trunk):
                    if partner.on_probed(event, now) and partner.health.registers:
                        self._line.send(sip.Renew(trunk=partner.name, target=event.target))
                    self._step(partner)
            case sip.Registration():
                if partner := self._partners.get(event.trunk):
                    partner.on_registration(event, now)
                    self._step(partner)
            case sip.Ended():
                self._over(event.call)
            case sip.AboveRate():
                if partner := self._partners.get(event.trunk):
                    partner.limiter.refused += event.count
            case sip.TrunksSet():
                self._on_trunks_set(event)

    # --- the desk's questions (bridge.calls.trunks.Trunks) ---

    def choices(self, wanted: Wanted) -> Choices:
        self._step_due()  # what time alone has changed counts, and is told
        now = self._clock()
        self._decisions += 1
        # The name feeds the dice of RFC 2782's weights: no call has one yet.
        facts = CallFacts(
            call=f"{wanted.number}#{self._decisions}",
            number=number_of(wanted),
            trunk=wanted.trunk,
            region=wanted.region,
        )
        ranking = rank(facts, [partner.facts(now, facts.number) for partner in self._partners.values()])
        for one in ranking.left_out:
            if one.is_full:
                self._partners[one.trunk].limiter.refused += 1
        left_out = tuple(f"{one.trunk}: {one.why}" for one in ranking.left_out)
        if wanted.trunk and wanted.trunk not in self._partners:
            left_out = (f"{wanted.trunk}: there is no trunk of this name", *left_out)
        ways = tuple(
            way(choice, self._partners[choice.trunk].section, wanted, facts.number, self._our_host)
            for choice in ranking.choices[:MOST_WAYS]
        )
        log.info(
            "= call to %s: %s; left out: %s",
            wanted.number,
            "; ".join(f"{one.trunk} ({', '.join(one.because)})" for one in ways) or "no trunk",
            "; ".join(left_out) or "none",
        )
        waits = [full.retry_after_s for one in self._partners.values() if (full := one.limiter.full(now))]
        return Choices(
            ways=ways,
            left_out=left_out,
            is_carried=ranking.is_carried,
            is_full=ranking.is_full,
            retry_after_s=min(waits, default=1) if ranking.is_full else 0,
        )

    def take(self, trunk: str) -> str:
        """Room for one more call, now. Empty when there is and it is taken, else why not."""
        partner, now = self._partners.get(trunk), self._clock()
        if partner is None:
            return "" if not trunk else "there is no trunk of this name any more"
        partner.look(now)
        breaker = partner.health.breaker
        if (refusal := breaker.refusal(now)) and breaker.state is State.HALF_OPEN:
            return refusal
        if full := partner.limiter.take(now):
            return full.why
        breaker.on_trial(now)
        return ""

    def release(self, trunk: str) -> None:
        if partner := self._any(trunk):
            partner.limiter.release()

    def on_outcome(self, outcome: TrunkOutcome) -> None:
        if partner := self._partners.get(outcome.trunk):
            partner.on_outcome(outcome, self._clock())
            self._step(partner)

    def cost(self, trunk: str, duration_s: float) -> Cost | None:
        partner = self._any(trunk)
        return cost(duration_s, partner.price) if partner and partner.price else None

    # --- calls that come in ---

    def admit(self, call: str, trunk: str) -> End | None:
        """None: there is room, and it is taken until the call ends. Other trunks never feel this one's crowd."""
        partner = self._partners.get(trunk)
        if partner is None:
            return None
        full = partner.limiter.take(self._clock(), inbound=True)
        if full is None:
            self._inbound[call] = trunk
            return None
        status = 503 if full.is_rate else 486
        return End(Blame.CLIENT, "trunk-full", status, f"trunk {trunk}: {full.why}", full.retry_after_s)

    def on_record(self, record: CallRecord) -> None:
        """A call is over, and what was heard of it counts."""
        self._over(record.call)  # known already, unless the sip process has died before it could say so
        partner = self._partners.get(record.trunk)
        if partner is not None and record.media is not None and record.duration_s >= ONE_WAY_AFTER_S:
            partner.on_audio(both_ways=record.media.near.received > 0, now=self._clock())
            self._step(partner)

    def _over(self, call: str) -> None:
        if trunk := self._inbound.pop(call, ""):
            self.release(trunk)

    # --- reload ---

    def reload(self, trunks: Iterable[TrunkSection]) -> Changes:
        """New settings. Calls that stand are not touched; what is known of unchanged partners is kept."""
        now, before = self._clock(), self._partners
        self._partners = {}
        added, changed, fresh = [], [], []
        for section in trunks:
            old = before.get(section.name)
            if old is not None and old.section == section:
                self._partners[section.name] = old
                continue
            partner = Partner(section, now, self._roll)
            if old is not None:
                partner.inherit(old, now)
                changed.append(section.name)
            else:
                if gone := self._gone.pop(section.name, None):
                    partner.inherit(gone, now)
                added.append(section.name)
            self._partners[section.name] = partner
            fresh.append(partner)
        spread(self._partners.values())
        for partner in fresh:
            self._address_known(partner, now)
        removed = [name for name in before if name not in self._partners]
        self._gone |= {name: before[name] for name in removed}
        self._gone = {name: one for name, one in self._gone.items() if one.limiter.calls}
        for name in (*changed, *removed):
            if task := self._look_ups.pop(name, None):
                task.cancel()
        for kind, names in (("added", added), ("reloaded", changed), ("removed", removed)):
            for name in names:
                self._note(name, kind)
        for name in removed:
            self._agenda.put(name, None)
        self._step_all()
        return Changes(tuple(added), tuple(changed), tuple(removed))

    async def trunks_set(self, send: Callable[[], object]) -> tuple[str, ...]:
        """`send` gives the stack its new list; the answer is what the stack has against it."""
        self._trunks_set = asyncio.get_running_loop().create_future()
        send()
        try:
            return await asyncio.wait_for(self._trunks_set, TRUNKS_SET_S)
        except TimeoutError:
            return ("the sip process has not answered yet: it takes the new trunks when it is up",)
        finally:
            self._trunks_set = None

    # --- for those who look ---

    def states(self) -> list[TrunkState]:
        now = self._clock()
        return [state_of(partner, now) for partner in self._partners.values()]

    @property
    def can_be_called(self) -> bool:
        """Whether calls could come in at all: from a peer, or over a registration that stands."""
        return any(
            not one.not_in_stack and (not one.health.registers or one.health.registration == "registered")
            for one in self._partners.values()
        )

    def troubles(self) -> list[str]:
        """A sentence for each trunk that carries no calls just now."""
        return [f"trunk {one.name} is down: {why}" for one in self._partners.values() if (why := one.why_down())]

    # --- the shell's own work ---

    def _step(self, *partners: Partner) -> None:
        """Whatever is due for them is done, news are told, and the timer is set for what comes next."""
        now = self._clock()
        for partner in partners:
            partner.look(now)
            if self._running and partner.look_up_at is not None and partner.look_up_at <= now:
                self._look_up(partner)
            if self._line_is_up:
                for probe in partner.due_probes(now):
                    self._line.send(probe)
            for news in partner.take_news():
                self._note(partner.name, news.kind, news.detail, news.target, news.status)
            if self._partners.get(partner.name) is partner:
                self._agenda.put(partner.name, partner.next_deadline(self._line_is_up))
        self._rearm(now)

    def _step_due(self) -> None:
        self._timer_at = math.inf
        due = [self._partners[name] for name in self._agenda.due(self._clock()) if name in self._partners]
        self._step(*due)

    def _step_all(self) -> None:
        self._step(*self._partners.values())

    def _rearm(self, now: float) -> None:
        at = self._agenda.next()
        if not self._running or at is None or at >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        wait_s = max(SHORTEST_SLEEP_S, at - now)
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._step_due)

    def _look_up(self, partner: Partner) -> None:
        partner.look_up_at = None
        task = asyncio.create_task(self._ask(partner), name=f"look-up {partner.name}")
        self._look_ups[partner.name] = task

    async def _ask(self, partner: Partner) -> None:
        assert partner.place is not None
        try:
            answer = await self._directory.look_up(partner.place)
        except LookUpFailed as error:
            partner.on_look_up_failed(str(error), self._clock())
        else:
            moved = partner.on_answer(answer, self._clock())
            if moved and self._partners.get(partner.name) is partner:
                self._set_targets(partner)
        self._step(partner)

    def _address_known(self, partner: Partner, now: float) -> None:
        """An address needs no question: the partner can be called from the first moment on."""
        if partner.place is not None and partner.place.is_address:
            partner.on_answer(Answer((Found(partner.place.at(partner.place.host)),), MOST_TTL_S), now)

    def _set_targets(self, partner: Partner) -> None:
        if self._line_is_up and partner.targets:
            self._line.send(sip.SetTargets(trunk=partner.name, targets=partner.targets))

    def _on_trunks_set(self, event: sip.TrunksSet) -> None:
        for problem in event.problems:
            log.error("! %s", problem)
        for one in self._partners.values():
            if one.set_missing(event.missing.get(one.name, "")):
                self._set_targets(one)
        self._step_all()
        if self._trunks_set is not None and not self._trunks_set.done():
            self._trunks_set.set_result(event.problems)

    def _any(self, trunk: str) -> Partner | None:
        return self._partners.get(trunk) or self._gone.get(trunk)

    def _note(self, trunk: str, kind: str, detail: str = "", target: str = "", status: int = 0) -> None:
        is_trouble = kind in TROUBLE
        log.log(
            logging.WARNING if is_trouble else logging.INFO,
            *("%s trunk %s%s%s%s%s", "!" if is_trouble else "=", trunk),
            *(" is " if kind in STATES else ": ", kind),
            *(f": {detail}" if detail else "", f" ({target})" if target else ""),
        )
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._tell(TrunkEvent(at=at, trunk=trunk, kind=kind, detail=detail, target=target, status=status))
