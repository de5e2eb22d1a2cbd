"""Who may call us, from where, and when to register again. Pure."""

from __future__ import annotations

import ipaddress
import random
import re
from collections.abc import Callable, Iterable
from typing import Literal

from sip.border import SipError
from sip.messages import Registration, TrunkAccount

LOCAL = TrunkAccount(name="", kind="peer")
"Nobody's trunk: calls to anywhere go out over it when there is no other."

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


def domain_of(trunk: TrunkAccount, host: str) -> str:
    """The host part of our identity towards a trunk; `host`, our own, where nothing better is known."""
    return trunk.domain or host_of(trunk.registrar) or host


def our_uri(trunk: TrunkAccount, host: str, user: str = "puente") -> str:
    """Who we are towards a trunk. A trunk that knows us by name insists on that name."""
    return f"sip:{trunk.username or user}@{domain_of(trunk, host)}"


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
                self._trunks.setdefault(_network(trunk, source), trunk.name)
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


def _network(trunk: TrunkAccount, source: str) -> Network:
    try:
        return ipaddress.ip_network(source, strict=False)
    except ValueError:
        raise SipError(f"trunk {trunk.name}: source {source!r} is no address or CIDR range") from None


def retry_in(failures: int, first_s: float, roll: Callable[[], float] = random.random) -> float:
    """Seconds to wait before registering again after so many failures in a row (RFC 5626, 4.5)."""
    return min(60.0, 2.0 ** min(failures - 1, 6)) * first_s * (0.5 + roll() / 2)


class Registrar:
    """Keeps one trunk registered: tells what the answers to our REGISTERs mean, and tries again after failures."""

    def __init__(
        self,
        trunk: TrunkAccount,
        register: Callable[[], None],
        emit: Callable[[Registration], None],
        later: Callable[[float, Callable[[], None]], object],
        roll: Callable[[], float] = random.random,
    ) -> None:
        """`register` sends one and may raise SipError; the stack refreshes a registration that stands by itself."""
        self._trunk, self._register, self._emit, self._later, self._roll = trunk, register, emit, later, roll
        self._failures = 0
        self._is_leaving = False
        self.is_registered = False
        "As far as the registrar has told us: true until it has confirmed that we left."

    def leave(self) -> None:
        """The registration is given back: nothing is to be tried again."""
        self._is_leaving = True

    def on_answer(self, status: int, reason: str, expires_s: int) -> None:
        self.is_registered = status // 100 == 2 and expires_s > 0
        if self.is_registered:
            self._failures = 0
            self._tell("registered", status, reason, expires_s=expires_s)
        elif self._is_leaving:
            self._tell("unregistered", status, reason)
        else:
            refused = status in REFUSED or status >= 600
            self._failures = max(self._failures + 1, REFUSED_HEAD_START if refused else 1)
            wait_s = round(retry_in(self._failures, self._trunk.retry_s, self._roll), 1)
            self._later(wait_s, self._try_again)
            self._tell("refused" if refused else "unreachable", status, reason, retry_in_s=wait_s)

    def _try_again(self) -> None:
        if self._is_leaving:
            return
        try:
            self._register()
        except SipError as error:  # e.g. the registrar's name does not resolve just now
            self.on_answer(503, str(error), 0)

    def _tell(
        self,
        state: Literal["registered", "refused", "unreachable", "unregistered"],
        status: int,
        reason: str,
        *,
        expires_s: int = 0,
        retry_in_s: float = 0.0,
    ) -> None:
        self._emit(
            Registration(
                trunk=self._trunk.name,
                state=state,
                status=status,
                reason=reason,
                expires_s=expires_s,
                retry_in_s=retry_in_s,
            )
        )
