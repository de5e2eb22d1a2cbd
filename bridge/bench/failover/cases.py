"""What may go wrong with a partner, and how it is mended: one row each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from bridge.bench.failover.authority import LabCA
from bridge.bench.failover.names import NameServer
from bridge.bench.failover.network import Network
from bridge.bench.failover.partner import Partner
from sip.options import Transport

PRIMARY, BACKUP, MOVED = "primary", "backup", "moved"
SERVICES: dict[Transport, str] = {"udp": "_sip._udp", "tls": "_sips._tcp"}
TTL_S = 2


@dataclass
class Region:
    """A primary and a backup partner with a telephone network behind them, for one case."""

    name: str
    number: int
    "Among the regions of one bridge: part of its telephone numbers."
    transport: Transport
    folder: Path
    network: Network
    names: NameServer
    authority: LabCA | None = None
    partners: dict[str, Partner] = field(default_factory=dict)

    @property
    def primary(self) -> Partner:
        return self.partners[PRIMARY]

    def host_name(self, partner: str) -> str:
        return f"{partner}.{self.name}.lab"

    def publish(self, partner: str, machine: str = "") -> None:
        """SRV and address of a partner; `machine`: where it is now, if that is another one's."""
        there, name = self.partners[machine or partner], self.host_name(partner)
        port = there.tls_port if self.transport == "tls" else there.port
        host = f"{machine or partner}-machine.{self.name}.lab"
        self.names.put(f"{SERVICES[self.transport]}.{name}", "SRV", f"0 0 {port} {host}.", ttl_s=TTL_S)
        self.names.put(host, "A", there.host, ttl_s=TTL_S)


@dataclass(frozen=True, kw_only=True)
class Case:
    help: str
    strike: Callable[[Region], Awaitable[None]]
    repair: Callable[[Region], Awaitable[None]] | None = None
    "None: it is mended at once, at another place."
    transport: Transport = "udp"

    @property
    def home(self) -> str:
        """The machine that calls are to return to."""
        return PRIMARY if self.repair else MOVED

    @property
    def machines(self) -> tuple[str, ...]:
        return (PRIMARY, BACKUP) if self.repair else (PRIMARY, BACKUP, MOVED)


async def _kill(region: Region) -> None:
    await region.primary.kill()


async def _start(region: Region) -> None:
    await region.primary.start()


async def _freeze(region: Region) -> None:
    region.primary.freeze()


async def _thaw(region: Region) -> None:
    region.primary.thaw()


def _says(word: str, value: str) -> Callable[[Region], Awaitable[None]]:
    async def tell(region: Region) -> None:
        region.network.tell(PRIMARY, word, value)

    return tell


async def _password_back(region: Region) -> None:
    region.network.tell(PRIMARY, "password", region.primary.account.password)


async def _move(region: Region) -> None:
    region.publish(PRIMARY, MOVED)
    await region.primary.kill()


def _shows(expired: bool) -> Callable[[Region], Awaitable[None]]:
    async def restart(region: Region) -> None:
        assert region.authority is not None
        await region.primary.kill()
        region.primary.certificate = region.authority.certificate(region.host_name(PRIMARY), expired=expired)
        await region.primary.start()

    return restart


CASES: dict[str, Case] = {
    "killed": Case(help="SIGKILL to all its processes; started again, it knows no registration", strike=_kill,
                   repair=_start),
    "partitioned": Case(help="its packets vanish (SIGSTOP: sockets stay, nobody answers)", strike=_freeze,
                        repair=_thaw),
    "refusing": Case(help="503 to every INVITE; OPTIONS and REGISTER are answered as ever",
                     strike=_says("mode", "refuse"), repair=_says("mode", "none")),
    "slow": Case(help="an INVITE goes on after ten seconds; OPTIONS and REGISTER are answered as ever",
                 strike=_says("mode", "slow"), repair=_says("mode", "none")),
    "credentials": Case(help="the password is changed at the registrar, and changed back",
                        strike=_says("password", "another"), repair=_password_back),
    "moved": Case(help="the DNS answer names another machine, and the old one is killed in the same moment",
                  strike=_move),
    "expired": Case(help="started again with a TLS certificate of yesterday, later with a good one",
                    strike=_shows(expired=True), repair=_shows(expired=False), transport="tls"),
}  # fmt: skip
