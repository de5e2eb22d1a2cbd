"""From settings to the rooms' options."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from bridge.config import Config, MediaSection, PlatformSection, RecordsSection, SipSection, TrunkSection, WebSection
from bridge.options import (
    adapter_problems,
    build_store,
    endpoint_options,
    known_secrets,
    trunk_accounts,
    worker_count,
    worker_options,
)
from bridge.records import Cost
from bridge.store import Forgetful, Store
from media import wire
from sip import messages as sip
from sip.options import Target

ONE = PlatformSection(name="one", kind="ultravox", url="http://127.0.0.1:9", prompt="Be kind.")


def test_the_defaults_of_sections_and_options_agree() -> None:
    assert endpoint_options(SipSection()) == sip.EndpointOptions()
    assert worker_options(MediaSection(rtp_last_port=20999)) == wire.WorkerOptions()
    [account] = trunk_accounts(Config(trunks=(TrunkSection(name="t"),)), {})
    assert account == sip.TrunkAccount(name="t", kind="peer")


def test_tls_goes_to_the_stack() -> None:
    section = SipSection(
        tls_port=5061,
        tls_certificate_file="c.pem",
        tls_key_file="k.pem",
        tls_ca_file="a.pem",
        tls_verify=False,
        tls_require_client=True,
    )
    options = endpoint_options(section)
    assert (options.tls_port, options.tls_certificate, options.tls_key) == (5061, "c.pem", "k.pem")
    assert (options.tls_ca, options.tls_verify, options.tls_require_client) == ("a.pem", False, True)


def test_every_field_of_an_account_has_a_setting() -> None:
    """What the stack knows of a trunk comes from its section, all but its targets and the secrets themselves."""
    theirs, ours = set(sip.TrunkAccount.__struct_fields__), set(TrunkSection.__struct_fields__)
    assert theirs - ours == {"targets", "password", "inbound_password"}
    values: dict[str, Any] = {"srtp": "off", "kind": "register", "transport": "tls", "sources": ("192.0.2.1",)}
    for field in msgspec.structs.fields(TrunkSection):
        if field.name in theirs and field.name not in values and field.name not in ("session_timer", "prack"):
            values[field.name] = {"str": "x", "int": 77, "float": 7.5}[str(field.type.__name__)]
    values |= {"session_timer": "required", "prack": "off"}
    [account] = trunk_accounts(Config(trunks=(TrunkSection(**values),)), {})
    differs = {name for name in theirs & ours if getattr(account, name) != values[name]}
    assert differs == set()


def test_workers() -> None:
    assert worker_count(MediaSection(workers=3)) == 3
    assert worker_count(MediaSection()) == len(os.sched_getaffinity(0))


class TestSecrets:
    def test_trunks_with_theirs(self) -> None:
        trunk = TrunkSection(
            name="p",
            kind="register",
            registrar="sip:192.0.2.1",
            username="u",
            password_env="PW",
            expires_s=60,
            inbound_username="them",
            inbound_password_env="IN",
        )
        config = Config(trunks=(trunk,), platforms=(ONE,))
        environ = {"PW": "s3cret", "IN": "0ther!"}
        [account] = trunk_accounts(config, environ)
        assert (account.password, account.inbound_password, account.expires_s) == ("s3cret", "0ther!", 60)
        assert known_secrets(config, environ) == ["development", "s3cret", "0ther!"]
        assert "s3cret" not in repr(account)
        assert "0ther!" not in repr(account)
        assert Target("192.0.2.1", 5060) not in account.targets

    def test_the_webs_token_is_one_too(self) -> None:
        config = Config(platforms=(ONE,), web=WebSection(token_env="TOKEN"))
        assert known_secrets(config, {"TOKEN": "s3cret"}) == ["development", "s3cret"]


def test_what_adapters_have_against_a_section() -> None:
    bad = PlatformSection(name="two", kind="vapi", url="http://127.0.0.1:9", agent="a", max_duration_s=43201)
    [(key, problem)] = adapter_problems(Config(platforms=(ONE, bad)), {})
    assert key == ("platforms", 1)
    assert problem.startswith("max_duration_s: VAPI takes ")


def test_the_store_is_the_settings_affair(tmp_path: Path) -> None:
    def cost(trunk: str, seconds: float) -> Cost | None:
        return None

    kept = build_store(Config(records=RecordsSection(url=f"sqlite:///{tmp_path / 'p.db'}")), {}, cost)
    assert isinstance(kept, Store)
    assert isinstance(build_store(Config(records=RecordsSection(url="")), {}, cost), Forgetful)


def test_names_are_not_the_stacks_business() -> None:
    assert endpoint_options(SipSection(name_servers=("192.0.2.53",))) == sip.EndpointOptions()


def test_what_the_sip_stack_cannot_hold_is_told_at_its_trunk() -> None:
    trunk = TrunkSection(name="t", sources=("192.0.2.1",), inbound_username="them", inbound_password_env="PW")
    [(key, problem)] = adapter_problems(Config(trunks=(trunk,)), {"PW": "x" * 128})
    assert (key, problem) == (("trunks", 0), "a host, user or inbound password is longer than 127 characters")
