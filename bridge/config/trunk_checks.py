"""What is wrong with trunks: each by itself, and all of them together."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence

from phonenumbers import SUPPORTED_REGIONS

from bridge.config.parts import Found, check_billing, check_currency, check_price, check_secret
from bridge.config.secrets import is_address
from bridge.config.sections import Section, SipSection, TrunkSection
from bridge.config.toml_lines import Path as Key
from bridge.config.toml_reader import nearest

E164 = re.compile(r"\+[1-9]\d{1,14}")
PREFIX = re.compile(r"\+[1-9]\d{0,14}")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?"
HOST = re.compile(rf"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<name>_?{_LABEL}(?:\._?{_LABEL})*))(?::(?P<port>[0-9]{{1,5}}))?")
USER = re.compile(r"(?:[A-Za-z0-9_.!~*'()&=+$,;?/-]|%[0-9A-Fa-f]{2})+")
"RFC 3261, 25.1: what may stand before the @ of a SIP URI."
SIP_URI = re.compile(r"sips?:(?:(?P<user>[^@]*)@)?(?P<where>[^;@]*)(?P<parameters>(?:;[^;@]+)*)")
NOT_IN_URI = re.compile(r"[^\x21-\x7e]|[<>\"?]")
TRANSPORTS = ("udp", "tcp", "tls")
LEAST_PROBE_S = 0.5
"Between two probes of one address: their answers take their time, and the partner has others to serve."
MOST_TRUNKS = 1000
"Twice as many fit into the stack (sip.stack.partners): a reload may have to keep all the old ones beside the new."
MOST_SOURCES = 8192
"Of all trunks together: half of what the gate has room for (sip/native/ledger.c), the rest is for looked-up addresses."
TRANSPORT = re.compile(r";transport=(udp|tcp|tls)\b")


def check_trunk(path: Key, trunk: TrunkSection, sip: SipSection, environ: Mapping[str, str]) -> Found:
    yield from check_secret((*path, "password"), trunk.password_env, trunk.password_file, environ)
    yield from check_secret(
        (*path, "inbound_password"), trunk.inbound_password_env, trunk.inbound_password_file, environ
    )
    yield from _check_words(path, trunk)
    yield from _check_inbound(path, trunk)
    yield from _check_outbound(path, trunk, sip)
    yield from _check_money(path, trunk)
    if len(set(trunk.codecs)) < len(trunk.codecs):
        yield (*path, "codecs"), "names a codec twice"
    if trunk.session_expires_s < trunk.min_se_s:
        yield (*path, "session_expires_s"), f"is below min_se_s ({trunk.min_se_s})"
    if trunk.public_host and not is_address(trunk.public_host):
        yield (*path, "public_host"), f"`{trunk.public_host}` is no IP address"
    if trunk.kind == "register":
        yield from _check_registering(path, trunk)


def _check_words(path: Key, part: Section) -> Found:
    """Nothing that would begin a new line, of a SIP message, of the log or of a terminal."""
    for key in part.__struct_fields__:
        value = getattr(part, key)
        if isinstance(value, Section):
            yield from _check_words((*path, key), value)
        for text in value if isinstance(value, tuple) else [value]:
            if isinstance(text, str) and not text.isprintable():
                yield (*path, key), f"`{text}` has a character in it that cannot be printed"


def _check_inbound(path: Key, trunk: TrunkSection) -> Found:
    for source in trunk.sources:
        try:
            ipaddress.ip_network(source, strict=False)
        except ValueError:
            yield (*path, "sources"), f"`{source}` is neither an address nor a CIDR range"
    has_password = trunk.inbound_password_env or trunk.inbound_password_file
    if trunk.inbound_username and not has_password:
        yield (*path, "inbound_username"), "needs inbound_password_env or inbound_password_file"
    elif has_password and not trunk.inbound_username:
        yield (*path, "inbound_username"), "is missing: whose password is it?"
    if trunk.kind == "peer" and not (trunk.sources or trunk.inbound_username or trunk.host or trunk.proxy):
        yield (*path, "sources"), "a peer is known by its source address: name at least one"


def _check_outbound(path: Key, trunk: TrunkSection, sip: SipSection) -> Found:
    for key in ("host", "domain"):
        if (value := getattr(trunk, key)) and not is_host(value):
            yield (*path, key), f"`{value}` is neither a name nor an address, with or without a port"
    for key in ("proxy", "registrar"):
        if (value := getattr(trunk, key)) and (problem := uri_problem(value)):
            yield (*path, key), problem
    for key in ("username", "contact_user"):
        if (value := getattr(trunk, key)) and not USER.fullmatch(value):
            yield (*path, key), f"`{value}` cannot stand before the @ of a SIP URI"
    if not trunk.realm:
        yield (*path, "realm"), "is empty: `*` is any"
    if 0 < trunk.probe_every_s < LEAST_PROBE_S:
        yield (*path, "probe_every_s"), f"must be 0 (never) or at least {LEAST_PROBE_S:g}, not {trunk.probe_every_s:g}"
    key, transport = _transport(trunk)
    port = {"udp": sip.udp_port, "tcp": sip.tcp_port, "tls": sip.tls_port}[transport]
    if port == -1 and (trunk.host or trunk.proxy or trunk.registrar):
        yield (*path, key), f"{transport.upper()} is off: set sip.{transport}_port"
    for country in trunk.countries:
        yield from check_country((*path, "countries"), country)
    for prefix in trunk.prefixes:
        if not PREFIX.fullmatch(prefix):
            yield (*path, "prefixes"), f"`{prefix}` is no beginning of an E.164 number, e.g. `+52`"
    caller = trunk.caller_id
    if caller.number and caller.format != "as-given" and not E164.fullmatch(caller.number):
        yield (*path, "caller_id", "number"), f"`{caller.number}` is no E.164 number, e.g. `+525512345678`"
    if caller.format == "national" and not (trunk.countries or caller.number):
        yield (*path, "caller_id", "format"), "national in which country? Set countries or caller_id.number"


def _transport(trunk: TrunkSection) -> tuple[str, str]:
    """Which key decides how requests travel, and how: a URI's word counts more than the trunk's."""
    key = "proxy" if trunk.proxy else "registrar" if trunk.registrar and not trunk.host else "transport"
    uri = getattr(trunk, key).lower()
    if key != "transport" and uri.startswith("sips:"):
        return key, "tls"
    if key != "transport" and (named := TRANSPORT.search(uri)):
        return key, named[1]
    return "transport", trunk.transport


def _check_money(path: Key, trunk: TrunkSection) -> Found:
    if trunk.price_per_minute:
        yield from check_price((*path, "price_per_minute"), trunk.price_per_minute)
    yield from check_currency((*path, "currency"), trunk.currency)
    yield from check_billing((*path, "billing"), trunk.billing)


def _check_registering(path: Key, trunk: TrunkSection) -> Found:
    if not trunk.registrar:
        yield (*path, "registrar"), "a registering trunk needs a registrar, e.g. `sip:sip.partner.example:5060`"
    if not trunk.username:
        yield (*path, "username"), "a registering trunk needs a user name"
    if not (trunk.password_env or trunk.password_file):
        yield (*path, "password_env"), "a registering trunk needs password_env or password_file"


def check_trunks_together(trunks: Sequence[TrunkSection]) -> Found:
    """Too many, or two that could not be told apart by what a call of theirs brings."""
    if len(trunks) > MOST_TRUNKS:
        yield ("trunks", MOST_TRUNKS), f"is one more than the {MOST_TRUNKS} trunks that there may be"
    if sum(len(trunk.sources) for trunk in trunks) > MOST_SOURCES:
        yield ("trunks",), f"all together more than {MOST_SOURCES} sources"
    for key in ("contact_user", "inbound_username"):
        seen: dict[str, str] = {}
        for place, trunk in enumerate(trunks):
            if value := getattr(trunk, key):
                if value in seen:
                    yield ("trunks", place, key), f"`{value}` is that of trunk `{seen[value]}` too"
                seen.setdefault(value, trunk.name)


def check_country(path: Key, country: str) -> Found:
    if country not in SUPPORTED_REGIONS:
        hint = nearest(country.upper(), SUPPORTED_REGIONS) if len(country) == 2 else ""
        yield path, f"`{country}` is no country code (ISO 3166), e.g. `MX`{hint}"


def is_host(text: str) -> bool:
    """`sip.partner.example`, `192.0.2.1:5060`, `[2001:db8::1]:5060`, `2001:db8::1`."""
    if is_address(text):
        return True
    found = HOST.fullmatch(text)
    if found is None or (found["v6"] and not is_address(found["v6"])):
        return False
    if found["name"] and found["name"].replace(".", "").isdigit() and not is_address(found["name"]):
        return False  # 192.0.2.256
    return found["port"] is None or 1 <= int(found["port"]) <= 65535


def uri_problem(uri: str) -> str:
    """What is wrong with where a proxy or a registrar shall be; empty: nothing."""
    if not uri.startswith(("sip:", "sips:")):
        return "must begin with sip: or sips:"
    if found := NOT_IN_URI.search(uri):
        return f"`{uri}` is no SIP URI: `{found[0]}` cannot stand in one"
    parts = SIP_URI.fullmatch(uri)
    if parts is None or (parts["user"] is not None and not USER.fullmatch(parts["user"].replace(":", ""))):
        return f"`{uri}` is no SIP URI, e.g. `sip:sip.partner.example:5060`"
    where = parts["where"]
    if not is_host(where) or (is_address(where) and ":" in where):  # an IPv6 address needs its brackets here
        return f"`{where}` is neither a name nor an address, with or without a port"
    for parameter in parts["parameters"].split(";"):
        name, _, value = parameter.partition("=")
        if name.lower() == "transport" and value.lower() not in TRANSPORTS:
            return f"transport `{value}` is not known here: {', '.join(TRANSPORTS)}"
    return ""


def is_server(text: str) -> bool:
    """An address, with or without a port."""
    if is_address(text):
        return True
    host, _, port = text.rpartition(":")
    return is_address(host.strip("[]")) and port.isdigit() and 1 <= int(port) <= 65535
