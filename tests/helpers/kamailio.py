"""Kamailio (Debian's package) as a trunk on a loopback address of its own. What it does: tests/data/kamailio/trunk.cfg.

async with kamailio(tmp_path, host="127.0.0.2", user="100", password="...") as trunk:
    ... trunk.uri, trunk.heard("REGISTER") ...
    await trunk.stop()      dead, as a registrar can be
    await trunk.start()     back, and it has forgotten everything
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.baresip import free_port
from tests.helpers.rig import eventually
from tests.helpers.sippeer import SipPeer

PROGRAM = "/usr/sbin/kamailio"
"Not in every user's path."
KIND_END_S = 2.0
CONFIG = Path(__file__).parents[1] / "data" / "kamailio" / "trunk.cfg"
_HEARD = re.compile(r"heard (\S+) (\S+) from (\S+) by (\S+) cseq (\d+) expires (\S*)")


@dataclass(frozen=True, slots=True)
class Heard:
    """One request as it came by."""

    method: str
    user: str
    "Of the request URI."
    source: str
    transport: str
    cseq: int
    expires: str
    "The Expires header; empty when there was none."


class Kamailio:
    def __init__(self, folder: Path, *, host: str, user: str, password: str, pstn: str, expires_s: int) -> None:
        self.host, self.port = host, free_port(host)
        self._folder = folder
        self._definitions = {"HOST": host, "PORT": str(self.port), "EXPIRES": str(expires_s)}
        self._secrets = {"TRUNK_USER": user, "TRUNK_PASSWORD": password, "TRUNK_PSTN": pstn}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def uri(self) -> str:
        return f"sip:{self.address}"

    @property
    def log_path(self) -> Path:
        return self._folder / "kamailio.log"

    def heard(self, method: str, source: str = "") -> list[Heard]:
        """All requests of that method, from everywhere or from one address and port, since the first start."""
        found = (_HEARD.search(line) for line in self.log_path.read_text().splitlines())
        every = (Heard(one[1], one[2], one[3], one[4], int(one[5]), one[6]) for one in found if one)
        return [one for one in every if one.method == method and source in ("", one.source)]

    async def start(self) -> None:
        """Returns when it answers."""
        definitions = [word for pair in self._definitions.items() for word in ("-A", "=".join(pair))]
        with self.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(PROGRAM, "-f", str(CONFIG), *definitions, "-DD", "-E"),
                *("-Y", str(self._folder), "-P", str(self._folder / "kamailio.pid")),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self._secrets},
                start_new_session=True,  # it has children: the group is what is killed in the end
            )
        await eventually(lambda: self._is_listening() or self._has_failed(), "Kamailio")
        async with await SipPeer.udp((self.host, self.port)) as peer:
            dialog = peer.dialog()
            dialog.target = self.uri
            answer = await dialog.transact("OPTIONS")
            assert answer.status == 200, answer.first_line

    def _is_listening(self) -> bool:
        """TCP comes up last."""
        with socket.socket() as sock:
            return sock.connect_ex((self.host, self.port)) == 0

    def _has_failed(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, self.log_path.read_text()
        return False

    async def stop(self) -> None:
        """Kindly first; told so while it is starting it may not hear it. Twice is once."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(TimeoutError, ProcessLookupError):
            process.terminate()
            async with asyncio.timeout(KIND_END_S):
                await process.wait()
        with suppress(ProcessLookupError):  # all gone already
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


@asynccontextmanager
async def kamailio(
    folder: Path,
    *,
    host: str = "127.0.0.2",
    user: str = "100",
    password: str = "",
    pstn: str = "127.0.0.1:1",
    expires_s: int = 60,
    runs: bool = True,
) -> AsyncIterator[Kamailio]:
    """`pstn`: where calls of the customer to numbers other than its own go. `runs`: False is dead until `start()`."""
    os.makedirs(folder, exist_ok=True)
    trunk = Kamailio(
        folder, host=host, user=user, password=password or secrets.token_hex(8), pstn=pstn, expires_s=expires_s
    )
    try:
        if runs:
            await trunk.start()
        yield trunk
    finally:
        await trunk.stop()
