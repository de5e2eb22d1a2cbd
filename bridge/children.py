"""A child process under care: started, spoken to, pinged, and replaced when it dies or falls silent.

    python -m <module> --fd N        one SOCK_SEQPACKET socket, one message per packet (or several, `Tongue.pieces`)

    STARTING --first Pong--> READY --exit, silence, closed socket--> lost --growing wait with dice--> STARTING

One class for the sip process and for the media workers; what they say is given as a `Tongue`. Whatever they write to
stderr are log lines (JSON, or a traceback when all else failed) and are logged again here under the child's name.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from bridge.ending import tell
from bridge.errors import BridgeError
from bridge.logs import relog

log = logging.getLogger(__name__)

Down = TypeVar("Down")
Up = TypeVar("Up")

STEADY_S = 10.0
"Whoever has lived this long starts with a clean slate."
READ_AT_ONCE = 64
"Messages taken in one go before the loop gets its turn."


class ChildFailed(BridgeError):
    """A child did not come up the first time: a reason to stop, not to try again."""


@dataclass(frozen=True, slots=True)
class Tongue(Generic[Down, Up]):
    """What is spoken with one kind of child."""

    encode: Callable[[Down], bytes]
    decode: Callable[[bytes], Up]
    ping: Callable[[int], Down]
    stop: Down
    pong: type
    max_bytes: int
    pieces: Callable[[bytes], Sequence[bytes]] = lambda message: (message,)
    "For a child whose messages may be too long for one packet, ..."
    joiner: Callable[[], Callable[[bytes], bytes | None]] = lambda: lambda packet: packet
    "... and each life's way back: None for a packet that is only a part."


@dataclass(frozen=True, slots=True, kw_only=True)
class Care:
    """How patient we are."""

    ping_s: float = 1.0
    silence_s: float = 3.0
    "Nothing heard for this long: killed and replaced."
    start_s: float = 20.0
    "The same until it is ready for the first time: imports take their time on a busy machine."
    stop_s: float = 3.0
    most_unsent: int = 10000
    "Messages kept for a child that does not read. More: it is stuck."


CARE = Care()


def retry_in(failures: int, roll: Callable[[], float] = random.random) -> float:
    """Seconds before the next start: at once the first time, never more than ten."""
    return min(10.0, 0.1 * 2.0 ** min(failures, 10)) * (0.5 + roll() / 2)


class Child(Generic[Down, Up]):
    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        tongue: Tongue[Down, Up],
        *,
        first: Down,
        on_message: Callable[[Up], None],
        on_ready: Callable[[], None] = lambda: None,
        on_lost: Callable[[str], None] = lambda why: None,
        care: Care = CARE,
    ) -> None:
        self.name, self.arguments, self.tongue, self.first, self.care = name, tuple(arguments), tongue, first, care
        self._on_message, self._on_ready, self._on_lost = on_message, on_ready, on_lost
        self.is_ready = False
        self.starts = 0
        self.pid = 0
        self._join = tongue.joiner()
        self._stop = asyncio.Event()
        self._link: _Link | None = None
        self._heard_at = 0.0
        self._was_ready: asyncio.Future[None] | None = None
        self._life: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Child {self.name} pid {self.pid} {'ready' if self.is_ready else 'not ready'} starts {self.starts}>"

    async def start(self) -> None:
        """Returns when the child is ready; raises ChildFailed if it never got there."""
        self._was_ready = asyncio.get_running_loop().create_future()
        self._life = asyncio.create_task(self._live(), name=f"child {self.name}")
        try:
            await self._was_ready
        except ChildFailed:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Asks the child to stop, insists, and waits until it is gone. May be called twice."""
        self._stop.set()
        if self._life is None:
            return
        if self._link:
            self._say(self._link, self.tongue.stop)
        _, late = await asyncio.wait({self._life}, timeout=self.care.stop_s)
        for task in late:
            task.cancel()
        await asyncio.wait({self._life})
        self._life = None

    def send(self, message: Down) -> bool:
        """False when nobody is there to hear it."""
        return self._link is not None and self._say(self._link, message)

    def _say(self, link: _Link, message: Down) -> bool:
        return all(link.send(packet) for packet in self.tongue.pieces(self.tongue.encode(message)))

    async def _live(self) -> None:
        failures, loop = 0, asyncio.get_running_loop()
        while not self._stop.is_set():
            started = loop.time()
            why = await self._one_life()
            self._link, was_ready, self.is_ready = None, self.is_ready, False
            if self._stop.is_set():
                break
            log.warning("! %s lost: %s", self.name, why)
            self._on_lost(why)
            if self._was_ready and not self._was_ready.done():
                self._was_ready.set_exception(ChildFailed(f"{self.name} did not start: {why}"))
                break
            failures = 1 if was_ready and loop.time() - started > STEADY_S else failures + 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), retry_in(failures - 1))

    async def _one_life(self) -> str:
        """From start to end of one process; says why it ended. The process is gone when this returns."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            try:
                process = await self._spawn(theirs.fileno())
            except OSError as error:
                return f"cannot be started: {error.strerror}"
            theirs.close()
            self.pid, self.starts, self._join = process.pid, self.starts + 1, self.tongue.joiner()
            echo = asyncio.create_task(self._log_stderr(process.stderr), name=f"stderr of {self.name}")
            link = self._link = _Link(ours, self.tongue.max_bytes, self._receive, self.care.most_unsent)
            try:
                why = await self._watch(process, link)
                if self._stop.is_set():
                    await process.wait()  # stop() sets the limit
                return why
            finally:
                link.drain()
                link.close()
                tell(process, signal.SIGKILL)
                await process.wait()
                await echo

    async def _spawn(self, fd: int) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *self.arguments, "--fd", str(fd)),
            pass_fds=(fd,),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in our terminal is for us; we tell the children
        )

    async def _watch(self, process: asyncio.subprocess.Process, link: _Link) -> str:
        loop = asyncio.get_running_loop()
        self._heard_at = loop.time()
        self._say(link, self.first)
        exited = asyncio.create_task(process.wait())
        signs: set[asyncio.Future[Any]] = {exited, link.gone}
        number = 0
        try:
            while True:
                number += 1
                self._say(link, self.tongue.ping(number))
                await asyncio.wait(signs, timeout=self.care.ping_s, return_when=asyncio.FIRST_COMPLETED)
                if link.gone.done() and not exited.done():
                    await asyncio.wait({exited}, timeout=0.2)  # a closed socket mostly is the first sign of an exit
                if exited.done():
                    return _spoken(exited.result())
                if link.gone.done():
                    return link.gone.result()
                silent_s = loop.time() - self._heard_at
                if silent_s > (self.care.silence_s if self.is_ready else self.care.start_s):
                    return f"silent for {silent_s:.1f} s"
        finally:
            exited.cancel()

    def _receive(self, packet: bytes) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        if (whole := self._join(packet)) is None:
            return
        try:
            message = self.tongue.decode(whole)
        except msgspec.DecodeError as error:
            log.error("! %s said what we do not understand: %s", self.name, error)
            return
        if isinstance(message, self.tongue.pong) and not self.is_ready:
            self.is_ready = True
            log.info("= %s is ready, pid %d", self.name, self.pid)
            self._on_ready()
            if self._was_ready and not self._was_ready.done():
                self._was_ready.set_result(None)
        try:
            self._on_message(message)
        except Exception:  # a bug over one message must not cost the others, last words before an exit among them
            log.exception("! bug while %s was heard to say %s", self.name, type(message).__name__)

    async def _log_stderr(self, stream: asyncio.StreamReader | None) -> None:
        """Line by line, in pieces of our own: `readline` gives up on lines longer than its buffer."""
        assert stream is not None
        rest = b""
        while chunk := await stream.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                relog(self.name, line)
            if len(rest) > 65536:
                relog(self.name, rest)
                rest = b""
        relog(self.name, rest)


class _Link:
    """Our end of the socket: reads as it comes, keeps what the child is too slow to read, up to a limit."""

    def __init__(self, sock: socket.socket, max_bytes: int, receive: Callable[[bytes], None], most_unsent: int) -> None:
        self._sock, self._max_bytes, self._receive, self._most = sock, max_bytes, receive, most_unsent
        self._loop = asyncio.get_running_loop()
        self._unsent: deque[bytes] = deque()
        self.gone: asyncio.Future[str] = self._loop.create_future()
        sock.setblocking(False)
        self._loop.add_reader(sock.fileno(), self._readable)

    def send(self, packet: bytes) -> bool:
        if self.gone.done():
            return False
        if self._unsent:
            self._unsent.append(packet)
            if len(self._unsent) > self._most:
                self._lose(f"does not read: {len(self._unsent)} messages unsent")
            return True
        if not self._write(packet):
            self._unsent.append(packet)
            self._loop.add_writer(self._sock.fileno(), self._writable)
        return True

    def drain(self) -> None:
        """The exit may be noticed before the last words are read, and they say why: `StartFailed`, call reports."""
        while not self.gone.done() and self._readable():
            pass

    def close(self) -> None:
        self._lose("closed")
        self._unsent.clear()

    def _write(self, packet: bytes) -> bool:
        """False when the socket is full. A broken socket takes everything: `gone` tells."""
        try:
            self._sock.send(packet)
        except BlockingIOError:
            return False
        except OSError as error:
            self._lose(f"socket broke: {os.strerror(error.errno or 0)}")
        return True

    def _writable(self) -> None:
        while self._unsent and not self.gone.done():
            if not self._write(self._unsent[0]):
                return
            self._unsent.popleft()
        self._loop.remove_writer(self._sock.fileno())

    def _readable(self) -> bool:
        """False when there was nothing more to read."""
        for _ in range(READ_AT_ONCE):
            if self.gone.done():
                return False
            try:
                packet = self._sock.recv(self._max_bytes)
            except BlockingIOError:
                return False
            except ConnectionResetError:
                # It went with words of ours unread. Linux tells that first, and its own last words after it.
                continue
            except OSError as error:
                self._lose(f"socket broke: {os.strerror(error.errno or 0)}")
                return False
            if not packet:
                self._lose("closed its socket")
                return False
            self._receive(packet)
        return True

    def _lose(self, why: str) -> None:
        if not self.gone.done():
            self._loop.remove_reader(self._sock.fileno())
            self._loop.remove_writer(self._sock.fileno())
            self.gone.set_result(why)


def _spoken(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
