"""Which route a call takes: dialled number in, section out. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bridge.calls.hunt import Candidate
from bridge.config import Config, PlatformSection, RouteSection

USER = re.compile(r"(?:sips?:([^@;>]*)@|tel:([^;>]*))", re.IGNORECASE)


def user_of(uri: str) -> str:
    """The user part of a SIP or tel URI, bare or within `<...>`; empty when it has none."""
    found = USER.search(uri)
    if not found:
        return ""
    user = found[1] if found[1] is not None else found[2]
    return user.partition(":")[0]  # what follows a colon is a password (RFC 3261, 19.1.1): not ours to keep


def pick(routes: Sequence[RouteSection], dialled: str) -> RouteSection | None:
    """The first that matches. No routes at all: one that takes every number."""
    if not routes:
        return RouteSection()
    return next((route for route in routes if _matches(route.number, dialled)), None)


def candidates(config: Config, route: RouteSection) -> list[Candidate]:
    sections = {section.name: section for section in config.platforms}
    return [_candidate(sections[name]) for name in route.platforms or sections]


def _matches(pattern: str, dialled: str) -> bool:
    return dialled.startswith(pattern[:-1]) if pattern.endswith("*") else dialled == pattern


def _candidate(section: PlatformSection) -> Candidate:
    return Candidate(section.name, section.connect_timeout_ms)
