"""One trunk's registration (RFC 3261, 10.2): when to ask whom, and what the answers mean. Pure: no stack, no clock.

    start ──► ask the best target ──2xx──► registered ──70-90 % of the time granted──► ask the same target
                  │    ▲                       │ its connection is lost, or it is no target any more: ask at once
                  │    └── next target ◄───────┘
        dead      ├──► next target at once; after the last one: wait with dice, then from the best
        refused   ├──► wait with dice, from a head start (a wrong password is wrong everywhere)
        423       └──► ask again for what they want at least, twice and no more

Each question makes those before it void: an answer that comes too late is not heard.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sip.messages import Registration, Target, TrunkAccount
from sip.trunks import host_of, targets_of

REFUSED = frozenset({401, 403, 404, 407})
"Answers of a registrar that mean our credentials or our account: waiting does not mend them, an operator does."
REFUSED_HEAD_START = 3
"Refused registrations start their back-off here: hammering with a wrong password gets an address banned."
INTERVAL_TOO_BRIEF = 423
MOST_REPEATS = 2
"After a 423 in one attempt. Once is enough for a registrar that knows what it wants."
LONGEST_EXPIRES_S = 86_400
"Asked for or believed, whatever a registrar says: as much as settings may want."
IMPATIENT_MS = 2000
"How long a target is waited for while there is another one to ask."
LONGEST_RETRY_AFTER_S = 600
"What a registrar may ask for. A slip of its finger must not take the trunk away for years."
SPREAD_S = 0.5
"What moves many registrations at once (a new target, a lost connection) moves each of them within this time."
SHORTEST_REFRESH_S = 1.0

State = Literal["registered", "refused", "unreachable", "unregistered"]


@dataclass(frozen=True, slots=True)
class Question:
    """One REGISTER to be sent."""

    target: Target
    expires_s: int
    "0: the registration is given back."
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    reason: str
    expires_s: int = 0
    "Granted, of a 2xx."
    min_expires_s: int = 0
    "Of a 423."
    retry_after_s: int = 0


def retry_in(failures: int, first_s: float, roll: Callable[[], float] = random.random) -> float:
    """Seconds to wait before registering again after so many failures in a row (RFC 5626, 4.5)."""
    return min(60.0, 2.0 ** min(failures - 1, 6)) * first_s * (0.5 + roll() / 2)


def refresh_in(expires_s: int, roll: Callable[[], float] = random.random) -> float:
    """Seconds until a registration is renewed: early enough for a second try, and not with all others at once."""
    return max(SHORTEST_REFRESH_S, round(expires_s * (0.7 + 0.2 * roll()), 1))


class Registrar:
    """Keeps one trunk registered at one of its targets."""

    def __init__(
        self,
        trunk: TrunkAccount,
        ask: Callable[[Question, Callable[[Answer], None]], None],
        emit: Callable[[Registration], None],
        later: Callable[[float, Callable[[], None]], object],
        *,
        patience_ms: int = 8000,
        roll: Callable[[], float] = random.random,
    ) -> None:
        """`ask` sends a question and calls back once. `patience_ms`: how long the last target to be tried is given."""
        self._trunk, self._ask_stack, self._emit, self._later, self._roll = trunk, ask, emit, later, roll
        self._patience_ms = patience_ms
        self._targets = targets_of(trunk)
        self._expires_s = trunk.expires_s
        self._turn = 0
        "Of the latest question or wait."
        self._is_asking = False
        self._failures = self._repeats = 0
        self._tried: list[Target] = []
        "Since the last success or wait."
        self._is_leaving = self._says_goodbye = False
        self._told: tuple[object, ...] = ()
        self.target: Target | None = None
        "Who was asked last."
        self.is_registered = False
        "As far as the registrar has told us: true until it has confirmed that we left."

    @property
    def is_quiet(self) -> bool:
        """Nothing is left to be given back."""
        return not self.is_registered and not self._says_goodbye

    def start(self, within_s: float = 0.0) -> None:
        """`within_s`: of many that start together, each takes its own moment of this time."""
        self._wait(self._roll() * within_s, self._ask_best)

    def set_targets(self, targets: tuple[Target, ...]) -> None:
        """Best first. Who was asked and is not among them any more is left at once."""
        new = tuple(target for target in targets if target not in self._targets)
        self._targets = targets
        if self._is_leaving or not targets:
            return
        in_use = self.target is not None and (self.is_registered or self._is_asking)
        if (in_use and self.target not in targets) or (not in_use and new):
            self.start(SPREAD_S)

    def change(self, trunk: TrunkAccount) -> None:
        """Other settings of the same account, e.g. its password: used at once."""
        self._trunk, self._expires_s = trunk, trunk.expires_s
        self._targets = targets_of(trunk)
        self._failures, self._told = 0, ()
        self.start(SPREAD_S)

    def on_connection_lost(self) -> None:
        """Over which it is registered: calls to us come in over it."""
        if self.is_registered and not self._is_leaving:
            self._wait(self._roll() * SPREAD_S, self._renew)

    def on_back(self, target: Target) -> None:
        """It lives again, perhaps after a restart: it may not know us any more, and our wait may be a long one."""
        if not self._is_leaving and not self._is_asking and (target == self.target or not self.is_registered):
            self._wait(self._roll() * SPREAD_S, self._renew if self.is_registered else self._ask_best)

    def leave(self) -> None:
        """The registration is given back: nothing is to be tried again."""
        if self._is_leaving:
            return
        self._is_leaving = True
        self._turn += 1
        if self.target is not None and (self.is_registered or self._is_asking):
            self._says_goodbye = True
            self._ask_stack(Question(self.target, 0, self._patience_ms), self._on_goodbye)

    def _on_goodbye(self, answer: Answer) -> None:
        self.is_registered = self._says_goodbye = False
        self._tell("unregistered", answer)

    # --- asking

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._turn += 1
        turn, self._is_asking = self._turn, False
        self._later(seconds, lambda: then() if turn == self._turn else None)

    def _ask_best(self) -> None:
        self._tried, self._repeats = [], 0
        if self._targets:
            self._ask(self._targets[0])
        else:
            name = host_of(self._trunk.proxy or self._trunk.registrar)
            self.target = None
            self._on_failure("unreachable", Answer(503, f"no address of {name} is known"))

    def _renew(self) -> None:
        """At the same target, if it is one still."""
        self._tried, self._repeats = [], 0
        if self.target in self._targets and self.target is not None:
            self._ask(self.target)
        else:
            self._ask_best()

    def _untried(self) -> Target | None:
        return next((target for target in self._targets if target not in self._tried), None)

    def _ask(self, target: Target) -> None:
        self._turn += 1
        turn, self._is_asking, self.target = self._turn, True, target
        self._tried.append(target)
        timeout_ms = IMPATIENT_MS if self._untried() else self._patience_ms
        self._ask_stack(
            Question(target, self._expires_s, timeout_ms),
            lambda answer: self._on_answer(answer) if turn == self._turn else None,
        )

    # --- being answered

    def _on_answer(self, answer: Answer) -> None:
        self._is_asking = False
        least_s = min(answer.min_expires_s, LONGEST_EXPIRES_S)
        is_brief = answer.status == INTERVAL_TOO_BRIEF and least_s > self._expires_s
        if answer.status // 100 == 2 and answer.expires_s > 0:
            self.is_registered, self._failures = True, 0
            self._wait(refresh_in(answer.expires_s, self._roll), self._renew)
            self._tell("registered", answer)
        elif is_brief and self._repeats < MOST_REPEATS and self.target:
            self._repeats += 1
            self._expires_s = least_s
            self._ask(self.target)
        elif answer.status in REFUSED or answer.status >= 600:
            self._on_failure("refused", answer)
        elif answer.status // 100 == 2:
            self._on_failure("refused", dataclasses.replace(answer, reason=f"{answer.reason}, but for 0 seconds"))
        elif other := self._untried():
            self.is_registered, self._expires_s = False, self._trunk.expires_s
            self._tell("unreachable", answer)
            self._ask(other)
        else:
            self._on_failure("unreachable", answer)

    def _on_failure(self, state: State, answer: Answer) -> None:
        self.is_registered, self._expires_s = False, self._trunk.expires_s
        self._failures = max(self._failures + 1, REFUSED_HEAD_START if state == "refused" else 1)
        asked_s = min(answer.retry_after_s, LONGEST_RETRY_AFTER_S)
        wait_s = round(max(retry_in(self._failures, self._trunk.retry_s, self._roll), asked_s), 1)
        self._wait(wait_s, self._ask_best)
        self._tell(state, answer, wait_s)

    def _tell(self, state: State, answer: Answer, retry_in_s: float = 0.0) -> None:
        """A renewal as expected is no news."""
        news = (state, self.target, answer.status, answer.expires_s)
        if state == "registered" and news == self._told:
            return
        self._told = news
        self._emit(
            Registration(
                trunk=self._trunk.name,
                state=state,
                status=answer.status,
                reason=answer.reason,
                expires_s=answer.expires_s,
                retry_in_s=retry_in_s,
                target=self.target,
            )
        )
