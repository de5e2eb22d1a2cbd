"""One call at a worker: the near end (RTP) and the far end (a platform's socket) joined.

    caller --RTP--> NearEnd --> transcoder.up --> FarEnd --> platform        driven by packets, no clock in between
    caller <--RTP-- NearEnd <-- Playout <-- transcoder.down <-- platform     paced by the worker's alarm

The far end is swappable: `attach` replaces it and the caller's stream runs on.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from typing import Any

from media import rtp, wire
from media.beat import Beat
from media.clock import Alarm
from media.codecs import Codec
from media.ear import Ear
from media.far import (
    FarEnd,
    FarFailure,
    FarHappening,
    Flush,
    Mark,
    OpenFar,
    PlatformHungUp,
    PressKeys,
    Trouble,
)
from media.intake import Intake
from media.moments import moment_of
from media.near import Address, NearEnd
from media.pieces import Pieces
from media.playout import Playout
from media.recording import Recording
from media.rtcpend import RtcpEnd
from media.stats import Histogram
from media.step import packet_step
from media.summary import Tally, call_report, far_report, histograms, near_report
from media.transcode import Transcoder, transcoder

log = logging.getLogger(__name__)


class Call:
    """Owns one RTP socket, one far end, and their figures."""

    def __init__(
        self,
        name: str,
        sock: socket.socket,
        port: int,
        *,
        options: wire.WorkerOptions,
        loop: asyncio.AbstractEventLoop,
        alarm: Alarm,
        pieces: Pieces,
        emit: Callable[[wire.Event], None],
        record: Callable[[NearEnd], Recording] | None,
    ) -> None:
        self.name, self.port, self.sock = name, port, sock
        self._options, self._loop, self._emit = options, loop, emit
        self._record = record
        self._recording: Recording | None = None
        self._near = NearEnd(inband_dtmf=options.inband_dtmf)
        self._spec: wire.FarSpec | None = None
        self._far: FarEnd | None = None
        self._ear: Ear | None = None
        self._transcoder: Transcoder | None = None
        self._playout = Playout(self._near.codec, 20, sends_ahead=False)
        self._beat = Beat(alarm, self._playout, self._tick, self._rung)
        self._intake, self._pieces = Intake(self._playout), pieces
        self._tally = Tally()
        self._ending: wire.FarEnded | None = None
        self._ending_at, self._quiet_told_ms, self._spoke = 0.0, 0, False
        self._began = time.monotonic()
        self._rtcp = RtcpEnd(self._near, sock, options.host, port)
        self._step = packet_step(
            sock, self._near, self._tally, self._receive, self._hear, self._attend, self._break_down
        )
        self.on_far_audio = self._step.audio
        loop.add_reader(sock.fileno(), self._step.readable)

    def __repr__(self) -> str:
        return f"<Call {self.name} rtp {self.port} {self._transcoder or 'not connected'}>"

    @property
    def codec(self) -> Codec:
        return self._near.codec

    # --- what control asks for --------------------------------------------------------------------------------------

    def start_near(self, spec: wire.NearSpec) -> None:
        """SDP agreed, for the first time or anew. Raises ValueError for a codec or payload we cannot carry."""
        now = time.monotonic()
        codec_before, ptime_before = self._near.codec, self._near.ptime_ms
        self._near.start(spec, now)
        if not self._beat.runs or (self._near.codec, spec.ptime_ms) != (codec_before, ptime_before):
            self._rebuild(now)
        if self._recording is None and self._record is not None:
            self._recording = self._record(self._near)
            self._near.on_air = self._recording.agent
            self._join()
        elif self._recording is not None:
            self._recording.use(self._near.codec)

    async def attach(self, spec: wire.FarSpec, open_far: OpenFar, timeout_s: float) -> None:
        """Open a far end and wait until it is ready; it then takes the place of the present one, if there is one.

        Raises FarFailure; the present far end stays.
        """
        transcoder(self._near.codec, spec.encoding, spec.rate_hz)  # what no table has is told before anybody is called
        ear = Ear(self)
        far = open_far(spec, ear)
        try:
            async with asyncio.timeout(timeout_s):
                await far.open(timeout_s)
                await ear.ready.wait()
        except TimeoutError as error:
            far.close()
            raise FarFailure("slow", f"connected, but not ready after {timeout_s:g} s") from error
        except BaseException:
            far.close()
            raise
        if ear.lost:
            raise FarFailure("lost", ear.lost)
        self._switch(far, ear, spec)

    def _switch(self, far: FarEnd, ear: Ear, spec: wire.FarSpec) -> None:
        before, before_ear = self._far, self._ear
        self._far, self._ear, self._spec = far, ear, spec
        if before is not None and before_ear is not None:
            self._tally.backlog_dropped_ms += before.backlog_dropped_ms
            before_ear.leave()
            before.close()
        now = time.monotonic()
        self._ending = None  # of the one before: what it still had to say is played on, and the call goes on with this
        self._intake.forget_marks()
        self._rebuild(now)
        self._near.uplink.start(now)
        ear.go()

    def press(self, digit: str) -> None:
        """A key of the caller's, by whatever way it came."""
        if self._far is not None:
            self._far.send_digit(digit)

    def end_far(self) -> None:
        """The caller is gone: say goodbye to the platform."""
        if self._far is not None:
            self._far.close()

    def close(self) -> wire.CallReport:
        """Give everything back but the socket. No circle of references may stay: garbage is collected once in hours."""
        self.end_far()
        if self._ear is not None:
            self._ear.leave()
        self._loop.remove_reader(self.sock.fileno())
        self._beat.stop()
        if self._recording is not None:
            self._recording.close()
        self._rtcp.close()
        self._intake.clear()
        self._step.close()
        del self.on_far_audio
        return self.report()

    # --- caller to platform -----------------------------------------------------------------------------------------

    def _receive(self, data: bytes, source: Address, arrived: float) -> None:
        """A datagram that is not ordinary: what is in order leaves on the far socket before this returns."""
        try:
            if rtp.is_rtcp(data):
                self._rtcp.receive(data, source, arrived)
                return
            audio = self._near.receive(data, source, arrived)
            if audio:
                self._send_up(audio)
                self._tally.up.add(time.monotonic() - arrived)
            if self._near.presses:
                self._tell_presses()
        except Exception as error:
            self._break_down(error)

    def _send_up(self, audio: bytes) -> None:
        if self._recording is not None:
            self._recording.caller(audio)
        if self._far is not None and self._transcoder is not None:
            self._tally.up_bytes += len(audio)
            self._far.send_audio(self._transcoder.up(audio))

    def _tell_presses(self) -> None:
        for press in self._near.presses:
            self._emit(wire.DigitHeard(call=self.name, digit=press.digit, duration_ms=press.duration_ms))
            self.press(press.digit)
        self._near.presses.clear()

    # --- platform to caller -----------------------------------------------------------------------------------------

    def _hear(self, data: bytes) -> None:
        """Agent's voice that is not ordinary: encode it in bulk, the tick slices it."""
        if self._transcoder is None or not self._beat.runs or self._ending is not None:
            return
        self._tally.down_bytes += len(data)
        now = time.monotonic()
        if not self._intake.take(data, now):
            return
        if self._intake.waits:
            self._pieces.add(self._convert)
        if not self._spoke:
            self._spoke = True
            self._moment("first-audio", who="agent")
        self._join()
        self._beat.hasten(now)

    def _convert(self) -> bool:
        """A slice of what waits, in a turn of its own. Returns whether more does."""
        try:
            self._intake.convert()
            self._join()
        except Exception as error:
            self._break_down(error)
        return self._intake.waits

    def on_far_happening(self, happening: FarHappening) -> None:
        match happening:
            case Mark(name=name):
                self._mark(name)
            case Flush():
                self._flush()
            case PressKeys(digits=digits):
                self._press_keys(digits)
            case Trouble(detail=detail):
                self._tally.trouble += 1
                if self._tally.trouble <= 10:  # a platform gone mad must not fill the log
                    self._moment("trouble", text=detail)
            case PlatformHungUp(reason=reason):
                self._end("platform", reason)
            case _:
                if (moment := moment_of(happening, time.monotonic())) is not None:
                    self._emit(wire.FarEvent(call=self.name, moment=moment))

    def on_far_lost(self, reason: str) -> None:
        self._end("error", reason)

    def _press_keys(self, digits: str) -> None:
        try:
            if not self._near.sender.press(digits):
                self._emit(wire.KeysUnsent(call=self.name, digits=digits))
        except ValueError as error:
            self.on_far_happening(Trouble(str(error)))

    def _flush(self) -> None:
        now = time.monotonic()
        dropped_ms = self._intake.flush(now)
        self._tell_marks()
        self._moment("flush", data={"dropped_ms": dropped_ms})
        self._beat.hasten(now)

    def _mark(self, name: str) -> None:
        if self._ending is not None:  # nobody is there to be answered
            return
        if not self._intake.mark(name):
            self.on_far_happening(Trouble("too many marks: one comes back before its audio was sent"))
        self._tell_marks()

    def _tell_marks(self) -> None:
        """To the platform: what came before these marks has left."""
        for name in self._playout.marks_reached():
            if self._far is not None:
                self._far.send_mark(name)
                self._tally.marks += 1

    def _end(self, by: wire.FarEndedBy, reason: str) -> None:
        """The platform is gone; what it has said is still played (see _watch)."""
        if self._ending is None:
            self._ending = wire.FarEnded(call=self.name, by=by, reason=reason)
            self._ending_at = time.monotonic()
            self._intake.forget_marks()
            self._join()
            if not self._near.started and not self._intake.has_words:  # nothing will be played: tell at once
                self._tell_end()

    def _tell_end(self) -> None:
        if self._ending is not None:
            self._emit(self._ending)
            self._ending_at = float("inf")

    # --- the clock --------------------------------------------------------------------------------------------------

    def _break_down(self, error: BaseException) -> None:
        """A bug of ours in this call: it ends, with the traceback in the log; the worker's other calls go on."""
        log.error("! %r broke down", self, exc_info=error)
        self._loop.remove_reader(self.sock.fileno())
        self._beat.stop()
        self._intake.clear()
        self._ending = wire.FarEnded(call=self.name, by="error", reason="internal error")
        self._tell_end()

    def _rung(self, late_s: float) -> None:
        self._tally.late.add(late_s)
        self._near.ticks_late += late_s > self._near.ptime_ms / 2000

    def _tick(self, frames: int, skipped: int, early: float, now: float) -> None:
        try:
            self._intake.keep_up(frames * self._near.ptime_ms)
            if frames != 1 or skipped or not self._step.tick(now, early):
                self._send_down(frames, skipped, early, now)
                self._attend(now)
            if self._playout.has_marks:
                self._tell_marks()
        except Exception as error:
            self._break_down(error)

    def _send_down(self, frames: int, skipped: int, early: float, now: float) -> None:
        """Frames are due, or one may leave early: slice, head, send."""
        peer = self._near.peer
        for packet in self._near.tick(frames, skipped, self._playout, now, early):
            try:
                self._step.send(packet, peer)
            except OSError:
                self._tally.send_errors += 1

    def _attend(self, now: float) -> None:
        """What else is to be looked after once in a frame."""
        for audio in (self._near.overdue(now), self._near.filler(now)):
            if audio:
                self._send_up(audio)
        if self._near.presses:
            self._tell_presses()
        if self._far is not None and self._near.started:
            self._far.tick(now)
        if self._recording is not None:
            self._recording.tick(now)
        self._rtcp.tick(now)
        self._watch(now)
        direct = self._far is None or self._far.direct is not None
        self._step.attend_at = self._rtcp.next_tick_at if self._recording is None and direct else now

    def _watch(self, now: float) -> None:
        """What only time can tell: the end of the agent's last words, and a caller who has fallen silent."""
        if self._ending is not None and self._ending_at != float("inf"):
            overdue = now - self._ending_at > self._options.drain_ms / 1000
            if overdue or not self._intake.has_words:
                self._tell_end()
        quiet_ms = self._near.quiet_ms(now)
        if quiet_ms >= self._options.quiet_after_ms > self._quiet_told_ms:
            self._emit(wire.NearQuiet(call=self.name, silent_ms=quiet_ms))
        self._quiet_told_ms = quiet_ms

    def _rebuild(self, now: float) -> None:
        """Near codec, ptime or far format changed: new transcoder; queue and pacer are kept where they still fit."""
        ahead = self._spec is not None and self._spec.sends_ahead
        self._playout = self._playout.successor(self._near.codec, self._near.ptime_ms, sends_ahead=ahead)
        self._transcoder = self._intake.use(self._near.codec, self._spec, self._playout)
        self._beat.use(self._playout, self._near.ptime_ms, now)
        self._join()

    def _join(self) -> None:
        """Tell the packet step what ordinary packets go through now, and what must take the long way."""
        step, tables = self._step, self._transcoder.tables if self._transcoder is not None else None
        ends = self._ending is not None
        step.far = None if ends else self._far
        step.tap = self._recording.caller if self._recording is not None else None
        step.playout = self._playout
        step.pacer, step.bell = self._beat.hands
        step.up_table, step.down_table = tables if tables is not None and not ends else (None, None)
        if not self._intake.is_straight or not self._spoke:
            step.down_table = None

    # --- figures ----------------------------------------------------------------------------------------------------

    def _moment(
        self, kind: wire.MomentKind, *, who: str = "", text: str = "", data: dict[str, Any] | None = None
    ) -> None:
        moment = wire.Moment(kind=kind, at_s=time.monotonic(), who=who, text=text, data=data or {})
        self._emit(wire.FarEvent(call=self.name, moment=moment))

    def histograms(self) -> dict[str, Histogram]:
        """Of the call so far, by the names of their spreads in the report."""
        return histograms(self._near, self._playout, self._tally)

    def counters(self) -> tuple[wire.NearReport, wire.FarReport]:
        backlog_ms = self._far.backlog_dropped_ms if self._far is not None else 0
        return (
            near_report(self._near, self._rtcp, self._tally),
            far_report(self._near, self._playout, self._spec, self._tally, backlog_ms),
        )

    def report(self) -> wire.CallReport:
        """Everything so far; at any time."""
        near, far = self.counters()
        duration_s = time.monotonic() - self._began
        return call_report(near, far, self.histograms(), duration_s=duration_s, recording=self._recording)
