"""Peers over TCP and TLS: one that listens for our connections, and one that makes a connection of its own."""

from __future__ import annotations

import asyncio
import ssl
from typing import Self

from tests.helpers.sippeer import SipPeer, _Stream


class StreamPeer(SipPeer):
    """Answers on the latest connection. `connections`: all of them, so that a test can count and cut them."""

    def __init__(self, remote: tuple[str, int] | None, transport: str) -> None:
        super().__init__(remote, transport)
        self.connections: list[asyncio.Transport] = []

    @classmethod
    async def listen(cls, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> Self:
        peer = cls(None, "TLS" if tls else "TCP")
        server = await asyncio.get_running_loop().create_server(lambda: _Connection(peer), host, port, ssl=tls)
        peer.local = server.sockets[0].getsockname()[:2]

        def write(data: bytes) -> None:
            peer.connections[-1].write(data)

        def close() -> None:
            server.close()
            peer.cut()

        peer._write, peer._close = write, close
        return peer

    @classmethod
    async def connect(cls, remote: tuple[str, int], tls: ssl.SSLContext, host: str = "127.0.0.1") -> Self:
        peer = cls(remote, "TLS")
        transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: _Connection(peer), *remote, ssl=tls, local_addr=(host, 0)
        )
        peer.local = transport.get_extra_info("sockname")[:2]
        peer._write = transport.write
        peer._close = peer.cut
        return peer

    def cut(self) -> None:
        """All connections end at once."""
        for transport in self.connections:
            transport.abort()


class _Connection(_Stream):
    def __init__(self, peer: StreamPeer) -> None:
        super().__init__(peer)
        self._owner = peer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._owner.connections.append(transport)
        if not self._owner.remote[1]:
            self._owner.remote = transport.get_extra_info("peername")[:2]
