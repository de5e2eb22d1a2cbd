"""Requests outside of calls at the stack: texts go out, replies come back to whoever has sent them."""

from __future__ import annotations

import itertools
import logging
import socket
from collections.abc import Callable

import pjsua2 as pj

from sip.border import SipError
from sip.connections import Loss, complaint, parse_losses
from sip.letters import Reply, parse_reply
from sip.messages import Target, TrunkAccount
from sip.trunks import hop, in_uri

log = logging.getLogger("sip")

OnReply = Callable[[Reply], None]
MAX_COMPLAINTS = 256


class Courier:
    """Carries letters, and remembers why a connection could not be made: the reply only says that there is none."""

    def __init__(self, on_loss: Callable[[Loss], None]) -> None:
        self._on_loss = on_loss
        self._numbers = itertools.count(1)
        self._waiting: dict[int, OnReply] = {}
        self._complaints: dict[tuple[str, str], Loss] = {}

    def send(
        self, request: str, target: Target, host: str, on_reply: OnReply, *, timeout_ms: int, trunk: TrunkAccount
    ) -> None:
        """Credentials of the trunk answer a challenge. `on_reply` is called once, by `collect`. Raises SipError."""
        number = next(self._numbers)
        self._waiting[number] = on_reply
        credentials = (trunk.username, trunk.password, trunk.realm)
        if pj.puenteSend(number, request, hop(target, host), *credentials, timeout_ms) != pj.PJ_SUCCESS:
            del self._waiting[number]
            raise SipError(f"a request to {target} could not be written")

    def collect(self) -> None:
        """To be called after each turn of the stack."""
        self._note_losses()
        while text := pj.puenteTakeReply():
            try:
                reply = parse_reply(text)
                if on_reply := self._waiting.pop(reply.number, None):
                    on_reply(reply)
            except Exception:  # a bug over one reply must not cost the others
                log.exception("bug in what became of a request")

    def _note_losses(self) -> None:
        for loss in parse_losses(pj.puenteTakeLosses()):
            if loss.certificate or loss.reason:
                self._complaints.pop((loss.source, loss.transport), None)
                self._complaints[loss.source, loss.transport] = loss
                if len(self._complaints) > MAX_COMPLAINTS:
                    del self._complaints[next(iter(self._complaints))]
            self._on_loss(loss)

    def why(self, target: Target, reason: str) -> str:
        """Why there was no connection to a target, if that is known better than by the stack's `reason`."""
        self._note_losses()
        loss = self._complaints.pop((source_of(target), target.transport), None)
        return (complaint(loss, target.name or target.address) if loss else "") or reason


def source_of(target: Target) -> str:
    return f"{in_uri(target.address)}:{target.port}"


def host_towards(target: Target) -> str:
    """Our address on the way to a target, as the kernel would choose it. Nothing is sent."""
    family = socket.AF_INET6 if ":" in target.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((target.address, target.port))
        except OSError as error:
            raise SipError(f"no way to {target}: {error.strerror}") from None
        return str(probe.getsockname()[0])
