"""From URIs to users, from routes to the platforms that may take a call. Pure."""

from __future__ import annotations

import re

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


def candidates(config: Config, route: RouteSection) -> list[Candidate]:
    sections = {section.name: section for section in config.platforms}
    return [_candidate(sections[name]) for name in route.platforms or sections]


def _candidate(section: PlatformSection) -> Candidate:
    return Candidate(section.name, section.connect_timeout_ms)
