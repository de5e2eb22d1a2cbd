"""One trunk as the keeper knows it: its settings, where it is, how it fares, how full it is. Pure: `now` is told.

look-up   due at the start, when the last answer's time is over, soon after a failure (the last good answer stays)
probes    to each address every `probe_every_s`; a lost one is looked into at once: dead after two
news      what has happened and somebody may want to know; whoever calls takes it away
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

from bridge.calls.trunks import TrunkOutcome
from bridge.config import TrunkSection
from bridge.routing.breaker import State
from bridge.routing.health import CallResult, TrunkHealth
from bridge.routing.limits import Limiter
from bridge.routing.numbers import Number, carries
from bridge.routing.price import price_of
from bridge.routing.ranking import TargetFacts, TrunkFacts
from bridge.trunks.lookup import Answer
from bridge.trunks.places import place_of
from sip import messages as sip
from sip.options import Target

LEAST_PROBE_MS, FIRST_PROBE_MS = 800, 2000
"How long a probe is waited for: room for one lost packet (RFC 3261's T1 is 500 ms) and four round trips."
FORGET_PROBE_S = 1.0
"A probe that the stack has not told about so long after its time was lost with the stack."
FEW_PROBES, PROBE_SPREAD_S, LONGEST_SPREAD_S = 10, 0.01, 2.0
"The first probes of so many trunks go out at once; of more, spread by dice: so long for each, at most so long for all."
LOOK_UP_AGAIN_S = (2.0, 60.0)
"After a failed look-up: first wait, doubled up to the last."


@dataclass(frozen=True, slots=True)
class News:
    """As in `bridge.records.TrunkEvent`."""

    kind: str
    detail: str = ""
    target: str = ""
    status: int = 0


@dataclass(slots=True)
class Probing:
    """The probes of one address."""

    next_at: float
    number: int = 0
    "Of the one under way; 0: none is."
    given_up_at: float = 0.0


class Partner:
    def __init__(self, section: TrunkSection, now: float, roll: Callable[[], float] = random.random) -> None:
        self.section, self._roll = section, roll
        self.place = place_of(section)
        self.price = price_of(section.price_per_minute, section.currency, section.billing)
        has_probes = section.probe_every_s > 0 and self.place is not None
        self.health = TrunkHealth(registers=section.kind == "register", has_probes=has_probes)
        self.limiter = Limiter(section.max_calls, section.calls_per_s)
        self.answer: Answer | None = None
        "The last good one."
        self.look_up_error = ""
        "Of the last look-up; empty when it was good."
        self.first_probe_within_s = 0.0
        "Of many partners that are probed for the first time together each takes its own moment of this time."
        self.not_in_stack = ""
        "Why the SIP stack has no such trunk; empty: it has it, as far as is known."
        self.look_up_at: float | None = now if self.place else None
        "None: never (again), or one is under way."
        self.outcomes: Counter[str] = Counter()
        self.news: list[News] = []
        self._look_up_failures = 0
        self._probing: dict[Target, Probing] = {}
        self._probes = 0

    def __repr__(self) -> str:
        return f"<Partner {self.section.name} {self.health.breaker.state.value} {self.limiter.calls} calls>"

    @property
    def name(self) -> str:
        return self.section.name

    @property
    def targets(self) -> tuple[Target, ...]:
        return tuple(one.target for one in self.answer.found) if self.answer else ()

    def inherit(self, old: Partner, now: float) -> None:
        """After a reload: calls that stand count on; if it is the same partner, all that was learnt of it is kept."""
        self.limiter = Limiter(self.section.max_calls, self.section.calls_per_s, calls=old.limiter.calls)
        self.limiter.refused = old.limiter.refused
        self.outcomes, self.not_in_stack = old.outcomes, old.not_in_stack
        if _identity(self.section) == _identity(old.section):
            self.health, self._probing, self._probes = old.health, old._probing, old._probes
            self.health.has_probes = self.health.breaker.has_probes = self.section.probe_every_s > 0
            self.answer, self.look_up_error, self.look_up_at = old.answer, old.look_up_error, now

    def set_missing(self, why: str) -> bool:
        """`why` the stack has not taken it; empty: it has. True: it has not had it before."""
        before, self.not_in_stack = self.not_in_stack, why
        if why and why != before:
            self._tell("problem", self._unusable())
        elif before and not why:
            self._tell("problem-over", "the stack has it now")
        return bool(before and not why)

    # --- where it is ---

    def on_answer(self, answer: Answer, now: float) -> bool:
        """The look-up has an answer. True: these are other addresses than before."""
        before = self.targets
        if self.look_up_error:
            self._tell("lookup-ok", f"{self.place} is found again")
        self.look_up_error, self._look_up_failures = "", 0
        self.answer = answer
        self.look_up_at = None if self.place and self.place.is_address else now + answer.ttl_s
        if set(self.targets) == set(before):
            return bool(before != self.targets)
        self.health.set_targets(self.targets, now)
        self._probing = {target: self._probing.get(target) or Probing(self._first_at(now)) for target in self.targets}
        if before:
            self._tell("target-changed", f"{_listed(before)} -> {_listed(self.targets)}")
        self._collect()
        return True

    def on_look_up_failed(self, why: str, now: float) -> None:
        if not self.look_up_error:
            kept = f"; its last addresses are kept: {_listed(self.targets)}" if self.targets else ""
            self._tell("lookup-failed", f"{why}{kept}")
        self.look_up_error = why
        first_s, last_s = LOOK_UP_AGAIN_S
        self.look_up_at = now + min(last_s, first_s * 2.0 ** min(self._look_up_failures, 10))
        self._look_up_failures += 1

    # --- probes ---

    def due_probes(self, now: float) -> list[sip.Probe]:
        """Those to be sent now; each is under way from here on."""
        if not self._is_probed:
            return []
        due = []
        for target, probing in self._probing.items():
            if probing.number and now >= probing.given_up_at:
                probing.number = 0  # the stack has died with it: proves nothing
            if probing.number or now < probing.next_at:
                continue
            self._probes += 1
            timeout_ms = self._timeout_ms(target)
            probing.number, probing.next_at = self._probes, now + self._interval_s()
            probing.given_up_at = now + timeout_ms / 1000 + FORGET_PROBE_S
            due.append(sip.Probe(trunk=self.name, target=target, number=self._probes, timeout_ms=timeout_ms))
        return due

    def on_probed(self, probed: sip.Probed, now: float) -> bool:
        """True: this address was dead, and lives again."""
        probing = self._probing.get(probed.target)
        if probing is None or probing.number != probed.number:
            return False  # too late, or from before a reload
        probing.number = 0
        one = self.health.targets[probed.target]
        was_alive = one.is_alive
        good = self.health.on_probe(
            *(probed.target,),
            answered=probed.answered,
            status=probed.status,
            took_ms=probed.took_ms,
            why="does not answer OPTIONS" if probed.status == 408 else probed.why,
            now=now,
        )
        if not good and one.is_alive:
            probing.next_at = now  # look again at once: one lost packet proves nothing, two lost probes do
        if one.is_alive is not was_alive:
            kind, detail = ("target-up", "answers again") if one.is_alive else ("target-down", one.why)
            self.news.append(News(kind, detail, str(probed.target), probed.status if probed.answered else 0))
        self._collect()
        return one.is_alive and not was_alive

    def probe_soon(self, target: Target | None, now: float) -> None:
        """A call has failed there: see whether it is dead."""
        for one, probing in self._probing.items():
            if target in (None, one):
                probing.next_at = min(probing.next_at, now)

    def forget_probes(self, now: float) -> None:
        """The stack has begun anew: nothing is under way."""
        for probing in self._probing.values():
            probing.number, probing.next_at = 0, self._first_at(now)

    def _first_at(self, now: float) -> float:
        return now + self._roll() * min(self.first_probe_within_s, self.section.probe_every_s)

    @property
    def _is_probed(self) -> bool:
        return self.health.has_probes and not self.not_in_stack

    def _interval_s(self) -> float:
        """With dice, so that a hundred trunks do not all knock at the same moment."""
        return self.section.probe_every_s * (0.9 + 0.2 * self._roll())

    def _timeout_ms(self, target: Target) -> int:
        one = self.health.targets[target]
        return int(min(FIRST_PROBE_MS, max(LEAST_PROBE_MS, 4 * one.took_ms))) if one.answered else FIRST_PROBE_MS

    # --- registration and calls ---

    def on_registration(self, event: sip.Registration, now: float) -> None:
        detail = f"{event.status} {event.reason}".strip()
        before = self.health.registration, self.health.registration_detail, self.health.registered_at
        self.health.on_registration(event.state, detail, event.target, now)
        after = self.health.registration, self.health.registration_detail, self.health.registered_at
        if after != before:
            retry = f", again in {event.retry_in_s:g} s" if event.retry_in_s else ""
            self.news.append(News(event.state, detail + retry, str(event.target) if event.target else "", event.status))
        self._collect()

    def on_outcome(self, outcome: TrunkOutcome, now: float) -> None:
        self.outcomes[outcome.outcome or "failed"] += 1
        failed = outcome.counts_against_trunk
        if failed and outcome.target and self.targets and outcome.target not in self.targets:
            self.health.breaker.on_trial_over()  # called where the partner is no more: says nothing of where it is
            return
        delay_ms = outcome.post_dial_delay_ms
        is_busy = outcome.outcome in ("busy", "declined")
        result = CallResult(now, outcome.outcome == "answered", failed, delay_ms, is_busy)
        self.health.on_call(result, outcome.detail or f"SIP {outcome.sip_status}")
        if failed:
            self.probe_soon(outcome.target, now)
        self._collect()

    def on_audio(self, *, both_ways: bool, now: float) -> None:
        self.health.on_audio(both_ways=both_ways, now=now)
        self._collect()

    # --- time, facts, news ---

    def look(self, now: float) -> None:
        self.health.breaker.look(now)
        self._collect()

    def next_deadline(self, probes: bool = True) -> float | None:
        """When something is due by time alone. `probes`: whether they can be sent at all."""
        times = []
        if probes and self._is_probed:
            times = [one.given_up_at if one.number else one.next_at for one in self._probing.values()]
        times += [at for at in (self.look_up_at, self.health.breaker.next_look()) if at is not None]
        return min(times, default=None)

    def facts(self, now: float, number: Number | None = None) -> TrunkFacts:
        """`number`: that is to be called. Where it does not carry that, its health is not worth the look."""
        section, health = self.section, self.health
        full = self.limiter.full(now)
        is_asked = number is None or carries(number, section.countries, section.prefixes)
        trouble, words = health.trouble(now) if is_asked else (0, "")
        return TrunkFacts(
            name=self.name,
            region=section.region,
            countries=section.countries,
            prefixes=section.prefixes,
            role=section.role,
            order=section.order,
            price=self.price,
            refusal=self._unusable() or health.breaker.refusal(now) or self._not_found(),
            may_be_last_resort=bool(self.targets)
            and not self.not_in_stack
            and (not health.registers or health.registration in ("registered", "unreachable")),
            is_full=full.why if full else "",
            trouble=trouble,
            health=words,
            calls=self.limiter.calls,
            max_calls=section.max_calls,
            targets=self._target_facts(),
        )

    def why_down(self) -> str:
        """Why no call goes over it just now, limits apart; empty when one may, on trial perhaps."""
        breaker = self.health.breaker
        return self._unusable() or (breaker.because if breaker.state is State.OPEN else self._not_found())

    def _unusable(self) -> str:
        return f"not in the stack: {self.not_in_stack}" if self.not_in_stack else ""

    def _not_found(self) -> str:
        """Why there is no address to call though there should be one."""
        if self.place is None or self.targets:
            return ""
        return self.look_up_error or f"{self.place} is being looked up"

    def _target_facts(self) -> tuple[TargetFacts, ...]:
        return tuple(
            TargetFacts(
                target=one.target,
                priority=one.priority,
                weight=one.weight,
                is_alive=one.target not in self.health.targets or self.health.targets[one.target].is_alive,
                is_preferred=one.target == self.health.registered_at,
            )
            for one in (self.answer.found if self.answer else ())
        )

    def take_news(self) -> list[News]:
        news, self.news = self.news, []
        return news

    def _tell(self, kind: str, detail: str) -> None:
        self.news.append(News(kind, detail))

    def _collect(self) -> None:
        """The breaker's moves become news."""
        changes, self.health.breaker.changes = self.health.breaker.changes, []
        self.news += [News(change.state.value, change.because) for change in changes]


def spread(partners: Collection[Partner]) -> None:
    """Those who are probed for the first time do not all knock at the same moment."""
    count = len(partners)
    for one in partners:
        one.first_probe_within_s = min(LONGEST_SPREAD_S, PROBE_SPREAD_S * count) if count > FEW_PROBES else 0.0


def _identity(section: TrunkSection) -> tuple[object, ...]:
    """What makes it another partner than before when it changes."""
    return (
        *(section.kind, place_of(section), section.registrar, section.username, section.domain),
        *(section.password_env, section.password_file),
    )


def _listed(targets: tuple[Target, ...]) -> str:
    return ", ".join(map(str, targets)) or "none"
