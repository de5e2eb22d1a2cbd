"""Where a partner is to be looked for, as its settings say. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bridge.config import TrunkSection
from bridge.config.secrets import is_address
from sip.options import Target, Transport

URI = re.compile(
    r"(?P<scheme>sips?):(?:[^@]*@)?(?P<host>\[[^\]]+\]|[^:;?>]+)(?::(?P<port>\d+))?(?P<rest>.*)", re.IGNORECASE
)
HOST = re.compile(r"(?P<host>\[[^\]]+\]|[^:\[\]]+)(?::(?P<port>\d+))?")
TRANSPORT = re.compile(r";transport=(udp|tcp|tls)\b", re.IGNORECASE)
DEFAULT_PORT: dict[Transport, int] = {"udp": 5060, "tcp": 5060, "tls": 5061}


@dataclass(frozen=True, slots=True)
class Place:
    """A host to be looked up (RFC 3263, 4), or an address that needs no looking up."""

    host: str
    "Name or address, without brackets."
    port: int = 0
    "0: none was given."
    transport: Transport = "udp"
    srv: bool = True

    @property
    def is_address(self) -> bool:
        return is_address(self.host)

    def at(self, address: str, port: int = 0) -> Target:
        """The certificate must be for the name we began with, wherever SRV led (RFC 5922, 7.1)."""
        port = port or self.port or DEFAULT_PORT[self.transport]
        return Target(address, port, self.transport, "" if self.is_address else self.host)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.port else host


def place_of(trunk: TrunkSection) -> Place | None:
    """The proxy, else the host, else the registrar. None: the trunk takes calls in only."""
    for uri in (trunk.proxy, "" if trunk.host else trunk.registrar):
        if found := URI.match(uri.strip().lstrip("<")):
            named = TRANSPORT.search(found["rest"])
            secure: Transport = "tls" if found["scheme"].lower() == "sips" else trunk.transport
            transport: Transport = named[1].lower() if named else secure  # type: ignore[assignment]
            if found["scheme"].lower() == "sips":
                transport = "tls"
            return Place(found["host"].strip("[]"), int(found["port"] or 0), transport, trunk.srv)
    if not trunk.host:
        return None
    if is_address(trunk.host):  # an IPv6 address without brackets
        return Place(trunk.host, 0, trunk.transport, trunk.srv)
    found = HOST.fullmatch(trunk.host)
    assert found, f"{trunk.name}: host {trunk.host!r} has passed the checks"
    return Place(found["host"].strip("[]"), int(found["port"] or 0), trunk.transport, trunk.srv)
