"""The sip process: `python -m sip.process --fd N`. Carries messages between parent and endpoint; decides nothing.

PJSIP has no thread here. The loop watches its epoll descriptor and keeps one timer for the head of its timer heap, so
a command, a datagram and a retransmission all wait for nothing but each other.

It ends when it is told to (`Stop`, SIGTERM), or when the parent's end of the socket is gone: then all calls are hung up
and registrations given back within the grace.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import socket
import sys
from collections import deque

import msgspec
import uvloop

from sip import messages as m
from sip.border import SipError
from sip.stack.endpoint import Endpoint

log = logging.getLogger("sip")

REPORT_EVERY_S = 1.0
LONGEST_SLEEP_S = 1.0
"Also when PJSIP has no timer at all."
TIMER_SLACK_S = 0.0005
"PJSIP counts whole milliseconds: woken a little early it finds nothing to do and we would spin."
MAX_WAITING = 8192
"Events for a parent that does not read. It gets a Pong for each Ping it reads, so it has long given us up by then."
COMMANDS_PER_TURN = 64
"So that a flood of commands does not keep datagrams waiting."


class Parent:
    """Our end of the socket, never blocks."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        sock.setblocking(False)
        self._sock, self._loop = sock, loop
        self._waiting: deque[bytes] = deque()
        self._joiner = m.Joiner()
        self.is_lost = False

    async def first(self) -> bytes:
        while (message := self._joiner.add(await self._loop.sock_recv(self._sock, m.MAX_MESSAGE_BYTES))) is None:
            pass
        return message

    def receive(self) -> bytes | None:
        """One message; empty when the parent is gone, None when there is nothing just now."""
        message = None
        try:
            while message is None:
                message = self._joiner.add(self._sock.recv(m.MAX_MESSAGE_BYTES))
        except BlockingIOError:
            return None
        except OSError:
            return b""
        return message

    def send(self, event: m.AnyEvent) -> None:
        if self.is_lost:
            return
        is_idle = not self._waiting
        self._waiting += m.pieces(m.encode(event))
        if is_idle:
            self._flush()
        if len(self._waiting) > MAX_WAITING:
            log.error("the control process does not read its events: giving up")
            self.lose()

    def _flush(self) -> None:
        """Sends what the socket takes; the rest when it is writable again."""
        try:
            while self._waiting:
                self._sock.send(self._waiting[0])
                self._waiting.popleft()
        except BlockingIOError:
            self._loop.add_writer(self._sock, self._flush)
            return
        except OSError:
            self.lose()
        self._loop.remove_writer(self._sock)

    def lose(self) -> None:
        self.is_lost = True
        self._waiting.clear()


class Process:
    """The loop's side of the endpoint."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._sock = sock
        self._parent = Parent(sock, loop)
        self._endpoint = Endpoint(self._parent.send, loop.call_later)
        self._timer: asyncio.TimerHandle | None = None
        self._stop: asyncio.Future[int] = loop.create_future()

    async def run(self) -> int:
        start = m.decode_command(await self._parent.first())
        if not isinstance(start, m.Start):
            raise TypeError(f"the first message must be Start, not {type(start).__name__}")
        try:
            if not self._open(start):
                return 1
            self._listen()
            await self._wind_up(await self._stop)
            return 0
        finally:
            self._endpoint.close()  # without it the interpreter hangs in its exit

    def _open(self, start: m.Start) -> bool:
        try:
            self._endpoint.open(start)
        except SipError as error:
            log.error("cannot start: %s", error)
            self._parent.send(m.StartFailed(why=str(error)))
            return False
        return True

    def _listen(self) -> None:
        self._loop.add_reader(self._endpoint.fileno(), self._pump)
        self._loop.add_reader(self._sock, self._on_commands)
        self._loop.add_signal_handler(signal.SIGTERM, self.stop, m.Stop().grace_ms)
        self._arm()
        self._report()

    def stop(self, grace_ms: int) -> None:
        if not self._stop.done():
            self._stop.set_result(grace_ms)

    # --- PJSIP turns

    def _pump(self) -> None:
        self._endpoint.pump()
        self._arm()

    def _arm(self) -> None:
        """One timer, for PJSIP's next. To be called after everything that may have set one."""
        if self._timer is not None:
            self._timer.cancel()
        due_s = self._endpoint.next_timer_s()
        sleep_s = LONGEST_SLEEP_S if due_s is None else min(due_s + TIMER_SLACK_S, LONGEST_SLEEP_S)
        self._timer = self._loop.call_later(sleep_s, self._pump)

    def _report(self) -> None:
        self._endpoint.report()
        self._loop.call_later(REPORT_EVERY_S, self._report)

    # --- the parent speaks

    def _on_commands(self) -> None:
        for _ in range(COMMANDS_PER_TURN):
            packet = self._parent.receive()
            if packet is None:
                break
            if not packet:
                log.warning("the control process is gone: hanging up")
                self._parent.lose()
                self._loop.remove_reader(self._sock)
                self.stop(m.Stop().grace_ms)
                break
            self._on_command(packet)
        self._arm()

    def _on_command(self, packet: bytes) -> None:
        try:
            command = m.decode_command(packet)
        except msgspec.DecodeError as error:
            log.error("not a command: %s", error)
            return
        match command:
            case m.Ping():
                self._parent.send(m.Pong(number=command.number, calls=self._endpoint.calls()))
            case m.Stop():
                self.stop(command.grace_ms)
            case _:
                self._endpoint.perform(command)

    # --- the end

    async def _wind_up(self, grace_ms: int) -> None:
        """BYE and un-REGISTER go out and have the grace to be answered."""
        deadline = self._loop.time() + grace_ms / 1000
        self._endpoint.leave()
        self._arm()
        while not self._endpoint.is_quiet() and self._loop.time() < deadline:  # noqa: ASYNC110 - PJSIP has no future for it
            await asyncio.sleep(0.02)
        self._endpoint.report()
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._endpoint.fileno())
        self._loop.remove_reader(self._sock)


class JsonLines(logging.Formatter):
    """One JSON object per line: the parent reads them and logs them again as its own."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"level": record.levelname.lower(), "msg": record.getMessage()}
        if call := getattr(record, "call", ""):
            line["call"] = call
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def set_up_logging() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.DEBUG, handlers=[handler])
    logging.getLogger("asyncio").setLevel(logging.INFO)
    logging.raiseExceptions = False  # a parent that died took the pipe with it


async def serve(sock: socket.socket) -> int:
    return await Process(sock, asyncio.get_running_loop()).run()


def main() -> int:
    parser = argparse.ArgumentParser(prog="sip.process", description="SIP signalling for the bridge")
    parser.add_argument("--fd", type=int, required=True, help="inherited SOCK_SEQPACKET socket to the control process")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent says when to stop
    set_up_logging()
    # Before it has a log writer PJSIP greets the world on stdout. Nobody else here writes to it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    with socket.socket(fileno=arguments.fd) as sock, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(serve(sock))


if __name__ == "__main__":
    sys.exit(main())
