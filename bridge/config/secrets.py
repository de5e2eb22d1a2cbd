"""Secrets: read once at start from where the settings point, never from the file itself."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from bridge.config.sections import PlatformSection
from bridge.errors import BridgeError

KEYED = ("ultravox", "vapi")
"Kinds that take no call without a key. An agent of one's own need not have any."
DEVELOPMENT_KEY = "development"
"Sent to a platform on this machine that has no key set: simulators ask for one and take any."


class SecretMissing(BridgeError):
    """A secret is not where the settings say."""


def secret(env: str, file: str, environ: Mapping[str, str] = os.environ) -> str:
    """The secret that `..._env` or `..._file` names; empty when neither does."""
    if env:
        if not environ.get(env):
            raise SecretMissing(f"environment variable {env} is not set")
        return environ[env]
    if not file:
        return ""
    try:
        text = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise SecretMissing(f"file {file} cannot be read") from None
    if not text:
        raise SecretMissing(f"file {file} is empty")
    return text


def api_key(platform: PlatformSection, environ: Mapping[str, str] = os.environ) -> str:
    key = secret(platform.api_key_env, platform.api_key_file, environ)
    return key or (DEVELOPMENT_KEY if is_local(platform.url) and platform.kind in KEYED else "")


def origin(url: str) -> str:
    """What may be shown of an address: in the rest of it people hide keys."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
