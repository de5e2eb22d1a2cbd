"""A small name server on loopback: real DNS over UDP, with a zone that a test may change while it runs."""

from __future__ import annotations

import asyncio
from collections import Counter
from types import TracebackType

import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset


class NameServer(asyncio.DatagramProtocol):
    """`async with NameServer() as server:` with `server.zone[("host.", "A")] = (ttl_s, ["192.0.2.1"])`."""

    def __init__(self) -> None:
        self.zone: dict[tuple[str, str], tuple[int, list[str]]] = {}
        self.is_dead = False
        "Packets vanish."
        self.fails = False
        "SERVFAIL to everything."
        self.asked: Counter[str] = Counter()
        self.address = ""

    def put(self, name: str, kind: str, *values: str, ttl_s: int = 60) -> None:
        self.zone[(f"{name}.", kind)] = (ttl_s, list(values))

    async def __aenter__(self) -> NameServer:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, ("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._transport.get_extra_info('sockname')[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        [question] = query.question
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked[kind] += 1
        if self.is_dead:
            return
        response = dns.message.make_response(query)
        name = question.name.to_text()
        known = {known for known, _ in self.zone}
        if self.fails:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif (found := self.zone.get((name, kind))) is not None:
            response.answer.append(dns.rrset.from_text(question.name, found[0], "IN", kind, *found[1]))
        elif name not in known:
            response.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(response.to_wire(), addr)
