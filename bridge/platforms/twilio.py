"""Any agent that speaks Twilio Media Streams: nothing is asked for beforehand, its own socket is dialled.

What Twilio's `<Stream>` would have told the agent goes with `start`: the numbers and the context as `customParameters`,
and identifiers in Twilio's shape. The key shows the agent that it is us: as a bearer token, inside the URL (Twilio's
own users put secrets into the path), or as the signature that Twilio would send.
https://www.twilio.com/docs/voice/twiml/stream, https://www.twilio.com/docs/usage/security#validating-requests
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final
from urllib.parse import quote

from bridge.config import PlatformSection
from bridge.errors import PlatformDenied
from bridge.platforms.base import CallFacts, Created
from bridge.platforms.body import clean, merged, metadata
from bridge.platforms.rest import fits_a_header, is_media_address
from media.wire import FarSpec

API_KEY: Final = "{api_key}"
"Where in the URL the key is to stand."
OPTIONS: Final = ("accountSid", "customParameters")
MOST_NUMBER_CHARS: Final = 80


class Twilio:
    """One agent."""

    def __init__(self, section: PlatformSection, api_key: str) -> None:
        self.name = section.name
        self._section = section
        self._url = section.url.replace(API_KEY, quote(api_key, safe=""))
        if problem := _problem(section, self._url, api_key):
            raise PlatformDenied(section.name, problem)
        self._headers = headers(section, api_key)

    def __repr__(self) -> str:
        return f"<Twilio {self.name}>"

    async def create(self, call: CallFacts) -> Created:
        start = start_of(self._section, call)
        spec = FarSpec(
            platform=self.name,
            dialect="twilio",
            url=self._url,
            headers=self._headers,
            encoding="mulaw",
            rate_hz=8000,
            sends_ahead=True,
            options=start,
        )
        return Created(spec, str(start["callSid"]))

    async def close(self) -> None:
        """There is nothing to give back."""


def headers(section: PlatformSection, api_key: str) -> tuple[tuple[str, str], ...]:
    if not api_key or section.auth == "url":
        return ()
    if section.auth == "signature":
        return (("X-Twilio-Signature", signature(api_key, section.url)),)
    return (("Authorization", f"Bearer {api_key}"),)


def signature(auth_token: str, url: str) -> str:
    """HMAC-SHA1 of the URL as it is configured, scheme and all, for a request without parameters."""
    return base64.b64encode(hmac.digest(auth_token.encode(), url.encode(), "sha1")).decode()


def start_of(section: PlatformSection, call: CallFacts) -> dict[str, object]:
    """The `start` object, but for the stream's format. customParameters are strings: some agents refuse others."""
    known = {
        "from_number": clean(call.caller, MOST_NUMBER_CHARS),
        "to_number": clean(call.dialled, MOST_NUMBER_CHARS),
        **metadata(call),
    }
    if language := call.language or section.language:
        known["language"] = language
    start = {
        "accountSid": sid("AC", section.name),
        "callSid": sid("CA", call.call),
        "streamSid": f"MZ{secrets.token_hex(16)}",
        "customParameters": known,
    }
    return merged(start, section.options)


def sid(kind: str, name: str) -> str:
    """An identifier in Twilio's shape, the same for the same name."""
    return kind + hashlib.sha256(name.encode()).hexdigest()[:32]


def _problem(section: PlatformSection, url: str, api_key: str) -> str:
    """What would go wrong in every single call; empty if nothing."""
    if not is_media_address(url):
        return "url: not a ws:// or wss:// address"
    if not fits_a_header(api_key):
        return "the API key holds characters that a header cannot carry"
    if unknown := [name for name in section.options if name not in OPTIONS]:
        return f"options: {unknown[0]} is none of {', '.join(OPTIONS)}"
    if not isinstance(section.options.get("accountSid", ""), str):
        return "options: accountSid must be a string"
    parameters = section.options.get("customParameters", {})
    if not (isinstance(parameters, dict) and all(isinstance(value, str) for value in parameters.values())):
        return "options: customParameters must be a table of strings"
    return ""
