"""A breaker: may this target be used just now? Opens fast, closes slowly, and ever more slowly for what flaps. Pure.

              three calls fail in a row, or trip(), or hold()
    CLOSED ----------------------------------------------------> OPEN <-----------+
      ^                                                           |               | a trial fails, trip(), hold()
      |  enough trials succeeded, or (if no call was              | the wait is   |
      |  to blame) probes went well for a while                   | over, enough  |
      +------------------------------------- HALF_OPEN <----------+ good probes --+

The wait doubles with every opening and is forgiven only after a long time closed: a target that comes and goes is
left alone for minutes, and does not drag our calls to and fro. In HALF_OPEN one call at a time is let through.

It serves trunks and platforms alike: it knows calls, probes and `now`, nothing else. Nothing it does ends a call.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    CLOSED = "up"
    OPEN = "down"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    failures: int = 3
    "So many failed calls in a row open it."
    first_wait_s: float = 5.0
    "After the first opening. Doubled at each one that follows."
    longest_wait_s: float = 600.0
    forgive_s: float = 300.0
    "Closed for so long: one opening is forgotten."
    good_probes: int = 3
    "In a row, before a trial; where there are probes at all."
    trials: int = 2
    "Successful calls in a row that close it."
    settle_s: float = 10.0
    "Half open without a setback for so long closes it too, unless calls were what opened it."
    trial_s: float = 60.0
    "A trial that nobody reports on is given up."


@dataclass(frozen=True, slots=True)
class Change:
    state: State
    because: str


class Breaker:
    """Every method that may move it takes `now` (monotonic seconds) and the moves are collected in `changes`."""

    def __init__(
        self, policy: Policy | None = None, *, has_probes: bool = True, held: tuple[str, str] | None = None
    ) -> None:
        """`held`: the cause and the reason of a hold it begins with, which is no failure: lifted, it is closed."""
        self.policy = policy or Policy()
        self.has_probes = has_probes
        self.state = State.OPEN if held else State.CLOSED
        self.because = held[1] if held else ""
        "Why it is not closed; why it was closed again."
        self.openings = 0
        "Not forgiven yet."
        self.changes: list[Change] = []
        "For whoever tells about them; he empties it."
        self._holds: dict[str, str] = dict([held]) if held else {}
        self._since = 0.0
        self._failures = 0
        self._good_probes = 0
        self._good_trials = 0
        self._needs_trial = False
        self._trial_since: float | None = None

    def __repr__(self) -> str:
        return f"<Breaker {self.state.value}{f': {self.because}' if self.because else ''}>"

    # --- facts in ---

    def hold(self, cause: str, why: str, now: float) -> None:
        """Open, and no trial before `lift(cause)`: it is known to be of no use."""
        self._holds[cause] = why
        if self.state is not State.OPEN:
            self._open(why, now, calls=False)
        else:
            self.because = self._why_held()

    def lift(self, cause: str, now: float) -> None:
        """Does nothing when there was no such hold."""
        if self._holds.pop(cause, None) is None:
            return
        if self._holds:
            self.because = self._why_held()
        elif self.openings == 0 and self.state is State.OPEN:
            self._close("ready", now)
        self.look(now)

    def trip(self, why: str, now: float, *, calls: bool = True) -> None:
        """Open at once. `calls`: what happened to calls is the reason, so only a call can prove it mended."""
        self.look(now)
        if self.state is not State.OPEN:
            self._open(why, now, calls=calls)

    def on_failure(self, why: str, now: float) -> None:
        """A call has failed, and the target is to blame."""
        self.look(now)
        self._failures += 1
        if self.state is State.HALF_OPEN:
            self._open(f"trial call: {why}", now, calls=True)
        elif self.state is State.CLOSED and self._failures >= self.policy.failures:
            self._open(f"{self._failures} calls in a row failed, the last one: {why}", now, calls=True)

    def on_success(self, now: float) -> None:
        """A call has got through. One that was placed before the opening proves nothing about it."""
        self.look(now)
        self._failures = 0
        if self.state is not State.HALF_OPEN:
            return
        self._trial_since = None
        self._good_trials += 1
        if self._good_trials >= self.policy.trials:
            self._close(f"{self._good_trials} trial calls got through", now)

    def on_probe(self, is_good: bool, now: float) -> None:
        """How many lost probes are too many is the caller's business: he says so by `hold` or `trip`."""
        self._good_probes = self._good_probes + 1 if is_good else 0
        if not is_good and self.state is State.HALF_OPEN:
            self._open("a probe was lost", now, calls=self._needs_trial)
        self.look(now)

    def on_trial(self, now: float) -> None:
        """A call is about to be placed; `on_success`, `on_failure` or `on_trial_over` is to follow."""
        if self.state is State.HALF_OPEN:
            self._trial_since = now

    def on_trial_over(self) -> None:
        """The trial proved nothing: busy, cancelled."""
        self._trial_since = None

    # --- questions ---

    def refusal(self, now: float) -> str:
        """Why no call should be placed now; empty when one may be."""
        self.look(now)
        if self.state is State.OPEN:
            return self.because
        if self.state is State.HALF_OPEN and self._trial_since is not None:
            if now - self._trial_since < self.policy.trial_s:
                return "a trial call is under way"
            self._trial_since = None
        return ""

    @property
    def is_held(self) -> bool:
        return bool(self._holds)

    @property
    def wait_s(self) -> float:
        """Between this opening and the first trial."""
        return min(self.policy.longest_wait_s, self.policy.first_wait_s * 2.0 ** (max(1, min(self.openings, 20)) - 1))

    def next_look(self) -> float | None:
        """When time alone may move it (`look`); None: only facts can."""
        if self.state is State.OPEN and not self._holds:
            return self._since + self.wait_s
        if self.state is State.HALF_OPEN and not self._needs_trial:
            return self._since + self.policy.settle_s
        if self.state is State.CLOSED and self.openings:
            return self._since + self.policy.forgive_s
        return None

    def look(self, now: float) -> None:
        """What time alone does."""
        match self.state:
            case State.OPEN if not self._holds and now - self._since >= self.wait_s:
                if not self.has_probes or self._good_probes >= self.policy.good_probes:
                    self._move(State.HALF_OPEN, f"was {self.because}", now)
                    self._good_trials, self._trial_since = 0, None
            case State.HALF_OPEN if not self._needs_trial and now - self._since >= self.policy.settle_s:
                self._close(f"well for {self.policy.settle_s:g} s", now)
            case State.CLOSED if self.openings and now - self._since >= self.policy.forgive_s:
                self.openings -= 1
                self._since = now

    def _why_held(self) -> str:
        return "; ".join(self._holds.values())

    # --- moves ---

    def _open(self, why: str, now: float, *, calls: bool) -> None:
        self.openings += 1
        self._good_probes = self._failures = 0
        self._trial_since = None
        # Once calls were to blame it stays so until a call has got through.
        self._needs_trial = calls or (self._needs_trial and self.state is State.HALF_OPEN)
        self._move(State.OPEN, why, now)

    def _close(self, why: str, now: float) -> None:
        self._failures = 0
        self._needs_trial, self._trial_since = False, None
        self._move(State.CLOSED, why, now)

    def _move(self, state: State, because: str, now: float) -> None:
        self.state, self.because, self._since = state, because, now
        self.changes.append(Change(state, because))
