"""From URIs to users, from routes to the platforms that may take a call. Pure."""

from __future__ import annotations

import re
from urllib.parse import unquote

from bridge.calls.hunt import Candidate
from bridge.calls.trunks import Trunks, Wanted, Way
from bridge.config import Config, PlatformSection, RouteSection

USER = re.compile(r"(?:sips?:([^@>]*)@|tel:([^>]*))", re.IGNORECASE)


def user_of(uri: str) -> str:
    """The user part of a SIP or tel URI, bare or within `<...>`, unescaped; empty when it has none.

    Without what a carrier puts behind the number (`;npdi`, `;cpc=ordinary`: RFC 4694; RFC 3261, 19.1.6), and without
    what follows a colon: that is a password (RFC 3261, 19.1.1), not ours to keep.
    """
    found = USER.search(uri)
    if not found:
        return ""
    user = found[1] if found[1] is not None else found[2]
    return unquote(user.partition(";")[0].partition(":")[0])


def candidates(config: Config, route: RouteSection) -> list[Candidate]:
    sections = {section.name: section for section in config.platforms}
    return [_candidate(sections[name]) for name in route.platforms or sections]


def _candidate(section: PlatformSection) -> Candidate:
    return Candidate(section.name, section.connect_timeout_ms)


def ways_to(trunks: Trunks, to: str, trunk: str = "") -> tuple[Way, ...]:
    """Ways to whom a call is transferred, those over `trunk` first: its partner asks in terms of its own.

    To a SIP URI no other trunk leads, unless its user is a number (E.164), which any trunk may carry.
    """
    number = to if to.startswith("+") else user_of(to)
    wanted = to if _is_sip(to) else number
    ways = list(trunks.choices(Wanted(number=wanted, trunk=trunk)).ways) if trunk else []
    if not ways and _is_sip(to):  # a partner that is known by where it calls from: where the URI itself leads
        ways = [Way(uri=to, trunk=trunk, because=("as asked for",))]
    if number.startswith("+"):
        ways += [way for way in trunks.choices(Wanted(number=number)).ways if not trunk or way.trunk != trunk]
    return tuple(ways)


def _is_sip(uri: str) -> bool:
    return uri.lower().startswith(("sip:", "sips:"))
