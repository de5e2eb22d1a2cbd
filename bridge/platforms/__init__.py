"""Voice platforms: one adapter each for a call's creation (control process), one dialect each for the socket (worker).

Importing this loads the dialects only. An adapter, and the HTTP client with it, is loaded when one is made: a worker
never does that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from bridge.platforms.base import CallFacts, Created, Platform
from bridge.platforms.dialects import DIALECTS

if TYPE_CHECKING:
    from bridge.config import PlatformSection

__all__ = ["DIALECTS", "PLATFORMS", "CallFacts", "Created", "Platform"]


def _twilio(section: PlatformSection, api_key: str) -> Platform:
    from bridge.platforms.twilio import Twilio

    return Twilio(section, api_key)


def _ultravox(section: PlatformSection, api_key: str) -> Platform:
    from bridge.platforms.ultravox import Ultravox

    return Ultravox(section, api_key)


def _vapi(section: PlatformSection, api_key: str) -> Platform:
    from bridge.platforms.vapi import Vapi

    return Vapi(section, api_key)


PLATFORMS: Final[dict[str, Callable[[PlatformSection, str], Platform]]] = {
    "twilio": _twilio,
    "ultravox": _ultravox,
    "vapi": _vapi,
}
"""By `kind`. A section that its vendor would refuse in every call raises PlatformDenied here, naming the key."""
