"""Which trunk carries a call: facts in, a ranked list out, with a reason for every place and every absence. Pure.

The same facts give the same list, so a decision can be replayed from what was written down. Chance (RFC 2782's weights)
is drawn from the call's own name.

    carries the number? -> may be used? -> has room?      else left out, with the reason
    role, order, how exactly it names the number, health, price, load      in this order, the better one first
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from bridge.routing.numbers import Number, carries
from bridge.routing.price import Price
from sip.options import Target

ROLES = ("primary", "backup")
TARGETS_PER_TRUNK = 2
"Of one trunk's addresses so many are offered before the next trunk's: a dead partner must not use up all attempts."
LOAD_STEPS = 5
"Loads are compared in fifths: two calls more do not make a trunk the worse one."


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """What is known of the call that is to be placed."""

    call: str
    number: Number | None = None
    "None: a SIP URI, which any trunk may carry."
    trunk: str = ""
    "Only this one. Empty: any."
    region: str = ""
    "Only trunks of this region. Empty: of any."


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFacts:
    """One address of a partner."""

    target: Target
    priority: int = 0
    weight: int = 0
    "RFC 2782."
    is_alive: bool = True
    is_preferred: bool = False
    "Our registration stands there."


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkFacts:
    """One trunk at this moment."""

    name: str
    region: str = ""
    countries: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    role: str = "primary"
    order: int = 0
    price: Price | None = None
    refusal: str = ""
    "Why the breaker lets no call through; empty when it does."
    may_be_last_resort: bool = True
    "It is only believed to be dead: when all others are too, a try may save the call."
    is_full: str = ""
    "Why its limits leave no room; empty when there is."
    trouble: int = 0
    "0: none, 1: some lately, 2: much."
    health: str = "healthy"
    "The same in words."
    calls: int = 0
    max_calls: int = 0
    targets: tuple[TargetFacts, ...] = ()
    "Best first as far as priorities go. None: it takes calls in only, or (with a `refusal`) they are not known yet."


@dataclass(frozen=True, slots=True)
class Choice:
    trunk: str
    target: Target | None
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    trunk: str
    why: str

    @property
    def is_full(self) -> bool:
        """It would have carried the call, and had no room."""
        return self.why.startswith(FULL)


@dataclass(frozen=True, slots=True)
class Ranking:
    choices: tuple[Choice, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    is_carried: bool = True
    "False: no trunk is for such a call, on its best day."

    @property
    def is_full(self) -> bool:
        """Nothing is left, and for some of them only because there was no room: it is worth trying again soon."""
        return not self.choices and any(one.is_full for one in self.left_out)


FULL = "full: "


@dataclass(slots=True)
class _Sieve:
    fit: list[TrunkFacts] = field(default_factory=list)
    dead: list[TrunkFacts] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    is_carried: bool = False


def rank(call: CallFacts, trunks: Iterable[TrunkFacts]) -> Ranking:
    sieve = _Sieve()
    for trunk in trunks:
        why = _unfit(call, trunk)
        sieve.is_carried |= not why
        if not why and trunk.refusal:
            why = trunk.refusal
            if trunk.may_be_last_resort and trunk.targets and not trunk.is_full:
                sieve.dead.append(trunk)
                continue
        if why or trunk.is_full:
            sieve.left_out.append(LeftOut(trunk.name, why or f"{FULL}{trunk.is_full}"))
        else:
            sieve.fit.append(trunk)
    if sieve.fit:
        sieve.left_out += [LeftOut(trunk.name, trunk.refusal) for trunk in sieve.dead]
    ranked = sieve.fit or sieve.dead
    priced = len({trunk.price.currency for trunk in ranked if trunk.price}) == 1
    ranked.sort(key=lambda trunk: _key(call, trunk, priced))
    choices = [choice for trunk in ranked for choice in _choices(call, trunk, priced)]
    return Ranking(tuple(choices), tuple(sieve.left_out), sieve.is_carried)


def _unfit(call: CallFacts, trunk: TrunkFacts) -> str:
    """Why it could not carry this call on its best day."""
    if call.trunk and trunk.name != call.trunk:
        return f"trunk {call.trunk} was asked for"
    if call.region and trunk.region != call.region:
        return f"region {call.region} was asked for, this is {trunk.region or 'of none'}"
    if call.number is not None and not carries(call.number, trunk.countries, trunk.prefixes):
        carried = " ".join((*trunk.prefixes, *trunk.countries))
        return f"carries {carried}, not {call.number.e164[:4]}... ({call.number.country or 'no country'})"
    if not trunk.targets and not trunk.refusal:
        return "has no address to call"
    return ""


Key = tuple[int, int, int, int, Decimal, int, int, str]


def _key(call: CallFacts, trunk: TrunkFacts, priced: bool) -> Key:
    exactness = carries(call.number, trunk.countries, trunk.prefixes) if call.number else 0
    price = trunk.price.per_minute if priced and trunk.price else Decimal("Infinity")
    return (
        ROLES.index(trunk.role),
        trunk.order,
        -exactness,
        trunk.trouble,
        price,
        _load(trunk),
        trunk.calls,
        trunk.name,
    )


def _load(trunk: TrunkFacts) -> int:
    return trunk.calls * LOAD_STEPS // trunk.max_calls if trunk.max_calls else 0


def _choices(call: CallFacts, trunk: TrunkFacts, priced: bool) -> list[Choice]:
    because = (
        _carries_in_words(call, trunk),
        trunk.role if not trunk.order else f"{trunk.role}, order {trunk.order}",
        f"last resort, no other trunk is left: {trunk.refusal}" if trunk.refusal else trunk.health,
        _price_in_words(trunk, priced),
        f"{trunk.calls} of {trunk.max_calls} calls" if trunk.max_calls else f"{trunk.calls} calls",
    )
    ordered = target_order(call.call, trunk.targets)
    alive = [one for one in ordered if one.is_alive] or ordered
    return [
        Choice(trunk.name, one.target, because if place == 0 else (*because, "its next address"))
        for place, one in enumerate(alive[:TARGETS_PER_TRUNK])
    ]


def _carries_in_words(call: CallFacts, trunk: TrunkFacts) -> str:
    if call.number is None:
        return "any trunk may carry a SIP URI"
    fits = [prefix for prefix in trunk.prefixes if call.number.e164.startswith(prefix)]
    if fits:
        return f"prefix {max(fits, key=len)}"
    return f"country {call.number.country}" if trunk.countries else "carries any number"


def _price_in_words(trunk: TrunkFacts, priced: bool) -> str:
    if trunk.price is None:
        return "price not known"
    return str(trunk.price) if priced else f"{trunk.price} (currencies differ: not compared)"


def target_order(call: str, targets: Sequence[TargetFacts]) -> list[TargetFacts]:
    """Lowest priority first; among equals by weighted chance (RFC 2782). But where we are registered comes first."""
    dice = random.Random(call)
    ordered: list[TargetFacts] = []
    for priority in sorted({one.priority for one in targets}):
        ordered += weighted([one for one in targets if one.priority == priority], dice)
    return sorted(ordered, key=lambda one: not one.is_preferred)


def weighted(equals: Sequence[TargetFacts], dice: random.Random) -> list[TargetFacts]:
    """One after the other is drawn, each with a chance by its weight; those of weight 0 have a very small one."""
    left = sorted(equals, key=lambda one: one.weight)
    drawn = []
    while left:
        at = dice.randint(0, sum(one.weight for one in left))
        for one in left:
            at -= one.weight
            if at <= 0:
                break
        left.remove(one)
        drawn.append(one)
    return drawn
