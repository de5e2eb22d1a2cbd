"""A media worker: a process on uvloop that owns both ends of its calls.

    python -m media.worker --fd N --dialects bridge.platforms:DIALECTS

It speaks `media.wire` over an inherited SOCK_SEQPACKET socket. When that socket ends (the control process is gone) it
says goodbye on all far ends and exits: a worker without a control process has nobody to answer to.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import json
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvloop

from media import pair, wire
from media.call import Call
from media.clock import Alarm
from media.coders import prepare
from media.far import DialectTable, FarEar, FarEnd, FarFailure
from media.figures import Ledger
from media.near import NearEnd
from media.pieces import Pieces
from media.ports import NoPort, PortPool
from media.recording import Recording
from media.tape import Tape
from media.websocket import FarSocket

log = logging.getLogger("media.worker")

MAX_WAITING = 10_000
"Events kept for a control process that does not read; the oldest moments go first beyond it."
GC_THRESHOLD = (50_000, 20, 50)
"Generations are collected rarely: what a call allocates per packet dies by reference count."
NICE = -10
"""Where it may, a worker goes before what is not heard (reports, records, other programs): it needs little of a core,
and that little at once. Needs root or CAP_SYS_NICE."""


class Worker:
    """Commands in, events out; a table of calls in between."""

    def __init__(self, control: socket.socket, dialects: DialectTable) -> None:
        self._control = control
        self._dialects = dialects
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._loop)
        self._pieces = Pieces(self._loop)
        self._options = wire.WorkerOptions()
        self._ports = PortPool(self._options.host, 0, -1, 0)
        self._calls: dict[str, Call] = {}
        self._connecting: dict[str, asyncio.Task[None]] = {}
        self._opened = 0
        self._ledger = Ledger()
        self._books = self._loop.create_task(self._keep_books())
        self._disk = ThreadPoolExecutor(1, "recording")
        self._waiting: deque[bytes] = deque(maxlen=MAX_WAITING)
        self.done = asyncio.Event()
        self._loop.add_reader(control.fileno(), self._readable)

    # --- the control socket -----------------------------------------------------------------------------------------

    def _readable(self) -> None:
        while not self.done.is_set():
            try:
                data = self._control.recv(wire.MAX_MESSAGE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.stop()
                return
            self._handle(wire.decode_command(data))

    def emit(self, event: wire.Event) -> None:
        """Send one event up, in order; when control is slow they wait here."""
        self._waiting.append(wire.encode(event))
        if len(self._waiting) == 1:
            self._flush()

    def _flush(self) -> None:
        while self._waiting:
            try:
                self._control.send(self._waiting[0])
            except BlockingIOError:
                self._loop.add_writer(self._control.fileno(), self._flush)
                return
            except OSError:  # control is gone; _readable will see it too
                self._waiting.clear()
                return
            self._waiting.popleft()
        self._loop.remove_writer(self._control.fileno())

    # --- commands ---------------------------------------------------------------------------------------------------

    def _handle(self, command: wire.AnyCommand) -> None:
        match command:
            case wire.Setup(options=options):
                self._options = options
                self._ports = PortPool(options.host, options.first_port, options.last_port, options.rest_s)
            case wire.OpenCall():
                self._open(command)
            case wire.ConnectFar():
                self._connect(command)
            case wire.Ping(number=number):
                used = resource.getrusage(resource.RUSAGE_SELF)
                self.emit(wire.Pong(number=number, calls=len(self._calls), cpu_s=used.ru_utime + used.ru_stime))
            case wire.Stop():
                self.stop()
            case wire.CloseCall(call=name):
                self._close(name)
            case _:
                self._tell(command)

    async def _keep_books(self) -> None:
        """For as long as the worker lives: without it the calls' figures would never be sorted."""
        while True:
            await asyncio.sleep(self._options.figures_ms / 1000)
            self.emit(await self._ledger.survey(self._opened, self._calls.values()))

    def _tell(self, command: wire.StartNear | wire.Digit | wire.EndFar | wire.ReportCall) -> None:
        """Commands for one call that stands. A call that is gone already is nobody's mistake: a BYE crossed it."""
        call = self._calls.get(command.call)
        if call is None:
            log.debug("! %s for unknown call %s", type(command).__name__, command.call)
            return
        match command:
            case wire.StartNear(near=near):
                try:
                    call.start_near(near)
                except ValueError as error:
                    self.emit(wire.CallFailed(call=command.call, why=str(error)))
            case wire.Digit(digit=digit):
                call.press(digit)
            case wire.EndFar():
                call.end_far()
            case wire.ReportCall():
                self.emit(wire.CallReported(call=call.name, report=call.report()))

    def _open(self, command: wire.OpenCall) -> None:
        if command.call in self._calls:
            self.emit(wire.CallFailed(call=command.call, why="there is a call of this name already"))
            return
        try:
            sock, port = self._ports.take(time.monotonic())
        except NoPort as error:
            self.emit(wire.CallFailed(call=command.call, why=str(error)))
            return
        recording = command.recording

        def record(near: NearEnd) -> Recording:
            return Recording(Path(recording), near.codec, self._disk)

        self._calls[command.call] = Call(
            command.call,
            sock,
            port,
            options=self._options,
            loop=self._loop,
            alarm=self._alarm,
            pieces=self._pieces,
            emit=self.emit,
            record=record if recording else None,
        )
        self._opened += 1
        self.emit(wire.CallOpened(call=command.call, host=self._options.host, port=port))

    def _connect(self, command: wire.ConnectFar) -> None:
        call = self._calls.get(command.call)
        if call is None:
            log.debug("! ConnectFar for unknown call %s", command.call)
            return
        before = self._connecting.pop(command.call, None)
        if before is not None:
            before.cancel()
        task = self._loop.create_task(self._attach(call, command))
        self._connecting[command.call] = task
        task.add_done_callback(lambda done: self._connected(command.call, done))

    async def _attach(self, call: Call, command: wire.ConnectFar) -> None:
        began = time.monotonic()
        try:
            if command.far.dialect == pair.DIALECT:
                await pair.join(call, self._other(command.far), command.timeout_ms / 1000)
            else:
                await call.attach(command.far, self._open_far, command.timeout_ms / 1000)
        except FarFailure as failure:
            self.emit(wire.FarFailed(call=call.name, cause=failure.cause, detail=failure.detail, status=failure.status))
        except ValueError as error:  # a format that no table has
            self.emit(wire.FarFailed(call=call.name, cause="nonsense", detail=str(error)))
        else:
            self.emit(wire.FarReady(call=call.name, took_ms=round((time.monotonic() - began) * 1000, 3)))

    def _other(self, spec: wire.FarSpec) -> Call:
        other = self._calls.get(spec.options["with"])
        if other is None:
            raise FarFailure("lost", "the other call is gone")
        return other

    def _open_far(self, spec: wire.FarSpec, ear: FarEar) -> FarEnd:
        if spec.dialect == "tape":
            return Tape(spec, ear)
        if spec.dialect not in self._dialects:
            raise FarFailure("nonsense", f"unknown dialect {spec.dialect!r}")
        return FarSocket(spec, self._dialects[spec.dialect](spec), ear)

    def _connected(self, name: str, task: asyncio.Task[None]) -> None:
        if self._connecting.get(name) is task:
            del self._connecting[name]
        if not task.cancelled() and task.exception() is not None:
            # A bug of ours in one call must not take the worker's other calls with it.
            log.error("! connecting %s", name, exc_info=task.exception())
            self.emit(wire.FarFailed(call=name, cause="nonsense", detail="internal error"))

    def _close(self, name: str) -> None:
        task = self._connecting.pop(name, None)
        if task is not None:
            task.cancel()
        call = self._calls.pop(name, None)
        if call is None:
            log.debug("! CloseCall for unknown call %s", name)
            return
        report = call.close()
        self._ledger.close(call)
        self._ports.give_back(call.sock, call.port, time.monotonic())
        self.emit(wire.CallClosed(call=name, report=report))

    def stop(self) -> None:
        """Close every call and end the process."""
        for name in list(self._calls):
            self._close(name)
        self._books.cancel()
        self._alarm.close()
        self._loop.remove_reader(self._control.fileno())
        self.done.set()

    async def finish(self) -> None:
        """Let the last words on sockets and disk get out."""
        await asyncio.sleep(0)
        await self._loop.run_in_executor(None, self._disk.shutdown)


