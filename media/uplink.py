"""Caller to platform: which samples go up, and when silence must stand in for them.

A platform needs exactly one second of audio per second. The caller's packets are forwarded the moment they arrive, so
the only thing to decide is what to do when they do not: this file keeps a ledger of samples sent against the clock.

      due(now) = (now - origin) * rate          what real time asks for
      behind   = due - sent                     > 0: the caller is silent, held or lost    < 0: a burst put us ahead

* A jump of the timestamp (loss, DTX) is filled with silence at once, but never beyond what real time asks for: what the
  filler has already put in is not put in twice.
* When nothing comes for `HOLD_OFF_MS`, longer on a line of much jitter, the filler takes over, 20 ms a tick. After
  `PAUSE_MS` of it this is a pause and no jitter, and what the hold-off has left is filled too: so when the caller goes
  on, the ledger is even, and the whole hold-off is there for the jitter of his packets.
* What would run more than `AHEAD_MS` ahead of real time is dropped; silent packets already from `TRIM_MS` on.
* What is left of a burst stands: the platform would hear the caller that much later until the next silence. So when a
  whole packet and more has stood for `STANDING_S`, one is cut every `CUT_EVERY_S` until the packet that is being played
  is all there is, loud or not. Whoever cuts must join the ends (media.conceal).

A packet in time leaves the ledger at most its own length ahead, and jitter moves it only below that as long as the
first one after a pause was no later than the others. When it was, the others stand ahead by as much and tremble: what
trembles by more than it stands is jitter, and is left alone.

Pure: counts samples, touches none.
"""

from __future__ import annotations

from media.rtp import ts_diff

HOLD_OFF_MS = 60
"Jitter below this is waited for, not filled: a filled gap would push the real audio that follows out of its place."
WIDEST_HOLD_OFF_MS = 120
HOLD_OFF_JITTERS = 3
"Delays spread evenly over some range have a third of it as their interarrival jitter (RFC 3550, 6.4.1)."
PAUSE_MS = 60
TRIM_MS = 45
AHEAD_MS = 120
USUAL_MS, LONGEST_MS = 20, 60
"What a packet is longer than usual is not counted as ahead: one of 60 ms brings so much at once, and is no burst."
STANDING_S, STANDING_PACKETS = 0.4, 15
CUT_EVERY_S = 0.06
"""The 120 ms that may be ahead are back in two thirds of a second: 0.4 s to be sure, and five cuts of 20 ms. On the way
down the burst stands once more, behind a platform that answers in real time, and that takes its own time."""
SETTLING_S = 0.1
"The packets of the burst itself came at no time of their own; how much the line trembles is told by those behind it."
STEADY_MS = 1
"So little is nothing that stands."
MAX_JUMP_S = 60
"A timestamp jump beyond this is a new clock at the sender, not a pause."

DROP = -1


class Uplink:
    """The ledger of one call's way up. `now` is monotonic seconds throughout."""

    __slots__ = (
        "_cut_at",
        "_filling",
        "_least",
        "_most",
        "_next_ts",
        "_rate_hz",
        "_started",
        "ahead_dropped",
        "crowded",
        "filled",
        "origin",
        "sent",
    )

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._started = False
        self._next_ts: int | None = None
        self._cut_at = 0.0
        "From when on what stands ahead is cut; 0: nothing stands."
        self._least = self._most = 0
        "Samples that have stood since then."
        self._filling = 0
        "Samples that the filler has sent since the last packet."
        self.origin = 0.0
        self.sent = 0
        "Samples, silence included."
        self.filled = 0
        self.ahead_dropped = 0
        self.crowded = False
        "The last packet ran ahead so far that silence is to be trimmed: whoever admits must look whether it is quiet."

    def use_rate(self, rate_hz: int) -> None:
        """Another codec, another clock: the ledger is kept in its units from now on."""
        self.sent = self.sent * rate_hz // self._rate_hz
        self.filled = self.filled * rate_hz // self._rate_hz
        self.ahead_dropped = self.ahead_dropped * rate_hz // self._rate_hz
        self._rate_hz = rate_hz
        self._next_ts = None

    def start(self, now: float) -> None:
        """From now on the platform wants audio. Twice does nothing."""
        if not self._started:
            self._started = True
            self.origin = now

    def behind(self, now: float) -> int:
        """Samples that real time asks for and that have not been sent."""
        return int((now - self.origin) * self._rate_hz) - self.sent

    def new_stream(self) -> None:
        """Other SSRC or restart: timestamps before and after have nothing to do with each other."""
        self._next_ts = None

    def gap(self, timestamp: int) -> int:
        """Samples between the last packet and one with this timestamp; 0 when none can be told."""
        gap = 0 if self._next_ts is None else ts_diff(timestamp, self._next_ts)
        return gap if 0 < gap < MAX_JUMP_S * self._rate_hz else 0

    def admit(self, timestamp: int, samples: int, quiet: bool, now: float) -> int:
        """A packet in order: how many samples of silence go up before it, or DROP if it must not go at all."""
        gap = self.gap(timestamp)
        self._next_ts = (timestamp + samples) & 0xFFFFFFFF
        if not self._started:
            return 0  # nobody listens yet, so nothing is owed
        behind = self.behind(now)
        fill = 0
        if gap:
            fill = max(0, min(gap, behind - samples))
        lead = samples + fill - behind
        ahead_ms, lasts_ms = lead * 1000 / self._rate_hz, samples * 1000 / self._rate_hz
        if USUAL_MS < lasts_ms <= LONGEST_MS:
            ahead_ms -= lasts_ms - USUAL_MS
        self.crowded = ahead_ms > TRIM_MS
        if ahead_ms > AHEAD_MS or (quiet and self.crowded) or self._stands(lead - samples, samples, now):
            self.ahead_dropped += samples
            return DROP
        self.filled += fill
        self.sent += fill + samples
        self._filling = 0
        return fill

    def _stands(self, left: int, samples: int, now: float) -> bool:
        """Is this packet to be cut? `left` samples stand beside it."""
        if left * 1000 < STEADY_MS * self._rate_hz or (not self._cut_at and left < samples):
            self._cut_at = 0.0
            return False
        standing_s = max(STANDING_S, STANDING_PACKETS * samples / self._rate_hz)
        if not self._cut_at:
            self._cut_at = now + standing_s
        if now < self._cut_at - standing_s + SETTLING_S:
            self._least = self._most = left
        self._least, self._most = min(self._least, left), max(self._most, left)
        if now < self._cut_at:
            return False
        if self._most - self._least > self._least:
            self._cut_at = now + standing_s
            return False
        self._cut_at = now + CUT_EVERY_S
        self._least, self._most = self._least - samples, self._most - samples
        return True

    def fill(self, frame: int, now: float, jitter_ms: float = 0.0) -> int:
        """Called every tick: samples of silence to send now, in whole frames, because nothing else came."""
        if not self._started:
            return 0
        behind = self.behind(now)
        if behind < frame:
            return 0
        over = behind - self._hold_off(jitter_ms)
        if over < frame:
            return 0
        silence = over // frame * frame
        self._filling += silence
        self.filled += silence
        self.sent += silence
        return silence

    def _hold_off(self, jitter_ms: float) -> int:
        """In samples."""
        if self._filling * 1000 >= PAUSE_MS * self._rate_hz:
            return 0
        ms = max(HOLD_OFF_MS, min(WIDEST_HOLD_OFF_MS, HOLD_OFF_JITTERS * jitter_ms))
        return int(ms * self._rate_hz / 1000)
