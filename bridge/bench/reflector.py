"""The floor: answers every call and sends each RTP packet back as it came. No bridge, no platform.

What the load caller measures against this is its own share and the kernel's. A call to `delay-40` gets its packets back
after 40 ms, which is how the tests know that the caller measures what it says.

    python -m bridge.bench.reflector

The first line of standard output is the SIP port.
"""

from __future__ import annotations

import heapq
import secrets
import select
import socket
import sys
import time
from dataclasses import dataclass, field

from bridge.bench.siptext import Message, NotSip, g711, parse, response, uri_of

HOST = "127.0.0.1"

Address = tuple[str, int]


@dataclass
class Echo:
    """One call's RTP port."""

    sock: socket.socket
    delay_s: float


@dataclass
class Answers:
    """The signalling, without a socket. A repeated INVITE gets the same answer."""

    local: Address
    tag: str = field(default_factory=lambda: secrets.token_hex(4))
    _answers: dict[str, bytes] = field(default_factory=dict)

    def knows(self, message: Message) -> bool:
        return message.first("call-id") in self._answers

    def invite(self, message: Message, rtp_port: int) -> bytes:
        host, port = self.local
        contact = ("contact", f"<sip:reflector@{host}:{port}>")
        answer = response(message, 200, "OK", [contact], g711(host, rtp_port), self.tag)
        self._answers[message.first("call-id")] = answer
        return answer

    def repeat(self, message: Message) -> bytes:
        return self._answers[message.first("call-id")]

    def other(self, message: Message) -> bytes | None:
        if message.method == "BYE":
            self._answers.pop(message.first("call-id"), None)
        return None if message.method in {"ACK", ""} else response(message, 200, "OK", tag=self.tag)


def delay_of(uri: str) -> float:
    """Seconds, from the user part of the dialled URI: `delay-40` is 0.04, everything else 0."""
    user = uri_of(uri).removeprefix("sip:").partition("@")[0]
    kind, _, value = user.partition("-")
    return int(value) / 1e3 if kind == "delay" and value.isdigit() else 0.0


class Reflector:
    """The sockets, and the loop over them."""

    def __init__(self) -> None:
        self._sip = _udp()
        self._answers = Answers(self._sip.getsockname())
        self._echoes: dict[int, Echo] = {}
        self._by_call: dict[str, Echo] = {}
        self._later: list[tuple[float, int, socket.socket, bytes, Address]] = []
        self._count = 0
        self._poll = select.epoll()
        self._poll.register(self._sip, select.EPOLLIN)

    @property
    def port(self) -> int:
        return int(self._sip.getsockname()[1])

    def turn(self) -> None:
        """One round: waits for the next packet or the next one due."""
        left_s = self._later[0][0] - time.monotonic() if self._later else 60.0
        # epoll rounds up to whole milliseconds; half a millisecond early and once more is closer than that.
        for number, _ in self._poll.poll(max(left_s - 0.0005, 0)):
            echo = self._echoes.get(number)
            if echo is None:
                self._on_sip()
            else:
                self._on_rtp(echo)
        self._send_due(time.monotonic())

    def _on_rtp(self, echo: Echo) -> None:
        data, source = echo.sock.recvfrom(2048)
        if not echo.delay_s:
            echo.sock.sendto(data, source)
            return
        self._count += 1  # packets due at the same time stay in order
        heapq.heappush(self._later, (time.monotonic() + echo.delay_s, self._count, echo.sock, data, source))

    def _send_due(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            _, _, sock, data, source = heapq.heappop(self._later)
            if sock.fileno() >= 0:
                sock.sendto(data, source)

    def _on_sip(self) -> None:
        data, source = self._sip.recvfrom(65536)
        try:
            message = parse(data)
        except NotSip:
            return
        answer = self._answer(message)
        if answer is not None:
            self._sip.sendto(answer, source)

    def _answer(self, message: Message) -> bytes | None:
        if message.method == "INVITE":
            if self._answers.knows(message):
                return self._answers.repeat(message)
            return self._answers.invite(message, self._open(message))
        if message.method == "BYE":
            self._close(message.first("call-id"))
        return self._answers.other(message)

    def _open(self, message: Message) -> int:
        echo = Echo(_udp(), delay_of(message.uri))
        self._echoes[echo.sock.fileno()] = self._by_call[message.first("call-id")] = echo
        self._poll.register(echo.sock, select.EPOLLIN)
        return int(echo.sock.getsockname()[1])

    def _close(self, call_id: str) -> None:
        echo = self._by_call.pop(call_id, None)
        if echo is not None:
            self._poll.unregister(echo.sock)
            del self._echoes[echo.sock.fileno()]
            echo.sock.close()


def _udp() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((HOST, 0))
    return sock


def main() -> int:
    reflector = Reflector()
    print(reflector.port, flush=True)
    while True:
        reflector.turn()


if __name__ == "__main__":
    sys.exit(main())
