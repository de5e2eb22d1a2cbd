"""A scriptable SIP user agent over one loopback socket, for tests that play the other side of a call.

    async with await SipPeer.udp(("127.0.0.1", 5060)) as peer:
        call = peer.invite(sdp=sdp(port=40000))                a new dialog, INVITE sent
        answer = await call.response("INVITE")                 the final response (final=False: any)
        call.ack()
        assert (await call.transact("OPTIONS")).status == 200  send a request, wait for its final response
        await call.hang_up()                                   BYE and its 200

        call, invite = await peer.accept("INVITE")             being called: waits, makes the dialog
        call.respond(invite, 180)
        call.respond(invite, 200, sdp=sdp(port=40000))
        await call.request("ACK")

It keeps no timers and retransmits nothing: a test says everything that is sent. Messages that nobody has asked for stay
in `peer.inbox`, so that what arrived is there to be looked at.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

PATIENCE_S = 5.0
"How long a message that must come is waited for. Only a failing test waits so long."

Headers = Sequence[tuple[str, str]]
_branches = itertools.count(1)


@dataclass(frozen=True)
class SipMessage:
    """One request or response as it came."""

    first_line: str
    headers: tuple[tuple[str, str], ...]
    body: str

    @property
    def status(self) -> int:
        """0 for a request."""
        return int(self.first_line.split()[1]) if self.first_line.startswith("SIP/2.0 ") else 0

    @property
    def reason(self) -> str:
        return self.first_line.split(" ", 2)[2]

    @property
    def method(self) -> str:
        """Of a request, or of the request that a response is for."""
        return self["CSeq"].split()[1]

    @property
    def cseq(self) -> int:
        return int(self["CSeq"].split()[0])

    @property
    def uri(self) -> str:
        return self.first_line.split()[1]

    def __getitem__(self, name: str) -> str:
        """The first header of that name; empty if there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


def parse_sip(data: bytes) -> SipMessage:
    head, _, body = data.decode().partition("\r\n\r\n")
    first_line, *lines = head.split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return SipMessage(first_line, tuple((name.strip(), value.strip()) for name, _, value in pairs), body)


def sdp(
    *,
    port: int,
    host: str = "127.0.0.1",
    formats: str = "0 8 101",
    direction: str = "sendrecv",
    version: int = 1,
    extra: str = "",
) -> str:
    """A usual body. `extra`: more lines of the audio section, or further m= sections, each ended by CR LF."""
    names = {"0": "PCMU/8000", "3": "GSM/8000", "8": "PCMA/8000", "9": "G722/8000", "101": "telephone-event/8000"}
    maps = "".join(f"a=rtpmap:{number} {names[number]}\r\n" for number in formats.split())
    return (
        f"v=0\r\no=peer 4711 {version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP {formats}\r\n{maps}a=ptime:20\r\na={direction}\r\n{extra}"
    )


