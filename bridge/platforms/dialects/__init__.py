"""What makes each platform different on its media socket. Pure and light: workers load this, and no HTTP client."""

from __future__ import annotations

from bridge.platforms.dialects.ultravox import UltravoxDialect
from bridge.platforms.dialects.vapi import VapiDialect
from media.far import DialectTable

__all__ = ["DIALECTS", "UltravoxDialect", "VapiDialect"]

DIALECTS: DialectTable = {"ultravox": UltravoxDialect, "vapi": VapiDialect}