class JsonLines(logging.Formatter):
    """One JSON object per line on stderr; the control process logs it again in its own style."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"level": record.levelname.lower(), "logger": record.name, "msg": record.getMessage()}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


async def serve(control: socket.socket, dialects: DialectTable) -> None:
    worker = Worker(control, dialects)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)
    await worker.done.wait()
    await worker.finish()


def load_dialects(name: str) -> DialectTable:
    """`package.module:NAME` of a DialectTable. Empty: none (only tapes can be far ends then)."""
    if not name:
        return {}
    module, _, attribute = name.partition(":")
    table: DialectTable = getattr(importlib.import_module(module), attribute)
    return table


def go_first() -> None:
    """Ask the kernel for precedence; a worker that may not have it runs as others do."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    except PermissionError:
        log.debug("no precedence for this worker: CAP_SYS_NICE is missing")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fd", type=int, required=True, help="inherited SOCK_SEQPACKET socket to the control process")
    parser.add_argument("--dialects", default="", help="package.module:NAME of the dialect table")
    parser.add_argument("--codecs", default="", help="to be ready for: what they need is loaded before the first call")
    parser.add_argument("--log-level", default="info")
    arguments = parser.parse_args()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=arguments.log_level.upper(), handlers=[handler])
    logging.getLogger("picows").setLevel(logging.WARNING)  # it logs URLs, and ours are credentials
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    go_first()
    control = socket.socket(fileno=arguments.fd)
    control.setblocking(False)
    prepare(arguments.codecs.split(","))
    uvloop.run(serve(control, load_dialects(arguments.dialects)))


if __name__ == "__main__":
    main()