class SipPeer:
    """One socket, one inbox, any number of dialogs."""

    def __init__(self, remote: tuple[str, int] | None, transport: str) -> None:
        self.remote, self.transport = remote or ("", 0), transport
        self.local = ("", 0)
        self.inbox: list[SipMessage] = []
        self._arrived = asyncio.Event()
        self._write: Callable[[bytes], None]
        self._close: Callable[[], None]

    @classmethod
    async def udp(cls, remote: tuple[str, int] | None = None, host: str = "127.0.0.1") -> Self:
        """Without `remote` it answers whoever speaks first. `host`: another loopback address makes somebody else."""
        peer = cls(remote, "UDP")
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Datagrams(peer), local_addr=(host, 0)
        )
        peer.local = transport.get_extra_info("sockname")[:2]
        peer._write = lambda data: transport.sendto(data, peer.remote)
        peer._close = transport.close
        return peer

    @classmethod
    async def tcp(cls, remote: tuple[str, int]) -> Self:
        peer = cls(remote, "TCP")
        transport, _ = await asyncio.get_running_loop().create_connection(lambda: _Stream(peer), *remote)
        peer.local = transport.get_extra_info("sockname")[:2]
        peer._write = transport.write
        peer._close = transport.close
        return peer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close()

    @property
    def address(self) -> str:
        return f"{self.local[0]}:{self.local[1]}"

    @property
    def contact(self) -> str:
        return f"<sip:peer@{self.address};transport={self.transport.lower()}>"

    def send(self, data: str | bytes) -> None:
        """Anything, garbage included."""
        self._write(data.encode() if isinstance(data, str) else data)

    def on_message(self, data: bytes) -> None:
        self.inbox.append(parse_sip(data))
        self._arrived.set()

    async def receive(
        self, wanted: Callable[[SipMessage], bool], what: str, within_s: float = PATIENCE_S
    ) -> SipMessage:
        """Takes the first wanted message out of the inbox, waiting for it if need be."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    found = next((message for message in self.inbox if wanted(message)), None)
                    if found is not None:
                        self.inbox.remove(found)
                        return found
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            got = [message.first_line for message in self.inbox]
            raise AssertionError(f"no {what}; the inbox holds {got}") from None

    async def accept(self, method: str, within_s: float = PATIENCE_S) -> tuple[Dialog, SipMessage]:
        """Waits for a request that nobody knows yet, and makes its dialog (UAS side)."""
        request = await self.receive(lambda got: got.status == 0 and got.method == method, method, within_s)
        dialog = Dialog(self, call_id=request["Call-ID"], us=request["To"] + f";tag={secrets.token_hex(4)}")
        dialog.them = request["From"]
        dialog.target = _uri(request["Contact"]) or request.uri
        return dialog, request

    def dialog(self, user: str = "100") -> Dialog:
        """A dialog in which nothing has been said yet."""
        host, port = self.remote
        dialog = Dialog(
            self,
            call_id=f"{secrets.token_hex(8)}@peer",
            us=f'"Peer" <sip:peer@{self.address}>;tag={secrets.token_hex(4)}',
        )
        dialog.target = f"sip:{user}@{host}:{port}"
        dialog.them = f"<{dialog.target}>"
        return dialog

    def invite(self, *, sdp: str, user: str = "100", headers: Headers = ()) -> Dialog:
        dialog = self.dialog(user)
        dialog.send("INVITE", sdp=sdp, headers=headers)
        return dialog


class Dialog:
    """One call as the peer sees it, whichever side began."""

    def __init__(self, peer: SipPeer, call_id: str, us: str) -> None:
        self.peer, self.call_id, self.us = peer, call_id, us
        self.them = ""
        self.target = ""
        self.cseq = 0
        self.branch = ""
        self.invite_cseq = 0
        "Of our last INVITE: what ACK and CANCEL refer to."
        self._invite_branch = self._invite_to = ""

    # --- as the sender of requests

    def send(
        self,
        method: str,
        *,
        sdp: str = "",
        body: str = "",
        content_type: str = "application/sdp",
        headers: Headers = (),
        cseq: int = 0,
        branch: str = "",
    ) -> bytes:
        """Sends a request and returns its bytes, to be sent again by a test of retransmission."""
        if not cseq:
            self.cseq += 1
        number = cseq or self.cseq
        self.branch = branch or f"z9hG4bK{next(_branches)}{secrets.token_hex(4)}"
        if method == "INVITE":
            self.invite_cseq, self._invite_branch, self._invite_to = number, self.branch, self.them
        data = _message(
            f"{method} {self.target} SIP/2.0",
            [
                ("Via", f"SIP/2.0/{self.peer.transport} {self.peer.address};branch={self.branch};rport"),
                ("Max-Forwards", "70"),
                ("From", self.us),
                ("To", self.them),
                ("Call-ID", self.call_id),
                ("CSeq", f"{number} {method}"),
                ("Contact", self.peer.contact),
                *headers,
            ],
            sdp or body,
            content_type,
        )
        self.peer.send(data)
        return data

    async def response(self, method: str, *, final: bool = True, within_s: float = PATIENCE_S) -> SipMessage:
        """A response to our last request of that method. Learns the remote tag and Contact from it."""
        number = self.invite_cseq if method == "INVITE" else self.cseq
        response = await self.peer.receive(
            lambda got: (
                got["Call-ID"] == self.call_id
                and got.status >= (200 if final else 100)
                and (got.method, got.cseq) == (method, number)
            ),
            f"{'final ' if final else ''}response to {method}",
            within_s,
        )
        if "tag=" in response["To"] and method == "INVITE":
            self.them = response["To"]
            self.target = _uri(response["Contact"]) or self.target
        return response

    async def transact(self, method: str, *, sdp: str = "", headers: Headers = ()) -> SipMessage:
        self.send(method, sdp=sdp, headers=headers)
        return await self.response(method)

    def ack(self, sdp: str = "", *, rejected: bool = False) -> None:
        """`rejected`: the ACK of a final response other than 2xx belongs to the INVITE's own transaction."""
        branch = self._invite_branch if rejected else ""
        self.send("ACK", sdp=sdp, cseq=self.invite_cseq, branch=branch)

    def cancel(self) -> None:
        """Of our last INVITE, whose To it bears (RFC 3261, 9.1)."""
        them, self.them = self.them, self._invite_to
        self.send("CANCEL", cseq=self.invite_cseq, branch=self._invite_branch)
        self.them = them

    async def cancelled(self) -> SipMessage:
        """The 200 to our CANCEL."""
        return await self.peer.receive(
            lambda got: got["Call-ID"] == self.call_id and got.status != 0 and got.method == "CANCEL", "200 to CANCEL"
        )

    async def talk(self, sdp: str = "") -> SipMessage:
        """The 200 to our INVITE, acknowledged."""
        answer = await self.response("INVITE")
        assert answer.status == 200, answer.first_line
        self.ack(sdp)
        return answer

    async def hang_up(self) -> None:
        assert (await self.transact("BYE")).status == 200

    # --- as the receiver of requests

    async def request(self, method: str, within_s: float = PATIENCE_S) -> SipMessage:
        return await self.peer.receive(
            lambda got: got["Call-ID"] == self.call_id and got.status == 0 and got.method == method, method, within_s
        )

    def respond(
        self, request: SipMessage, status: int, reason: str = "", *, sdp: str = "", headers: Headers = ()
    ) -> None:
        """`headers` may hold a Contact of its own, as the answer to a REGISTER must."""
        to = request["To"] if "tag=" in request["To"] else self.us
        has_contact = any(name == "Contact" for name, _ in headers)
        first_via, *vias = request.all("Via")
        host, port = self.peer.remote
        self.peer.send(
            _message(
                f"SIP/2.0 {status} {reason or 'As Scripted'}",
                [
                    ("Via", first_via.replace(";rport", f";rport={port};received={host}")),  # RFC 3581, 4
                    *(("Via", via) for via in vias),
                    *(("Record-Route", route) for route in request.all("Record-Route")),
                    ("From", request["From"]),
                    ("To", to if status > 100 else request["To"]),
                    ("Call-ID", self.call_id),
                    ("CSeq", request["CSeq"]),
                    *([] if has_contact else [("Contact", self.peer.contact)]),
                    *headers,
                ],
                sdp,
                "application/sdp",
            )
        )


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, peer: SipPeer) -> None:
        self._peer = peer

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self._peer.remote[1]:
            self._peer.remote = addr
        if data.strip():  # keep-alives are empty lines
            self._peer.on_message(data)


class _Stream(asyncio.Protocol):
    """Cuts the stream by Content-Length (RFC 3261, 18.3)."""

    def __init__(self, peer: SipPeer) -> None:
        self._peer, self._buffer = peer, b""

    def data_received(self, data: bytes) -> None:
        self._buffer = (self._buffer + data).lstrip(b"\r\n")
        while b"\r\n\r\n" in self._buffer:
            head, _, rest = self._buffer.partition(b"\r\n\r\n")
            length = int(parse_sip(head)["Content-Length"] or 0)
            if len(rest) < length:
                return
            self._peer.on_message(head + b"\r\n\r\n" + rest[:length])
            self._buffer = rest[length:].lstrip(b"\r\n")


def _message(first_line: str, headers: list[tuple[str, str]], body: str, content_type: str) -> bytes:
    typed = [("Content-Type", content_type)] if body else []
    lines = [first_line, *(f"{name}: {value}" for name, value in [*headers, *typed])]
    return "\r\n".join([*lines, f"Content-Length: {len(body.encode())}", "", body]).encode()


def _uri(contact: str) -> str:
    found = re.search(r"<([^>]+)>", contact)
    return found[1] if found else contact.partition(";")[0].strip()
