"""What is wrong with trunks: each mistake with its line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.config import examine
from bridge.config.trunk_checks import is_host, is_server

GOOD = """\
[[platforms]]
name = "one"
kind = "ultravox"
url = "http://127.0.0.1:8090"
prompt = "Be kind."

[[trunks]]
name = "t"
sources = ["192.0.2.1"]
"""
BEFORE = GOOD.count("\n")


def problems(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "x.toml"
    path.write_text(text)
    return [str(error).replace(str(path), "x.toml") for error in examine(path, {"PW": "x"})[1]]


@pytest.mark.parametrize(
    ("more", "line", "problem"),
    [
        ("countries = ['MEX']", 1, "countries: `MEX` is no country code (ISO 3166), e.g. `MX`"),
        ("countries = ['mx']", 1, "countries: `mx` is no country code (ISO 3166), e.g. `MX`, did you mean `MX`?"),
        ("prefixes = ['52']", 1, "prefixes: `52` is no beginning of an E.164 number, e.g. `+52`"),
        ("role = 'spare'", 1, "role: must be one of"),
        ("order = -1", 1, "order: must be from 0 to 1000, not -1"),
        ("host = 'not a host'", 1, "host: `not a host` is neither a name nor an address, with or without a port"),
        ("host = 'p.example:99999'", 1, "host: `p.example:99999` is neither a name nor an address"),
        ("host = '192.0.2.300'", 1, "host: `192.0.2.300` is neither a name nor an address"),
        ("proxy = 'p.example'", 1, "proxy: must begin with sip: or sips:"),
        ("host = 'sip..example'", 1, "host: `sip..example` is neither a name nor an address"),
        ("proxy = 'sip:'", 1, "proxy: `` is neither a name nor an address, with or without a port"),
        ("proxy = 'sip:1.2.3.4:abc'", 1, "proxy: `1.2.3.4:abc` is neither a name nor an address"),
        ("proxy = 'sip:p.example:99999'", 1, "proxy: `p.example:99999` is neither a name nor an address"),
        ("proxy = 'sip:p.example:0'", 1, "proxy: `p.example:0` is neither a name nor an address"),
        ("proxy = 'sip:2001:db8::1'", 1, "proxy: `2001:db8::1` is neither a name nor an address"),
        ("proxy = 'sip:a b;lr'", 1, "proxy: `sip:a b;lr` is no SIP URI: ` ` cannot stand in one"),
        ("proxy = 'sip:p.example>'", 1, "proxy: `sip:p.example>` is no SIP URI: `>` cannot stand in one"),
        ("proxy = 'sip:@p.example'", 1, "proxy: `sip:@p.example` is no SIP URI, e.g. `sip:sip.partner.example:5060`"),
        ("proxy = 'sip:p.example;lr;transport=sctp'", 1, "proxy: transport `sctp` is not known here: udp, tcp, tls"),
        ("registrar = 'sip:p.example:99999'", 1, "registrar: `p.example:99999` is neither a name nor an address"),
        ("username = 'u>x'", 1, "username: `u>x` cannot stand before the @ of a SIP URI"),
        ("username = 'a b'", 1, "username: `a b` cannot stand before the @ of a SIP URI"),
        ("contact_user = 'a b@c'", 1, "contact_user: `a b@c` cannot stand before the @ of a SIP URI"),
        ("domain = 'p..example'", 1, "domain: `p..example` is neither a name nor an address, with or without a port"),
        ("realm = ''", 1, "realm: is empty: `*` is any"),
        ('region = "a\\r\\nb"', 1, r"region: `a\r\nb` has a character in it that cannot be printed"),
        ("countries = 'MX'", 1, 'countries: must be an array, e.g. ["..."], not a string'),
        ("prefixes = ['+1', 52]", 1, "prefixes: expected `str`, got `int` as item 2"),
        ("codecs = 'PCMU'", 1, 'codecs: must be an array, e.g. ["'),
        ("host = 'p.example'\ntransport = 'tls'", 2, "transport: TLS is off: set sip.tls_port"),
        ("proxy = 'sips:p.example'", 1, "proxy: TLS is off: set sip.tls_port"),
        ("host = 'p.example'\nproxy = 'sip:p.example;lr;transport=tls'", 2, "proxy: TLS is off: set sip.tls_port"),
        ("codecs = ['PCMU', 'PCMU']", 1, "codecs: names a codec twice"),
        ("price_per_minute = '1,5'", 1, "price_per_minute: `1,5` is no decimal number, e.g. `0.0080`"),
        ("price_per_minute = '-1'", 1, "price_per_minute: `-1` is no price"),
        ("price_per_minute = '1e400'", 1, "price_per_minute: `1e400` is more than 1000 per minute"),
        ("price_per_minute = '1000.01'", 1, "price_per_minute: `1000.01` is more than 1000 per minute"),
        ("price_per_minute = '0.0000001'", 1, "price_per_minute: `0.0000001` has more than 6 decimals"),
        ("price_per_minute = 'NaN'", 1, "price_per_minute: `NaN` is no price"),
        ("price_per_minute = 0.008", 1, "price_per_minute: expected `str`, got `float`"),
        ("currency = 'dollar'", 1, "currency: `dollar` is no currency code (ISO 4217), e.g. `USD`"),
        ("billing = '60'", 1, "billing: `60` is no `first/step` in seconds, e.g. `60/60`, `30/6`, `1/1`"),
        ("billing = '0/6'", 1, "billing: `0/6` is no `first/step` in seconds"),
        ("max_calls = -1", 1, "max_calls: must be from 0 to 100000, not -1"),
        ("calls_per_s = -0.5", 1, "calls_per_s: must be from 0 to 10000, not -0.5"),
        ("probe_every_s = 301", 1, "probe_every_s: must be from 0 to 300, not 301"),
        ("probe_every_s = 0.001", 1, "probe_every_s: must be 0 (never) or at least 0.5, not 0.001"),
        ('[trunks.caller_id]\nname = "a\\u001bb"', 2, r"caller_id.name: `a\x1bb` has a character in it that"),
        ("min_se_s = 60", 1, "min_se_s: must be from 90 to 86400, not 60"),
        ("session_expires_s = 100\nmin_se_s = 120", 1, "session_expires_s: is below min_se_s (120)"),
        ("public_host = 'here'", 1, "public_host: `here` is no IP address"),
        ("inbound_username = 'u'", 1, "inbound_username: needs inbound_password_env or inbound_password_file"),
        ("inbound_password_env = 'PW'", 0, "inbound_username: is missing: whose password is it?"),
        ("inbound_username = 'u'\ninbound_password_env = 'NO'", 2, "inbound_password_env: environment variable NO"),
        (
            "[trunks.caller_id]\nnumber = '5512345678'",
            2,
            "caller_id.number: `5512345678` is no E.164 number, e.g. `+525512345678`",
        ),
        ("[trunks.caller_id]\nformat = 'national'", 2, "caller_id.format: national in which country?"),
        ("[trunks.caller_id]\nnubmer = 'x'", 2, "caller_id.nubmer: unknown key, did you mean `number`?"),
    ],
)
def test_one_mistake(tmp_path: Path, more: str, line: int, problem: str) -> None:
    [found] = problems(tmp_path, GOOD + more)
    place = BEFORE + line if line else BEFORE - 2  # what is missing is told at its table
    assert found.startswith(f"x.toml:{place}: trunks[0].{problem}")


@pytest.mark.parametrize(
    "more",
    [
        "countries = ['MX', 'US']\nprefixes = ['+52', '+1']\nrole = 'backup'\norder = 3\nregion = 'latam'",
        "host = 'sip.p.example'\nsrv = false\ndial_format = 'national'",
        "host = '[2001:db8::1]:5060'\ntransport = 'tcp'",
        "price_per_minute = '0.0080'\ncurrency = 'MXN'\nbilling = '30/6'",
        "inbound_username = 'u'\ninbound_password_env = 'PW'",
        "[trunks.caller_id]\nnumber = '4711'\nformat = 'as-given'",
        "countries = ['DE']\n[trunks.caller_id]\nformat = 'national'\nheader = 'both'\nprivacy = true",
        "proxy = 'sip:us:pw@[2001:db8::1]:5060;lr;transport=TCP'\nusername = '%40.b-c'\ncontact_user = '+49;x=1'",
        "domain = '_sip.p-1.example:5061'\nproxy = 'sip:p.example;lr'\nrealm = 'two words'",
        "probe_every_s = 0\nkeep_alive_s = 0\nallow_refer = false",
    ],
)
def test_no_mistake(tmp_path: Path, more: str) -> None:
    assert problems(tmp_path, GOOD + more) == []


@pytest.mark.parametrize(
    "who", ["host = 'p.example'", "proxy = 'sip:p.example'", "inbound_username = 'u'\ninbound_password_env = 'PW'"]
)
def test_a_peer_needs_no_source_when_it_is_known_otherwise(tmp_path: Path, who: str) -> None:
    assert problems(tmp_path, GOOD.replace('sources = ["192.0.2.1"]\n', "") + who) == []


def test_two_that_could_not_be_told_apart(tmp_path: Path) -> None:
    login = "contact_user = 'us'\ninbound_username = 'them'\ninbound_password_env = 'PW'\n"
    two = f"{GOOD}{login}[[trunks]]\nname = 'u'\nsources = ['192.0.2.2']\n{login}"
    assert problems(tmp_path, two) == [
        f"x.toml:{BEFORE + 7}: trunks[1].contact_user: `us` is that of trunk `t` too",
        f"x.toml:{BEFORE + 8}: trunks[1].inbound_username: `them` is that of trunk `t` too",
    ]


def test_tls_takes_a_certificate_that_can_be_read(tmp_path: Path) -> None:
    assert problems(tmp_path, f"{GOOD}[sip]\ntls_port = 5061") == []  # to call takes none
    path = tmp_path / "c.pem"
    path.write_text("x")
    for there, missing in (("certificate", "key"), ("key", "certificate")):
        assert problems(tmp_path, f"{GOOD}[sip]\ntls_port = 5061\ntls_{there}_file = '{path}'") == [
            f"x.toml:{BEFORE + 3}: sip.tls_{there}_file: is there without tls_{missing}_file",
        ]
    files = "tls_certificate_file = '/nowhere.pem'\ntls_key_file = '/nowhere.key'\ntls_ca_file = '/nowhere.ca'"
    assert problems(tmp_path, f"{GOOD}[sip]\ntls_port = 5061\n{files}") == [
        f"x.toml:{BEFORE + 3}: sip.tls_certificate_file: file /nowhere.pem cannot be read",
        f"x.toml:{BEFORE + 4}: sip.tls_key_file: file /nowhere.key cannot be read",
        f"x.toml:{BEFORE + 5}: sip.tls_ca_file: file /nowhere.ca cannot be read",
    ]


def test_outbound_costs_and_name_servers(tmp_path: Path) -> None:
    text = "[sip]\nname_servers = ['ns.example']\n[outbound]\ncountry = 'XX'\nplatforms = ['noe']\n"
    assert problems(tmp_path, f"{GOOD}{text}[costs]\nsingle_provider_per_minute = 'much'\ncurrency = '$'") == [
        f"x.toml:{BEFORE + 2}: sip.name_servers: `ns.example` is no IP address, nor one with a port",
        f"x.toml:{BEFORE + 4}: outbound.country: `XX` is no country code (ISO 3166), e.g. `MX`",
        f"x.toml:{BEFORE + 5}: outbound.platforms: no platform is called `noe`, did you mean `one`?",
        f"x.toml:{BEFORE + 7}: costs.single_provider_per_minute: `much` is no decimal number, e.g. `0.0080`",
        f"x.toml:{BEFORE + 8}: costs.currency: `$` is no currency code (ISO 4217), e.g. `USD`",
    ]


@pytest.mark.parametrize(
    ("text", "good"),
    [
        *(("p", True), ("p.example", True), ("sip-1.p.example:5060", True), ("192.0.2.1:5060", True)),
        *(("[::1]:5060", True), ("::1", True), ("[p.example]", False), ("p.example:0", False), ("-p", False)),
        *(("", False), ("sip:p.example", False), ("p..example/x", False), ("1.2.3", False)),
    ],
)
def test_hosts(text: str, good: bool) -> None:
    assert is_host(text) is good


@pytest.mark.parametrize(
    ("text", "good"),
    [("192.0.2.53", True), ("192.0.2.53:5353", True), ("::1", True), ("[::1]:53", True), ("x:53", False), ("", False)],
)
def test_servers(text: str, good: bool) -> None:
    assert is_server(text) is good


def test_more_trunks_than_the_stack_has_room_for(tmp_path: Path) -> None:
    text = GOOD + "".join(f'[[trunks]]\nname = "t{place}"\nsources = ["192.0.2.2"]\n' for place in range(1000))
    line = BEFORE + 3 * 999 + 1
    assert problems(tmp_path, text) == [
        f"x.toml:{line}: trunks[1000]: is one more than the 1000 trunks that there may be"
    ]


def test_more_sources_than_the_gate_has_room_for(tmp_path: Path) -> None:
    many = ", ".join(f"'10.{place >> 8}.{place & 255}.1'" for place in range(8193))
    [problem] = problems(tmp_path, GOOD.replace("'192.0.2.1'", many).replace('"192.0.2.1"', many))
    assert problem.endswith(": trunks: all together more than 8192 sources")


@pytest.mark.parametrize("key", ["name", "username", "domain", "contact_user", "realm", "proxy", "inbound_username"])
def test_no_line_break_anywhere(tmp_path: Path, key: str) -> None:
    value = '"sip:a\\r\\nX: y"'
    text = GOOD.replace('name = "t"', f"name = {value}") if key == "name" else f"{GOOD}{key} = {value}"
    found = problems(tmp_path, text)
    assert any(r"`sip:a\r\nX: y` has a character in it that cannot be printed" in one for one in found)
    assert not any("\r" in one or "\n" in one for one in found)
