"""Who a trunk is: its names, its addresses, and what the stack has to know to tell its calls from others. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable

from sip.border import SipError
from sip.messages import Target, TrunkAccount
from sip.options import EndpointOptions, Transport

LOCAL = TrunkAccount(name="", kind="peer", keep_alive_s=0)
"Nobody's trunk: calls to anywhere go out over it when there is no other."
DEFAULT_PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061}
"RFC 3261, 19.1.2."
UNSPECIFIED = frozenset({"", "0.0.0.0", "::"})
MAX_WORD = 127
"Characters of a name that the gate can hold (native/ledger.h)."

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_URI = re.compile(
    r"^<?(?P<scheme>sips?):(?:[^@]*@)?(?P<host>\[[^\]]+\]|[^:;?>]+)(?::(?P<port>\d+))?(?P<rest>[^>]*)", re.IGNORECASE
)
_TRANSPORT = re.compile(r";transport=(\w+)", re.IGNORECASE)


# --- URIs


def host_of(uri: str) -> str:
    """The host of a SIP URI without brackets; empty if it is none."""
    found = _URI.match(uri.strip())
    return found["host"].strip("[]") if found else ""


def is_secure(uri: str) -> bool:
    return uri.strip().lstrip("<").lower().startswith("sips:")


def in_uri(host: str) -> str:
    """An address as the host of a URI."""
    return f"[{host}]" if ":" in host else host


def address_of(source: str) -> str:
    """`192.0.2.1:5060` or `[2001:db8::1]:5060` without the port."""
    return source.rpartition(":")[0].strip("[]")


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def target_in(uri: str) -> Target | None:
    """Where a URI leads that needs no look-up. None when its host is a name."""
    found = _URI.match(uri.strip())
    if found is None or not is_address(host := found["host"].strip("[]")):
        return None
    named = _TRANSPORT.search(found["rest"])
    transport = named[1].lower() if named else "udp"
    if is_secure(uri):
        transport = "tls"
    if transport not in DEFAULT_PORTS:
        return None
    kind: Transport = transport  # type: ignore[assignment]
    return Target(address=host, port=int(found["port"] or DEFAULT_PORTS[transport]), transport=kind)


def with_transport(uri: str, transport: Transport) -> str:
    """The same URI, saying how it is reached; so that our Contact is one that can be reached in the same way."""
    if transport == "udp" or is_secure(uri) or _TRANSPORT.search(uri):
        return uri
    head, bracket, tail = uri.partition(">") if uri.startswith("<") else (uri, "", "")
    base, question, headers = head.partition("?")
    return f"{base};transport={transport}{question}{headers}{bracket}{tail}"


# --- who we are, and whom we dial


def host_on(trunk: TrunkAccount, options: EndpointOptions) -> str:
    """What a partner is told as our address; empty when that depends on the way to it."""
    host = trunk.public_host or options.public_host or options.host
    return "" if host in UNSPECIFIED else host


def domain_of(trunk: TrunkAccount, host: str) -> str:
    """The host part of our identity towards a trunk; `host`, our own, where nothing better is known."""
    return trunk.domain or in_uri(host_of(trunk.registrar) or host)


def our_uri(trunk: TrunkAccount, host: str, user: str = "puente") -> str:
    """Who we are towards a trunk. A trunk that knows us by name insists on that name."""
    scheme = "sips" if is_secure(trunk.registrar) else "sip"
    return f"{scheme}:{trunk.username or user}@{domain_of(trunk, host)}"


def contact_user(trunk: TrunkAccount) -> str:
    return trunk.contact_user or trunk.username


def target_uri(uri: str, domain: str) -> str:
    """What to dial: a URI as it stands, a bare number at the trunk's domain."""
    if uri.lower().startswith(("sip:", "sips:", "<sip:", "<sips:")):
        return uri
    return f"sip:{uri}@{domain}"


def targets_of(trunk: TrunkAccount) -> tuple[Target, ...]:
    """Where requests to a trunk go, best first: as looked up, or as its own URIs say."""
    if trunk.targets:
        return trunk.targets
    found = target_in(trunk.proxy) if trunk.proxy else target_in(trunk.registrar)
    return (found,) if found else ()


def route_of_call(trunk: TrunkAccount, target: Target | None, uri: str, host: str) -> tuple[str, Target | None]:
    """The request URI of a call, and where it goes (None: where the URI leads). Raises SipError when nobody knows."""
    domain = trunk.domain or in_uri(host_of(trunk.registrar) or (target.name or target.address if target else host))
    if target and not trunk.domain and not trunk.registrar and not target.name:
        domain = f"{domain}:{target.port}"
    dialled = target_uri(uri, domain)
    if target is None:
        leads_to = host_of(trunk.proxy or dialled)
        if leads_to and not is_address(leads_to):
            raise SipError(f"no address of {leads_to} is known")
        return dialled, None
    if is_secure(dialled) and target.transport != "tls":
        raise SipError(f"{target} is no way for a sips URI")
    return with_transport(dialled, target.transport), target


def hop(target: Target | None, host: str) -> str:
    """A next hop in the words of native/hop.h; `host` is what this partner knows us by."""
    where = f"{target.transport} {target.address} {target.port} {target.name or '-'}" if target else "- - 0 -"
    return f"{where} {host or '-'}"


# --- what the gate is told


def check(trunk: TrunkAccount) -> None:
    """Raises SipError naming what of a trunk the stack can not work with."""
    for source in trunk.sources:
        _network(trunk, source)
    words = (trunk.public_host, contact_user(trunk), trunk.inbound_username, trunk.inbound_password)
    if any(len(word.encode()) > MAX_WORD or re.search(r"[\t\r\n]", word) for word in words):
        raise SipError(f"trunk {trunk.name}: a host, user or inbound password is longer than {MAX_WORD} characters")
    for target in trunk.targets:
        if not is_address(target.address):
            raise SipError(f"trunk {trunk.name}: target {target.address!r} is no address")
    if trunk.kind == "register" and not host_of(trunk.registrar):
        raise SipError(f"trunk {trunk.name}: Invalid URI: the registrar is {trunk.registrar!r}")


def networks_of(trunk: TrunkAccount, addresses: Iterable[str] = ()) -> list[str]:
    """Where requests of a trunk may come from, each once: its sources, where its URIs lead, and its targets.

    `addresses`: more of them, e.g. of targets that it had until just now.
    """
    own = (host_of(trunk.registrar), host_of(trunk.proxy), *(target.address for target in trunk.targets), *addresses)
    found = [_network(trunk, source) for source in trunk.sources]
    found += [ipaddress.ip_network(address) for address in own if is_address(address)]
    return [str(network) for network in dict.fromkeys(found)]


def gate_line(account: int, trunk: TrunkAccount, host: str) -> str:
    """One trunk in the words of native/ledger.h."""
    has_digest = bool(trunk.inbound_username and trunk.inbound_password)
    user, password = (trunk.inbound_username, trunk.inbound_password) if has_digest else ("", "")
    user_of_contact = contact_user(trunk) if trunk.kind == "register" else ""
    return "\t".join((str(account), f"{trunk.calls_per_s:.3f}", host, user_of_contact, user, password))


def needs(trunk: TrunkAccount, transports: Collection[str]) -> str:
    """The transport that a trunk's targets want and the stack has not; empty if there is none."""
    return next((one.transport for one in targets_of(trunk) if one.transport not in transports), "")


def _network(trunk: TrunkAccount, source: str) -> Network:
    try:
        return ipaddress.ip_network(source, strict=False)
    except ValueError:
        raise SipError(f"trunk {trunk.name}: source {source!r} is no address or CIDR range") from None
