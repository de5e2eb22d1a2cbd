"""Whose call an inbound one is: dialled number in, route out. Tables, prefixes and patterns, the first that fits. Pure.

A partner may write the number as it likes: `+525512345678`, `5512345678`, `00525512345678`. It is looked up as it came
and, when it is a number at all, in E.164.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from bridge.config import RouteSection
from bridge.routing.numbers import find


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What is known of a call that comes in."""

    dialled: str
    trunk: str = ""
    region: str = ""
    country: str = ""
    "Where the trunk's national numbers are at home; empty: not known."


@dataclass(frozen=True, slots=True)
class Match:
    route: RouteSection
    entry: str
    "The number, prefix or pattern that fitted."
    because: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.route.name or self.entry


def look_up(routes: Sequence[RouteSection], arrival: Arrival) -> Match | None:
    """The first that matches. No routes at all: one that takes every number."""
    if not routes:
        return Match(RouteSection(), "*", ("no routes: every number goes to all platforms",))
    spellings = _spellings(arrival)
    for route in routes:
        if (route.trunks and arrival.trunk not in route.trunks) or (
            route.regions and arrival.region not in route.regions
        ):
            continue
        for entry in route.numbers or (route.number,):
            if (spelling := next((one for one in spellings if matches(entry, one)), None)) is not None:
                return Match(route, entry, _because(route, entry, spelling, arrival))
    return None


def matches(entry: str, dialled: str) -> bool:
    """`~` and a regular expression (searched for), a beginning and `*`, or the whole number."""
    if entry.startswith("~"):
        return _pattern(entry[1:]).search(dialled) is not None
    return dialled.startswith(entry[:-1]) if entry.endswith("*") else dialled == entry


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _spellings(arrival: Arrival) -> tuple[str, ...]:
    number = find(arrival.dialled, arrival.country)
    if number is None and arrival.dialled[:1].isdigit():
        # A full number whose + was lost on the way, as many partners send it. National numbers were tried before.
        number = find(f"+{arrival.dialled.removeprefix('00')}")
    if number is None or number.e164 == arrival.dialled:
        return (arrival.dialled,)
    return (arrival.dialled, number.e164)


def _because(route: RouteSection, entry: str, spelling: str, arrival: Arrival) -> tuple[str, ...]:
    kind = "pattern" if entry.startswith("~") else "prefix" if entry.endswith("*") else "number"
    words = [f"{kind} {entry}" if entry != "*" else "any number"]
    if spelling != arrival.dialled:
        words.append(f"{arrival.dialled} is {spelling}")
    if route.trunks:
        words.append(f"trunk {arrival.trunk}")
    if route.regions:
        words.append(f"region {arrival.region}")
    return tuple(words)
