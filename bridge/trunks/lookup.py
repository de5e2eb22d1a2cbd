"""From a partner's name to its addresses: NAPTR, SRV, A and AAAA (RFC 3263, 4.2; RFC 2782).

Each step is asked only where the one before has nothing: no NAPTR is normal, no SRV too. But a server that is dead is
no answer: then LookUpFailed, and whoever asks keeps what he had. Nothing is cached here; `Answer.ttl_s` says how long
an answer may be used.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver

from bridge.config.secrets import is_address
from bridge.errors import BridgeError
from bridge.trunks.places import Place
from sip.options import Target, Transport

SERVICES: dict[Transport, tuple[str, str]] = {
    "udp": ("SIP+D2U", "_sip._udp"),
    "tcp": ("SIP+D2T", "_sip._tcp"),
    "tls": ("SIPS+D2T", "_sips._tcp"),
}
"Transport: its service in NAPTR (RFC 3263, 4.1), and the beginning of its SRV name."

LEAST_TTL_S, MOST_TTL_S = 1.0, 3600.0
"A TTL of 0 must not become a flood of questions; and a day is too long to go on calling a machine that has moved."
QUESTION_S, ANSWER_S = 0.8, 2.5
"How long one server is waited for, and all of them together."
MOST_TARGETS = 16

Family = Literal["ipv4", "ipv6"]


class LookUpFailed(BridgeError):
    """A sentence: which name, which question, and what went wrong."""


@dataclass(frozen=True, slots=True)
class Found:
    target: Target
    priority: int = 0
    weight: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    found: tuple[Found, ...]
    "By priority, then by address: the same answer is equal to itself, in whatever order a server gives it."
    ttl_s: float


class Directory(Protocol):
    """Who knows where a place is. `LookUpFailed` when nobody can say."""

    async def look_up(self, place: Place) -> Answer: ...


class Names:
    """The directory that is DNS."""

    def __init__(self, name_servers: Sequence[str] = (), family: Family = "ipv4") -> None:
        """`name_servers`: `192.0.2.53` or `192.0.2.53:5353`; none: those of the system."""
        self._servers = tuple(name_servers)
        self._kind = "A" if family == "ipv4" else "AAAA"
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def look_up(self, place: Place) -> Answer:
        if place.is_address:
            return Answer((Found(place.at(place.host)),), MOST_TTL_S)
        if place.srv and not place.port:
            naptr_name, naptr_ttl_s = await self._naptr(place)
            answer = await self._srv(place, naptr_name, naptr_ttl_s)
            if answer is not None:
                return answer
        addresses, ttl_s = await self._addresses(place.host)
        return _answer([Found(place.at(address)) for address in addresses], ttl_s)

    # --- the steps ---

    async def _naptr(self, place: Place) -> tuple[str, float]:
        """The name of the SRV records for our transport, and how long that may be believed."""
        service, prefix = SERVICES[place.transport]
        usual = f"{prefix}.{place.host}", MOST_TTL_S
        try:
            records, ttl_s = await self._ask(place.host, "NAPTR")
        except LookUpFailed:
            return usual  # many a server chokes on NAPTR; if it is really dead SRV will tell
        fit = [one for one in records if one.flags.lower() == b"s" and one.service.decode().upper() == service]
        if not fit:
            return usual
        best = min(fit, key=lambda one: (one.order, one.preference))
        return best.replacement.to_text(omit_final_dot=True), ttl_s

    async def _srv(self, place: Place, name: str, ttl_s: float) -> Answer | None:
        """None: there are no such records."""
        records, srv_ttl_s = await self._ask(name, "SRV")
        if not records:
            return None
        hosts = {record.target.to_text(omit_final_dot=True) for record in records}
        if hosts <= {".", ""}:  # RFC 2782: the service is decidedly not available
            raise LookUpFailed(f"{name}: SRV says that there is no such service")
        looked_up = dict(zip(hosts, await asyncio.gather(*map(self._addresses_or_none, hosts)), strict=True))
        found, ttls = [], [ttl_s, srv_ttl_s]
        for record in records:
            addresses, one_ttl_s = looked_up[record.target.to_text(omit_final_dot=True)]
            found += [Found(place.at(address, record.port), record.priority, record.weight) for address in addresses]
            ttls += [one_ttl_s] if addresses else []
        if not found:
            raise LookUpFailed(f"{name}: none of the hosts that SRV names has an address ({', '.join(sorted(hosts))})")
        return _answer(found, min(ttls))

    async def _addresses_or_none(self, host: str) -> tuple[list[str], float]:
        """One host of several that does not resolve leaves the others."""
        try:
            return await self._addresses(host)
        except LookUpFailed:
            return [], MOST_TTL_S

    async def _addresses(self, host: str) -> tuple[list[str], float]:
        if is_address(host):
            return [host], MOST_TTL_S
        records, ttl_s = await self._ask(host, self._kind)
        if not records:
            raise LookUpFailed(f"{host}: has no address ({self._kind})")
        return [record.address for record in records], ttl_s

    async def _ask(self, name: str, kind: str) -> tuple[list[Any], float]:
        """Records and their TTL; none when the name or the kind does not exist."""
        try:
            absolute = dns.name.from_text(name)
            answer = await self._get().resolve(absolute, kind, search=False, lifetime=ANSWER_S)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return [], MOST_TTL_S
        except (dns.exception.DNSException, OSError, UnicodeError) as error:
            raise LookUpFailed(f"{name}: no answer for {kind}: {_reason(error)}") from None
        assert answer.rrset is not None
        return list(answer.rrset), float(answer.rrset.ttl)

    def _get(self) -> dns.asyncresolver.Resolver:
        """Made when it is first needed: a bridge whose partners are all addresses needs no resolver."""
        if self._resolver is None:
            self._resolver = dns.asyncresolver.Resolver(configure=not self._servers)
            self._resolver.timeout = QUESTION_S
            if self._servers:
                self._resolver.nameservers = [_name_server(text) for text in self._servers]
        return self._resolver


def _answer(found: Iterable[Found], ttl_s: float) -> Answer:
    ordered = sorted(
        dict.fromkeys(found),
        key=lambda one: (one.priority, -one.weight, ipaddress.ip_address(one.target.address).packed),
    )
    return Answer(tuple(ordered[:MOST_TARGETS]), min(MOST_TTL_S, max(LEAST_TTL_S, ttl_s)))


def _name_server(text: str) -> dns.nameserver.Nameserver:
    if is_address(text):
        return dns.nameserver.Do53Nameserver(text)
    host, _, port = text.rpartition(":")
    return dns.nameserver.Do53Nameserver(host.strip("[]"), int(port))


def _reason(error: Exception) -> str:
    if isinstance(error, dns.exception.Timeout):
        return "no name server answers"
    if isinstance(error, dns.resolver.NoNameservers):
        return "the name servers refuse or fail"
    return str(error) or type(error).__name__


class Told:
    """A directory that was told beforehand: for tests, and where there is no DNS."""

    def __init__(self, answers: dict[str, Answer] | None = None) -> None:
        self.answers = answers or {}
        "By host. What is not there cannot be looked up."
        self.asked: list[Place] = []

    async def look_up(self, place: Place) -> Answer:
        self.asked.append(place)
        if place.is_address:
            return Answer((Found(place.at(place.host)),), MOST_TTL_S)
        if place.host not in self.answers:
            raise LookUpFailed(f"{place.host}: no answer for A: no name server answers")
        return self.answers[place.host]
