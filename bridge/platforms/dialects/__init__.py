"""What makes each platform different on its media socket. Pure and light: workers load this, and no HTTP client."""

from __future__ import annotations

from bridge.platforms.dialects.twilio import TwilioDialect
from bridge.platforms.dialects.ultravox import UltravoxDialect
from bridge.platforms.dialects.vapi import VapiDialect
from media.far import DialectTable

__all__ = ["DIALECTS", "TwilioDialect", "UltravoxDialect", "VapiDialect"]

DIALECTS: DialectTable = {"twilio": TwilioDialect, "ultravox": UltravoxDialect, "vapi": VapiDialect}
