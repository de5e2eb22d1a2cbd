"""A SIP partner that a bridge calls out over: an address of its own, and a script for each call that comes.

    async with partner("127.0.1.2") as primary:
        primary.script = refuses(503)                 what the next calls meet
        ...
        dialog, invite = await primary.called()       who was called, in order

It answers OPTIONS while it lives; `is_silent` loses every packet, as a partner behind a dead network does. Requests
inside a call (ACK, BYE, CANCEL) are left to the script, and to `Dialog.request` of whoever holds the call.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.helpers.sippeer import Dialog, SipMessage, SipPeer, parse_sip

Script = Callable[["Partner", Dialog, SipMessage], Awaitable[None]]


class Partner(SipPeer):
    """Hears calls one after the other; each is handled by the script that holds when it comes."""

    def __init__(self, remote: tuple[str, int] | None, transport: str) -> None:
        super().__init__(remote, transport)
        self.script: Script = rings
        self.is_silent = False
        self.invites: list[SipMessage] = []
        self.failures: list[BaseException] = []
        self._known: set[str] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._calls: asyncio.Queue[tuple[Dialog, SipMessage]] = asyncio.Queue()

    def on_message(self, data: bytes) -> None:
        if self.is_silent:
            return
        message = parse_sip(data)
        if message.method == "OPTIONS" and not message.status:
            Dialog(self, message["Call-ID"], message["To"] + ";tag=probe").respond(message, 200)
        elif message.method == "INVITE" and not message.status and "tag=" not in message["To"]:
            self._on_invite(message)
        else:
            super().on_message(data)

    def _on_invite(self, invite: SipMessage) -> None:
        if invite["Call-ID"] in self._known:  # a retransmission
            return
        self._known.add(invite["Call-ID"])
        self.invites.append(invite)
        dialog = Dialog(self, call_id=invite["Call-ID"], us=f"{invite['To']};tag=partner{len(self.invites)}")
        dialog.them = invite["From"]
        dialog.target = invite["Contact"].strip("<>")
        self._calls.put_nowait((dialog, invite))
        task = asyncio.ensure_future(self.script(self, dialog, invite))
        self._running.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (failure := task.exception()):
            self.failures.append(failure)

    async def called(self, within_s: float = 10.0) -> tuple[Dialog, SipMessage]:
        """The next call that came and was not asked for yet."""
        async with asyncio.timeout(within_s):
            return await self._calls.get()

    async def close(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        assert self.failures == []


@asynccontextmanager
async def partner(host: str) -> AsyncIterator[Partner]:
    async with await Partner.udp(host=host) as built:
        yield built
        await built.close()


# --- what a call meets ----------------------------------------------------------------------------------------------


async def rings(peer: Partner, dialog: Dialog, invite: SipMessage) -> None:
    """And whoever holds the call does the rest."""
    dialog.respond(invite, 100)
    dialog.respond(invite, 180)


async def trying(peer: Partner, dialog: Dialog, invite: SipMessage) -> None:
    """Alive, and slow."""
    dialog.respond(invite, 100)


async def says_nothing(peer: Partner, dialog: Dialog, invite: SipMessage) -> None:
    """Not even 100: the packets get lost behind it."""


def refuses(status: int, *, rings_first: bool = False, headers: tuple[tuple[str, str], ...] = ()) -> Script:
    async def script(peer: Partner, dialog: Dialog, invite: SipMessage) -> None:
        dialog.respond(invite, 100)
        if rings_first:
            dialog.respond(invite, 180)
            await asyncio.sleep(0.05)
        dialog.respond(invite, status, headers=headers)
        await dialog.request("ACK")

    return script


async def let_go(dialog: Dialog, invite: SipMessage) -> None:
    """The CANCEL of a call that rang, and all that goes with it."""
    cancel = await dialog.request("CANCEL")
    dialog.respond(cancel, 200)
    dialog.respond(invite, 487)
    await dialog.request("ACK")
