"""Where a test call goes: to a SIP URI, or to a number over the trunks of a configuration file.

The trunks are taken as they stand in the file: looked up once, not probed, not registered. A second registration beside
the bridge's own would take its calls away from it; our account's password is enough to call out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec

from bridge.calls.trunks import Wanted, Way
from bridge.config import Config, TrunkSection
from bridge.errors import BridgeError
from bridge.routing import numbers
from bridge.routing.ranking import CallFacts, rank
from bridge.trunks.accounts import account
from bridge.trunks.lookup import Directory, LookUpFailed
from bridge.trunks.partner import Partner
from bridge.trunks.ways import number_of, way
from sip import messages as sip


class NoWay(BridgeError):
    """This cannot be called at all. `str()` is a sentence for whoever asked."""


@dataclass(frozen=True, slots=True)
class Route:
    """All that a line must know to place one call."""

    wanted: Wanted
    ways: tuple[Way, ...]
    accounts: tuple[sip.TrunkAccount, ...] = ()

    def with_options(self, *, codecs: tuple[str, ...] = (), ring_timeout_ms: int = 0) -> Route:
        """The same, with what whoever calls has said himself instead of the trunks' own."""

        def chosen(one: Way) -> Way:
            return replace(one, codecs=codecs or one.codecs, ring_timeout_ms=ring_timeout_ms or one.ring_timeout_ms)

        return replace(self, ways=tuple(chosen(one) for one in self.ways))


def to_uri(target: str, from_user: str) -> Route:
    uri = target if is_uri(target) else f"sip:{target}"
    return Route(Wanted(number=uri), (Way(uri=uri, from_user=from_user, because=("the URI says where",)),))


async def over_trunks(
    target: str, caller: str, trunk: str, config: Config, directory: Directory, environ: Mapping[str, str]
) -> Route:
    """Raises NoWay, and SecretMissing."""
    wanted = _wanted(target, caller, trunk, config)
    now = time.monotonic()
    # As a peer: no registration is waited for.
    partners = [Partner(msgspec.structs.replace(section, kind="peer"), now) for section in config.trunks]
    why_not = await asyncio.gather(*(_look_up(partner, directory, now) for partner in partners))
    number = number_of(wanted)
    facts = CallFacts(call=wanted.number, number=number, trunk=wanted.trunk)
    ranking = rank(facts, [partner.facts(now) for partner in partners])
    if not ranking.choices:
        reasons = [*(why for why in why_not if why), *(f"{one.trunk}: {one.why}" for one in ranking.left_out)]
        raise NoWay(f"no trunk can carry it: {'; '.join(reasons) or 'there is none'}")
    sections = {section.name: section for section in config.trunks}
    our_host = config.sip.public_host or config.sip.host
    return Route(
        wanted,
        tuple(way(choice, sections[choice.trunk], wanted, facts.number, our_host) for choice in ranking.choices),
        tuple(_account(sections[partner.name], partner, environ) for partner in partners),
    )


def is_uri(target: str) -> bool:
    return target.lower().startswith(("sip:", "sips:"))


def _wanted(target: str, caller: str, trunk: str, config: Config) -> Wanted:
    if trunk and trunk not in {section.name for section in config.trunks}:
        raise NoWay(f"no trunk is called {trunk!r}")
    if is_uri(target):
        if not trunk:
            raise NoWay("a SIP URI needs --trunk, or no --config at all")
        return Wanted(number=target, trunk=trunk, caller=caller)
    try:
        number = numbers.parse(target, config.outbound.country)
        shown = numbers.parse(caller, config.outbound.country).e164 if caller else ""
    except numbers.NumberError as error:
        raise NoWay(f"{target if not caller else f'{target} or {caller}'} {error}") from None
    return Wanted(number=number.e164, country=number.country, trunk=trunk, caller=shown)


async def _look_up(partner: Partner, directory: Directory, now: float) -> str:
    """Why it could not be found; empty when it was."""
    if partner.place is None:
        return ""
    try:
        partner.on_answer(await directory.look_up(partner.place), now)
    except LookUpFailed as error:
        return f"{partner.name}: {error}"
    return ""


def _account(section: TrunkSection, partner: Partner, environ: Mapping[str, str]) -> sip.TrunkAccount:
    """A peer with our password, whose own addresses may speak to us."""
    known = account(section, environ, partner.targets)
    addresses = tuple(target.address for target in partner.targets)
    return msgspec.structs.replace(known, kind="peer", sources=(*known.sources, *addresses))
