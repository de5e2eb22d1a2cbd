"""One SIP partner: a Kamailio on a loopback address of its own, and what may befall it. What it does: partner.cfg.

async with partner(folder, host="127.0.3.2", network="127.0.3.1:5070", account=account) as primary:
    await primary.kill()        SIGKILL: the sockets are gone
    primary.freeze()            SIGSTOP: the sockets stay and nobody answers, packets vanish
    primary.thaw()              what has waited in its sockets is read now
    await primary.start()       back, and it has forgotten who was registered
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bridge.bench.failover.authority import Pair
from bridge.bench.rig import START_S, Trouble, last_words
from bridge.bench.siptext import request

PROGRAM = shutil.which("kamailio", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
"Not in every user's path."
CONFIG = Path(__file__).with_name("partner.cfg")
TLS_CONFIG = """\
[server:default]
method = TLSv1.2+
certificate = {certificate}
private_key = {key}
"""
ASK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Account:
    """The one customer."""

    user: str = ""
    password: str = ""
    peer: str = ""
    "He does not register: he is at this address, perhaps with `;transport=`."


class Partner:
    def __init__(
        self, folder: Path, host: str, network: str, account: Account, certificate: Pair | None, port: int
    ) -> None:
        self.host, self.certificate = host, certificate
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._network, self.account = folder, network, account
        self.port, self.tls_port = port or free_port(host), free_port(host)
        self._process: asyncio.subprocess.Process | None = None

    def __repr__(self) -> str:
        return f"<Partner {self._folder.name} {self.address}>"

    @property
    def address(self) -> tuple[str, int]:
        """Where it speaks UDP."""
        return self.host, self.port

    @property
    def is_running(self) -> bool:
        return self._process is not None

    @property
    def log(self) -> Path:
        return self._folder / "kamailio.log"

    # --- life

    async def start(self) -> None:
        """Returns when it answers. Raises Trouble."""
        if PROGRAM is None:
            raise Trouble("Kamailio is needed: apt install kamailio kamailio-tls-modules")
        words = {"HOST": self.host, "PORT": str(self.port)}
        if self.certificate:
            tls_file = self._folder / "tls.cfg"
            tls_file.write_text(TLS_CONFIG.format(certificate=self.certificate.certificate, key=self.certificate.key))
            words |= {"TLS_PORT": str(self.tls_port), "TLS_FILE": f'"{tls_file}"'}
        defined = [word for pair in words.items() for word in ("-A", "=".join(pair))]
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(PROGRAM, "-f", str(CONFIG), *defined, *(("-A", "WITH_TLS") if self.certificate else ())),
                *("-DD", "-E", "-Y", str(self._folder), "-P", str(self._folder / "kamailio.pid")),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={
                    **os.environ,
                    "PARTNER_USER": self.account.user,
                    "PARTNER_PASSWORD": self.account.password,
                    "PARTNER_PEER": self.account.peer,
                    "PARTNER_NETWORK": self._network,
                },
                start_new_session=True,  # it has children: the group is what is killed
            )
        await self._answering()

    async def _answering(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + START_S
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((self.host, 0))
            sock.setblocking(False)
            while loop.time() < until:
                assert self._process is not None
                if self._process.returncode is not None:
                    raise Trouble(f"a Kamailio ended with code {self._process.returncode} ({last_words(self.log)})")
                with suppress(TimeoutError, OSError):
                    await loop.sock_sendto(sock, self._options(sock.getsockname()[1]), self.address)
                    await asyncio.wait_for(loop.sock_recv(sock, 65536), ASK_EVERY_S)
                    if self._takes_connections():  # TCP and TLS come up last
                        return
                await asyncio.sleep(ASK_EVERY_S)
        raise Trouble(f"a Kamailio did not answer within {START_S:.0f} s ({last_words(self.log)})")

    def _takes_connections(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex((self.host, self.tls_port if self.certificate else self.port)) == 0

    def _options(self, local_port: int) -> bytes:
        us = f"sip:lab@{self.host}:{local_port}"
        return request(
            "OPTIONS",
            f"sip:{self.host}:{self.port}",
            [
                ("via", f"SIP/2.0/UDP {self.host}:{local_port};branch=z9hG4bK{secrets.token_hex(8)};rport"),
                ("max-forwards", "70"),
                ("from", f"<{us}>;tag={secrets.token_hex(4)}"),
                ("to", f"<sip:{self.host}:{self.port}>"),
                ("call-id", secrets.token_hex(8)),
                ("cseq", "1 OPTIONS"),
            ],
        )

    # --- what may befall it

    async def kill(self) -> None:
        """SIGKILL to all its processes. Twice is once."""
        process, self._process = self._process, None
        if process is not None:
            self._tell(process, signal.SIGKILL)
            await process.wait()

    def freeze(self) -> None:
        if self._process is not None:
            self._tell(self._process, signal.SIGSTOP)

    def thaw(self) -> None:
        if self._process is not None:
            self._tell(self._process, signal.SIGCONT)

    @staticmethod
    def _tell(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def free_port(host: str) -> int:
    """Free for both UDP and TCP."""
    while True:
        with socket.socket() as stream, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            stream.bind((host, 0))
            port = int(stream.getsockname()[1])
            with suppress(OSError):
                datagrams.bind((host, port))
                return port


@asynccontextmanager
async def partner(
    folder: Path, *, host: str, network: str, account: Account, certificate: Pair | None = None, port: int = 0
) -> AsyncIterator[Partner]:
    """Up and answering; gone when the block is left. `certificate`: what it shows on its TLS port."""
    built = Partner(folder, host, network, account, certificate, port)
    try:
        await built.start()
        yield built
    finally:
        await built.kill()
