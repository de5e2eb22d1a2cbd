"""Who may call us, from where, and when to register again. Pure."""

from __future__ import annotations

import ipaddress
import random
import re
from collections.abc import Callable, Iterable
from typing import Literal

from sip.messages import Registration, TrunkAccount

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

REFUSED = frozenset({401, 403, 404, 407})
"Answers of a registrar that mean our credentials or our account: waiting does not mend them, an operator does."
REFUSED_HEAD_START = 3
"Refused registrations start their back-off here: hammering with a wrong password gets an address banned."

_URI_HOST = re.compile(r"^sips?:(?:[^@]*@)?(\[[^\]]+\]|[^:;?>]+)", re.IGNORECASE)


def host_of(uri: str) -> str:
    """The host of a SIP URI without brackets; empty if it is none."""
    found = _URI_HOST.match(uri.strip().lstrip("<"))
    return found[1].strip("[]") if found else ""


def address_of(source: str) -> str:
    """`192.0.2.1:5060` or `[2001:db8::1]:5060` without the port."""
    return source.rpartition(":")[0].strip("[]")


def domain_of(trunk: TrunkAccount | None, host: str) -> str:
    """The host part of our identity towards a trunk; `host`, our own, where nothing better is known."""
    return (trunk and (trunk.domain or host_of(trunk.registrar))) or host


def target_uri(uri: str, domain: str) -> str:
    """What to dial: a URI as it stands, a bare number at the trunk's domain."""
    if uri.lower().startswith(("sip:", "sips:", "<sip:", "<sips:")):
        return uri
    return f"sip:{uri}@{domain}"


class Sources:
    """Which trunk an address belongs to: the longest prefix wins."""

    def __init__(self, trunks: Iterable[TrunkAccount]) -> None:
        self._trunks: dict[Network, str] = {}
        for trunk in trunks:
            for source in trunk.sources:
                self._trunks.setdefault(ipaddress.ip_network(source, strict=False), trunk.name)
            for uri in (trunk.registrar, trunk.proxy):
                self.learn(trunk.name, host_of(uri))

    def learn(self, trunk: str, address: str) -> bool:
        """Adds one address, e.g. where the registrar's name led to. True if it was new."""
        try:
            network = ipaddress.ip_network(address)
        except ValueError:
            return False
        if network in self._trunks:
            return False
        self._trunks[network] = trunk
        return True

    def trunk_of(self, address: str) -> str | None:
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return None
        matching = [network for network in self._trunks if ip in network]
        return self._trunks[max(matching, key=lambda network: network.prefixlen)] if matching else None

    def networks(self) -> list[str]:
        return [str(network) for network in self._trunks]


def retry_in(failures: int, first_s: float, roll: Callable[[], float] = random.random) -> float:
    """Seconds to wait before registering again after so many failures in a row (RFC 5626, 4.5)."""
    return min(60.0, 2.0 ** min(failures - 1, 6)) * first_s * (0.5 + roll() / 2)


class Registrar:
    """What the answers to our REGISTERs mean, and when to try again."""

    def __init__(self, trunk: str, first_s: float, roll: Callable[[], float] = random.random) -> None:
        self._trunk, self._first_s, self._roll = trunk, first_s, roll
        self._failures = 0
        self.is_leaving = False
        "We gave the registration back: nothing is to be tried again."

    def on_answer(self, status: int, reason: str, expires_s: int) -> Registration:
        """The state to tell; register again after its `retry_in_s` if that is not 0."""
        if status // 100 == 2 and expires_s > 0:
            self._failures = 0
            return self._state("registered", status, reason, expires_s=expires_s)
        if self.is_leaving:
            return self._state("unregistered", status, reason)
        refused = status in REFUSED or status >= 600
        self._failures = max(self._failures + 1, REFUSED_HEAD_START if refused else 1)
        wait_s = round(retry_in(self._failures, self._first_s, self._roll), 1)
        return self._state("refused" if refused else "unreachable", status, reason, retry_in_s=wait_s)

    def _state(
        self,
        state: Literal["registered", "refused", "unreachable", "unregistered"],
        status: int,
        reason: str,
        *,
        expires_s: int = 0,
        retry_in_s: float = 0.0,
    ) -> Registration:
        return Registration(
            trunk=self._trunk, state=state, status=status, reason=reason, expires_s=expires_s, retry_in_s=retry_in_s
        )
