"""What a registrar does, for tests: by hand, one answer at a time, or a whole small one that believes everybody."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
from typing import Self

from sip import messages as m
from tests.helpers.sippeer import Dialog, SipMessage, SipPeer

REALM = "trunk.example"


def registering(peer: SipPeer, **settings: object) -> m.TrunkAccount:
    """A trunk that registers at the peer."""
    return m.TrunkAccount(
        **{  # type: ignore[arg-type]
            "name": "provider",
            "kind": "register",
            "registrar": f"sip:{peer.address}",
            "username": "bridge1",
            "password": "s3cret1",
            "retry_s": 1,
            **settings,
        }
    )


def target(peer: SipPeer, name: str = "") -> m.Target:
    transport = peer.transport.lower()
    return m.Target(address=peer.local[0], port=peer.local[1], transport=transport, name=name)  # type: ignore[arg-type]


def challenge(registrar: Dialog, request: SipMessage, status: int = 401) -> None:
    header = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    registrar.respond(request, status, headers=[(header, f'Digest realm="{REALM}", nonce="n1", algorithm=MD5')])


def grant(registrar: Dialog, request: SipMessage, expires_s: int = 60) -> None:
    """200, with our Contact in it."""
    registrar.respond(request, 200, "OK", headers=[("Contact", f"{request['Contact']};expires={expires_s}")])


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def is_right(request: SipMessage, password: str) -> bool:
    """RFC 2617, 3.2.2, without qop."""
    given = dict(re.findall(r'(\w+)="?([^",]+)"?', request["Authorization"] or request["Proxy-Authorization"]))
    ha1, ha2 = md5(f"{given['username']}:{REALM}:{password}"), md5(f"{request.method}:{given['uri']}")
    return str(given["response"]) == md5(f"{ha1}:n1:{ha2}")


class Registrar(SipPeer):
    """Answers each REGISTER with 200 at once, for as long as `is_alive`."""

    expires_s = 60

    def __init__(self, remote: tuple[str, int] | None, transport: str) -> None:
        super().__init__(remote, transport)
        self.is_alive = True
        self.registered: set[str] = set()
        "Users, of their To."
        self.heard: Counter[str] = Counter()
        self.moments: dict[tuple[str, int], float] = {}
        "When each REGISTER came first, by user and CSeq: seconds of the loop's clock."

    @classmethod
    async def start(cls, host: str = "127.0.0.1") -> Self:
        return await cls.udp(None, host)

    def on_message(self, data: bytes) -> None:
        super().on_message(data)
        request = self.inbox[-1]
        if request.method != "REGISTER" or request.status:
            return
        self.inbox.pop()
        found = re.search(r"sip:([^@]+)@", request["To"])
        assert found
        self.heard[found[1]] += 1
        self.moments.setdefault((found[1], request.cseq), asyncio.get_running_loop().time())
        if not self.is_alive:
            return
        (self.registered.discard if request["Expires"] == "0" else self.registered.add)(found[1])
        dialog = Dialog(self, call_id=request["Call-ID"], us=request["To"] + ";tag=r")
        grant(dialog, request, self.expires_s)
