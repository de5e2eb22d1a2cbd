"""What the desk sees of a voice platform: facts about a call go in, a way to reach its far end comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from media.wire import FarSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """What we know of a call when a platform is asked to take it. Texts are strangers' words: adapters clean them."""

    call: str
    "Our own id; it comes back in the platform's records as `bridgeCallId`."
    caller: str = ""
    "E.164, or whatever stood in From when it was no number."
    dialled: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    "For the agent: the route's constants and what was found out about the caller."
    codec: str = ""
    "What the trunk speaks, as in rtpmap (`PCMU`, `PCMA`). Empty: not known yet."
    language: str = ""
    "BCP 47. Empty: the platform section's."
    wait_ms: int = 0
    "How long the media socket may be in coming because somebody's telephone still rings."


@dataclass(frozen=True, slots=True)
class Created:
    """A call that the platform has agreed to take and that waits for its media socket."""

    spec: FarSpec
    reference: str
    "The platform's own id of the call."


class Platform(Protocol):
    """One account at one vendor.

    A call that was created and whose socket is then never opened is left alone: no vendor here can end it by request
    (`DELETE` erases records instead), each drops it by itself within its join time-out.
    """

    name: str
    "As configured."

    async def create(self, call: CallFacts) -> Created:
        """Ask the platform to take the call. Raises PlatformError and nothing else, within the section's budget."""

    async def close(self) -> None:
        """Give the connections back. May be called twice."""
