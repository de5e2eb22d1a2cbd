"""Starts `python -m sip.process` as the bridge does, and speaks the parent's side of the socket."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

from sip import messages as m
from sip.sdp import build_answer, build_offer, choose, parse
from tests.helpers.sippeer import Dialog, SipPeer, sdp

PATIENCE_S = 6.0
E = TypeVar("E", bound=m.Event)
LOOPBACK = m.TrunkAccount(name="loop", kind="peer", sources=("127.0.0.1",))


class SipProcess:
    """One child. Leaving the context closes the socket, which must end it."""

    def __init__(self, *trunks: m.TrunkAccount, env: Mapping[str, str] | None = None, **options: Any) -> None:
        """`env` is added to the environment of the process."""
        self._env = {**os.environ, **(env or {})}
        self.start = m.Start(
            options=m.EndpointOptions(**{"udp_port": 0, "tcp_port": 0, "max_calls": 32, **options}),
            trunks=trunks or (LOOPBACK,),
        )
        self.started: m.Started
        self.log: list[dict[str, str]] = []

    async def __aenter__(self) -> Self:
        await self.launch()
        self.started = await self.expect(m.Started)
        return self

    async def launch(self) -> None:
        self.sock, child = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.setblocking(False)
        with child:
            self.child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "sip.process", "--fd", str(child.fileno()),
                pass_fds=[child.fileno()], stderr=asyncio.subprocess.PIPE, env=self._env,
            )  # fmt: skip
        self._reading = asyncio.create_task(self._read_log())
        self.send(self.start)

    async def __aexit__(self, *_: object) -> None:
        self.sock.close()
        await self.ended()

    async def ended(self) -> int:
        """Waits for the exit; what is still alive after the patience is killed, and the test fails."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                status = await self.child.wait()
        except TimeoutError:
            self.child.kill()
            await self.child.wait()
            raise AssertionError("the sip process did not end") from None
        finally:
            await self._reading
        traces = [line for line in self.log if "trace" in line]
        assert traces == [], traces
        return status

    async def _read_log(self) -> None:
        assert self.child.stderr is not None
        async for line in self.child.stderr:
            self.log.append(json.loads(line) if line.startswith(b"{") else {"trace": line.decode()})

    @property
    def udp(self) -> tuple[str, int]:
        return ("127.0.0.1", self.started.udp_port)

    @property
    def tcp(self) -> tuple[str, int]:
        return ("127.0.0.1", self.started.tcp_port)

    def send(self, command: m.Command) -> None:
        for packet in m.pieces(m.encode(command)):
            self.sock.send(packet)

    async def event(self, within_s: float = PATIENCE_S) -> m.AnyEvent:
        try:
            async with asyncio.timeout(within_s):
                packet = await asyncio.get_running_loop().sock_recv(self.sock, m.MAX_MESSAGE_BYTES)
        except TimeoutError:
            raise AssertionError(f"no event; log: {self.log}") from None
        except ConnectionResetError:  # it died before it had read everything
            packet = b""
        assert packet, f"the sip process is gone; log: {self.log}"
        return m.decode_event(packet)

    async def expect(self, kind: type[E], within_s: float = PATIENCE_S) -> E:
        """The next event, which must be of that kind: nothing else may have happened but a `Dialled`."""
        event = await self.event(within_s)
        if isinstance(event, m.Dialled) and kind is not m.Dialled:
            event = await self.event(within_s)
        assert isinstance(event, kind), f"{event} instead of {kind.__name__}"
        return event


OFFER = build_offer(("PCMU", "PCMA"), host="127.0.0.1", port=20000)


@asynccontextmanager
async def together(*trunks: m.TrunkAccount, tcp: bool = False) -> AsyncIterator[tuple[SipProcess, SipPeer]]:
    async with (
        SipProcess(*trunks) as process,
        await (SipPeer.tcp(process.tcp) if tcp else SipPeer.udp(process.udp)) as peer,
    ):
        yield process, peer


def answer_to(offer: str) -> str:
    session = parse(offer)
    choice = choose(session, ("PCMU", "PCMA"))
    assert choice is not None
    return build_answer(session, choice, host="127.0.0.1", port=20000)


async def answered(process: SipProcess, peer: SipPeer, offer: str | None = None) -> tuple[Dialog, str]:
    """A call that stands; our name for it."""
    call = peer.invite(sdp=sdp(port=40000) if offer is None else offer)
    incoming = await process.expect(m.Incoming)
    process.send(m.Answer(call=incoming.call, sdp=answer_to(incoming.offer)))
    await call.talk()
    assert await process.expect(m.Confirmed) == m.Confirmed(call=incoming.call)
    return call, incoming.call


def remote_hang_up(name: str) -> m.Ended:
    return m.Ended(call=name, status=200, reason="Normal call clearing", by="remote")


def origin(body: str) -> list[str]:
    return next(line for line in body.splitlines() if line.startswith("o=")).split()[1:3]


def without_origin(body: str) -> list[str]:
    return [line for line in body.splitlines() if not line.startswith("o=")]
