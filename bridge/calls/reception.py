"""The desk's switchboard: from an INVITE and the settings to a session that has not begun.

The dialled number finds company, flow, call type and platforms (`bridge.routing.table`); the trunk brings its own
codecs, encryption and limits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from bridge.calls.inbound import InboundSession
from bridge.calls.routes import candidates, user_of
from bridge.calls.session import CallSettings
from bridge.config import Config, RouteSection, TrunkSection
from bridge.errors import End
from bridge.routing.numbers import find
from bridge.routing.table import Arrival, Match, look_up
from sip import messages as sip

NOBODY = TrunkSection(name="")
"For a call whose trunk has just been removed."


class Doors(Protocol):
    """Who counts the calls of each trunk, see `bridge.trunks.keeper`."""

    def admit(self, call: str, trunk: str) -> End | None: ...


class Open:
    """No limits at all."""

    def admit(self, call: str, trunk: str) -> End | None:
        return None


class Reception:
    def __init__(self, config: Config, doors: Doors | None = None) -> None:
        self._doors = doors or Open()
        self.set_config(config)

    def set_config(self, config: Config) -> None:
        """For all calls from here on."""
        self._config = config
        self._caps = {section.name: section.max_calls for section in config.platforms}
        self._trunks = {section.name: section for section in config.trunks}

    def admit(self, incoming: sip.Incoming) -> End | None:
        return self._doors.admit(incoming.call, incoming.trunk)

    def max_calls(self, platform: str) -> int:
        return self._caps.get(platform, 0)

    def inbound(self, incoming: sip.Incoming, now: float, started_at: str) -> InboundSession:
        trunk = self._trunks.get(incoming.trunk, NOBODY)
        home = trunk.countries[0] if trunk.countries else ""
        dialled = _dialled(incoming, trunk)
        arrival = Arrival(dialled=dialled, trunk=incoming.trunk, region=trunk.region, country=home)
        match = look_up(self._config.routes, arrival)
        route = match.route if match else RouteSection()
        session = InboundSession(
            incoming,
            candidates(self._config, route) if match else [],
            self._settings(incoming.call, trunk, route),
            now,
            started_at,
            answer=route.answer,
            context=_context(route),
        )
        caller = find(user_of(incoming.from_uri), home)
        record = session.record
        record.dialled = dialled
        record.region, record.country = trunk.region, caller.country if caller else ""
        _note(session, match)
        return session

    def _settings(self, call: str, trunk: TrunkSection, route: RouteSection) -> CallSettings:
        media = self._config.media
        return CallSettings(
            codecs=trunk.codecs or media.codecs,
            public_host=trunk.public_host or media.public_host,
            srtp=trunk.srtp,
            recording=str(Path(media.recording_dir, f"{call}.wav").absolute()) if media.recording_dir else "",
            ring_timeout_ms=route.ring_timeout_ms,
            allow_refer=trunk.allow_refer,
        )


def _dialled(incoming: sip.Incoming, trunk: TrunkSection) -> str:
    """Over a registration most partners call our Contact, whatever number was dialled: then To has it."""
    user = user_of(incoming.request_uri)
    if trunk.kind == "register" and user == (trunk.contact_user or trunk.username):
        return user_of(incoming.to_uri) or user
    return user


def _note(session: InboundSession, match: Match | None) -> None:
    if match is not None:
        record, route = session.record, match.route
        record.route = match.name
        record.company, record.flow, record.call_type = route.company, route.flow, route.call_type


def _context(route: RouteSection) -> dict[str, str]:
    """What the agent is told: whose number was dialled, and what the route's own table says."""
    known = {"company": route.company, "flow": route.flow, "call_type": route.call_type}
    return {key: value for key, value in known.items() if value} | route.context
