"""A SIP partner on loopback that is well, deaf or refusing; it keeps no dialog and counts what it hears."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from types import TracebackType

from sip.options import Target
from tests.helpers.sippeer import parse_sip

COPIED = ("Via", "From", "Call-ID", "CSeq")


class FarSide(asyncio.DatagramProtocol):
    """`async with FarSide("127.0.0.7") as one:`; it answers OPTIONS with 200, and INVITE with `invite_status`."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        self.port = 0
        self.is_deaf = False
        "Packets vanish."
        self.options_status = 200
        self.invite_status = 503
        self.heard: Counter[str] = Counter()

    @property
    def target(self) -> Target:
        return Target(self.host, self.port)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    async def __aenter__(self) -> FarSide:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, (self.host, self.port))
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not data.strip():
            return  # a keep-alive
        message = parse_sip(data)
        if message.status or self.is_deaf:
            return
        self.heard[message.method] += 1
        status = {"OPTIONS": self.options_status, "INVITE": self.invite_status}.get(message.method)
        if status is not None:
            lines = [f"SIP/2.0 {status} Said so", *(f"{name}: {one}" for name in COPIED for one in message.all(name))]
            lines += [f"To: {message['To']};tag={secrets.token_hex(4)}", "Content-Length: 0", "", ""]
            self._transport.sendto("\r\n".join(lines).encode(), addr)
