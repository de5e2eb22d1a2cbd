"""Secrets: where they are read from, and that settings hold none."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from bridge.config import DEVELOPMENT_KEY, PlatformSection, SecretMissing, TrunkSection, api_key, examine, secret
from bridge.config.secrets import origin


def test_from_the_environment() -> None:
    assert secret("KEY", "", {"KEY": "s3cret"}) == "s3cret"


def test_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("s3cret\n")
    assert secret("", str(path), {}) == "s3cret"


def test_none_asked_for() -> None:
    assert secret("", "", {}) == ""


def test_missing(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    for env, file, why in [
        ("KEY", "", "environment variable KEY is not set"),
        ("", "/nowhere/key", "file /nowhere/key cannot be read"),
        ("", str(empty), f"file {empty} is empty"),
    ]:
        with pytest.raises(SecretMissing, match=re.escape(why)):
            secret(env, file, {})


def test_both_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("[[platforms]]\nname = 'p'\nkind = 'vapi'\napi_key_env = 'HOME'\napi_key_file = '/x'\n")
    found = [str(error) for error in examine(path, {"HOME": "x"})[1] if error.key.startswith("platforms")]
    assert f"{path}:5: platforms[0].api_key_file: is there beside api_key_env: which one counts?" in found


def test_a_simulator_gets_a_key_that_is_none() -> None:
    here = PlatformSection(name="one", kind="vapi", url="http://localhost:8091")
    assert api_key(here, {}) == DEVELOPMENT_KEY
    assert api_key(msgspec.structs.replace(here, url=""), {}) == ""
    assert api_key(msgspec.structs.replace(here, kind="twilio"), {}) == ""


@pytest.mark.parametrize(
    "url",
    [
        "wss://agent.example:8443/t0ken/media?key=t0ken",
        "wss://user:t0ken@agent.example:8443",
        "wss://agent.example:8443",
    ],
)
def test_what_is_shown_of_an_address(url: str) -> None:
    assert origin(url) == "wss://agent.example:8443"


def test_settings_hold_no_secret() -> None:
    fields = {field.name for kind in (TrunkSection, PlatformSection) for field in msgspec.structs.fields(kind)}
    assert {name for name in fields if "password" in name or "key" in name} == {
        *("password_env", "password_file", "inbound_password_env", "inbound_password_file"),
        *("api_key_env", "api_key_file"),
    }
