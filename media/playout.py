"""Platform to caller: the queue, and what leaves at each tick.

Agent audio arrives in messages of any length, is encoded in bulk and cut into frames of one ptime at once; the tick
only pops one. For a platform that paces in real time the queue has a target, and what a stall has left above it is
drained, silence first; for one that sends ahead (media.pace) it is deep by intent and left alone.

The target is one frame plus the jitter that a rarer lateness than the phase follows has shown (media.cushion).

No edge clicks: where the queue runs dry inside an utterance the last sound goes on and fades (at once, if the platform
has sent ahead: it has probably ended); where audio comes back it is joined to that (media.mender). A barge-in alone is
cut hard: the next tick's frame is silent from its first sample, unless the agent goes on with something else at once.

Pure: encoded bytes and `now` in, frames out.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from media.codecs import Codec
from media.cushion import Cushion
from media.marks import Marks
from media.mender import Mender
from media.pace import Pace
from media.resample import Resampler
from media.stats import Histogram

MAX_QUEUE_MS = 600_000
"What Twilio takes from an agent ahead of real time (its error 31931). Beyond it the oldest is dropped and counted."
STANDING_MS = 500
"A queue that has not been down to its target for this long is a standing queue, not jitter or a coarse message."
DRAIN_MS = 500
"What stands above the target is dropped within this time."
SILENCE_FIRST_MS = 240
"So long only silent frames are: every sentence has some. What is left then is cut out of the words, at even distances."
SURE_S = 0.001
"By so much a frame must have been there before the last tick was due, to have been in time for that."
NEVER = -math.inf
SAME_UTTERANCE_S = 1.0
"Audio that comes later than this after the queue ran dry is a new utterance, and the silence before it was meant."

COUNTERS = ("played_ms", "flushed_ms", "overflow_ms", "drained_ms", "underruns")


class Playout:
    """One call's way down."""

    __slots__ = (
        "_carry",
        "_carry_at",
        "_codec",
        "_cushion",
        "_cut_every",
        "_cut_frames",
        "_deep",
        "_dry_s",
        "_dry_since",
        "_flushed_at",
        "_frame_bytes",
        "_frames",
        "_interrupted",
        "_least",
        "_limit",
        "_marks",
        "_mender",
        "_pace",
        "_ptime_ms",
        "_pushed",
        "_surplus",
        "_target",
        "_ticks",
        "_units",
        "barge_in",
        "down",
        "drained_ms",
        "flushed_ms",
        "missed_by",
        "overflow_ms",
        "played_ms",
        "sends_ahead",
        "underruns",
        "waited",
    )

    def __init__(self, codec: Codec, ptime_ms: int, *, sends_ahead: bool) -> None:
        """`sends_ahead`: the platform may do so; then the attribute says whether it does."""
        self._codec = codec
        self._ptime_ms = ptime_ms
        self._frame_bytes = codec.frame_bytes(ptime_ms)
        self._may_send_ahead(sends_ahead)
        self._units = codec.units(codec.silence * (self._frame_bytes // codec.sample_bytes))
        self._mender = Mender(codec)
        self._interrupted = False
        "A barge-in's: the next frame is the fading end of what was being said."
        self._frames: deque[tuple[bytes, float, float, bool]] = deque()
        """(frame, when its first byte arrived and when its last did, whether it was the first of its message and found
        the queue empty)"""
        self._limit = MAX_QUEUE_MS // ptime_ms
        self._carry = b""
        "Less than a frame, waiting for the rest of its utterance."
        self._carry_at = 0.0
        self._dry_since: float | None = NEVER
        "When the queue ran dry; None while it holds something, NEVER when the silence is meant."
        self._pushed = 0
        "Bytes since the beginning; what of them does not wait here has left."
        self._marks = Marks()
        self._flushed_at = 0.0
        self._least = self._limit
        self._ticks = 0
        "Since the queue was last down to its target; `_least` is how shallow it has been in them."
        self._surplus = 0
        self._cut_every = self._cut_frames = 1
        self._cushion = Cushion(ptime_ms)
        self._target = self._cushion.frames
        "Its number, where the compiled packet step can read it."
        self._dry_s = 0.0
        "How long the queue was dry the last time that it ran dry inside an utterance."
        self.waited = 0.0
        "How long before its tick was due the last fresh frame came, in seconds; -1.0 when the last tick had none."
        self.missed_by = -1.0
        "How late this tick's frame was for the tick that found nothing, in seconds; -1.0 when none was missed."
        self.played_ms = self.flushed_ms = self.overflow_ms = self.drained_ms = 0
        self.underruns = 0
        self.down = Histogram()
        self._deep = Histogram()
        "Of frames that waited behind others by intent."
        self.barge_in = Histogram()

    def __len__(self) -> int:
        """Frames that are waiting, the unfinished one included."""
        return len(self._frames) + (1 if self._carry else 0)

    @property
    def waiting_ms(self) -> int:
        return len(self._frames) * self._ptime_ms

    @property
    def is_waiting(self) -> bool:
        """Something is to leave as soon as the next tick is open: audio that has come in real time and found nothing
        before it (what stands behind others is not to be hurried, or nobody would see it stand; nor what is to be cut,
        for which the next one must be there), or a flush.
        """
        is_fresh = bool(self._frames) and self._frames[0][3] and not self.sends_ahead and not self._surplus
        return is_fresh or self._flushed_at > 0

    @property
    def queued(self) -> Histogram:
        """How long frames have waited, all of them."""
        both = Histogram()
        both.merge(self.down)
        both.merge(self._deep)
        return both

    def successor(self, codec: Codec, ptime_ms: int, *, sends_ahead: bool) -> Playout:
        """The queue after a change of codec, ptime or far end: what waits is converted, the figures run on."""
        if codec is self._codec and ptime_ms == self._ptime_ms:
            self._may_send_ahead(sends_ahead)
            return self
        heir = Playout(codec, ptime_ms, sends_ahead=sends_ahead)
        for name in ("down", "_deep", "barge_in", *COUNTERS):
            setattr(heir, name, getattr(self, name))
        heir._flushed_at = self._flushed_at
        heir._dry_since = self._dry_since
        if codec is self._codec:
            heir._mender, heir._interrupted = self._mender, self._interrupted
        waiting = [(frame, arrived) for frame, arrived, _, _ in self._frames]
        if self._carry:
            waiting.append((self._carry, self._carry_at))
        rates = Resampler(self._codec.line_rate_hz, codec.line_rate_hz)
        place = self._place
        for data, arrived in waiting:
            heir._inherit_marks(self._marks.reached(place))
            pcm = self._codec.decode(data)
            heir.push(codec.encode(pcm if codec.line_rate_hz == self._codec.line_rate_hz else rates.push(pcm)), arrived)
            place += len(data)
        heir._inherit_marks(self._marks.reached(place))
        return heir

    def push(self, data: bytes, now: float) -> None:
        """Agent audio in the trunk's codec, any length."""
        size, frames = self._frame_bytes, self._frames
        self._pushed += len(data)
        if self._pace is not None:
            self._look_at_pace(self._pace, len(data), now)
        fresh = not frames
        if not self._carry and len(data) == size:
            frames.append((data, now, now, fresh))
        else:
            arrived = self._carry_at if self._carry else now
            data = self._carry + data
            whole = len(data) - len(data) % size
            for at in range(0, whole, size):
                frames.append((data[at : at + size], arrived, now, fresh))
                fresh, arrived = False, now
            self._carry, self._carry_at = data[whole:], arrived
        while len(frames) > self._limit:
            self._mender.leave_out(frames.popleft()[0])
            self.overflow_ms += self._ptime_ms

    def _may_send_ahead(self, may: bool) -> None:
        self.sends_ahead = may
        self._pace = Pace() if may else None

    def _look_at_pace(self, pace: Pace, size: int, now: float) -> None:
        byte_ms = self._ptime_ms / self._frame_bytes
        is_ahead = pace.pushed(size * byte_ms, self._pushed * byte_ms, now)
        if is_ahead != self.sends_ahead:
            self.sends_ahead = is_ahead
            self._at_target()

    @property
    def has_marks(self) -> bool:
        return len(self._marks) > 0

    def mark(self, name: str) -> bool:
        """Put a mark behind all that was pushed so far. False: there are too many, the oldest comes back early."""
        return self._marks.put(name, self._pushed)

    def marks_reached(self) -> list[str]:
        """Marks before which nothing waits any more, in their order: it was taken by ticks or has been dropped.

        To be asked after the frames of a tick are on the wire, after a flush, and after a mark was put.
        """
        return self._marks.reached(self._place)

    def forget_marks(self) -> None:
        """Who put them is gone."""
        self._marks.forget()

    @property
    def _place(self) -> int:
        """Up to which byte since the beginning nothing waits any more."""
        return self._pushed - len(self._frames) * self._frame_bytes - len(self._carry)

    def _inherit_marks(self, names: list[str]) -> None:
        for name in names:
            self.mark(name)

    def flush(self, now: float) -> int:
        """Barge-in: forget everything that is not on the wire. Returns how many ms that was."""
        dropped_ms = len(self._frames) * self._ptime_ms + len(self._carry) * self._ptime_ms // self._frame_bytes
        self._mender.leave_out(self._frames[0][0] if self._frames else self._carry)
        self._interrupted = True
        self._frames.clear()
        self._carry = b""
        self._at_target()
        self._dry_s = 0.0
        self._dry_since = NEVER
        self._flushed_at = now
        self.flushed_ms += dropped_ms
        return dropped_ms

    def next(self, now: float, early: float = 0.0) -> bytes | None:
        """The frame of this tick, or None: silence. `early`: by how many seconds it is served before it is due."""
        due_at = now + early
        is_steady, self.waited, self.missed_by = self.waited >= 0, -1.0, -1.0
        if self._flushed_at:
            self.barge_in.add(now - self._flushed_at)
            self._flushed_at = 0.0
        if not self._frames:
            return self._last_words(due_at, is_steady)
        if not self.sends_ahead:
            self._watch_depth(now, early)
        frame, arrived, whole, fresh = self._frames.popleft()
        waited = now - arrived
        if fresh or not self.sends_ahead:
            self.down.add(waited)
            if self._target == 1 or not self._frames:  # behind frames that stand by intent the phase is not to be seen
                self.waited = due_at - whole
        else:
            self._deep.add(waited)
        if self._dry_since is not None:
            if due_at - self._dry_since < SAME_UTTERANCE_S:
                self.underruns += 1
                self._dry_s = due_at - self._dry_since
                self.missed_by = max(0.0, whole - self._dry_since)
            self._dry_since = None
        self.played_ms += self._ptime_ms
        return self._mended(frame)

    def unheard(self) -> None:
        """The frame of this tick reached nobody: the caller has us on hold."""
        self._mender.unheard()

    def _mended(self, frame: bytes) -> bytes:
        """What is heard from here on, joined to what was heard so far."""
        mender = self._mender
        if mender.is_open:
            frame, self._interrupted = mender.joined(frame), False
        mender.before, mender.last = mender.last, frame
        return frame

    def _last_words(self, now: float, is_steady: bool) -> bytes | None:
        """The queue is empty: what is left of a frame ends it, once it is clear that nothing follows.

        `is_steady`: the last frame came just in time, as if nothing was ever sent ahead; so the next one is only late.
        """
        mender = self._mender
        if self._interrupted:
            self._interrupted = False
            mender.forget()
            return None
        if self._dry_since is None:
            self._dry_since = now
        if self._carry and now - self._carry_at > 2 * self._ptime_ms / 1000:
            rest, self._carry = self._mended(self._carry), b""
            self.played_ms += self._ptime_ms
            missing = self._units - self._codec.units(rest)
            return rest + (mender.end(missing) or self._silence(missing))
        if self.sends_ahead and not is_steady and not mender.is_open:
            return mender.end(self._units)
        return mender.go_on(self._units)

    def _silence(self, units: int) -> bytes:
        return self._codec.silence * (self._codec.line_bytes(units) // self._codec.sample_bytes)

    def _watch_depth(self, now: float, early: float) -> None:
        """Find what a stall has left standing, and drop it: silent frames as they come up, then any."""
        target, behind = self._target, bool(early) and self._is_behind(now + early)
        depth = len(self._frames) + behind
        if target > 1:
            self._target = self._cushion.remember(depth)
        if depth <= target:
            self._at_target()
            return
        if behind or not early:  # else there may be more until its time
            self._least = min(self._least, depth)
        self._ticks += 1
        if self._ticks * self._ptime_ms >= STANDING_MS and not self._surplus:
            if self._least < self._limit:  # else all these ticks were early
                if not behind:  # one frame that was late by less than a tick is no peak: the phase sees to it
                    self._target = self._cushion.learn(self._least - target, self._dry_s, now)
                self._dry_s = 0.0
                self._surplus = max(0, self._least - self._target)
            self._ticks, self._least = 0, self._limit
        if self._surplus:
            self._drain()

    def _is_behind(self, due_at: float) -> bool:
        """An early tick sees a frame less. Was its own there when the last one was due? Then the next is behind it."""
        return due_at - self._frames[-1][2] >= self._ptime_ms / 1000 + SURE_S

    def _drain(self) -> None:
        while self._surplus and len(self._frames) > self._target and self._codec.is_quiet(self._frames[0][0]):
            self._drop_one()
        since = self._ticks - SILENCE_FIRST_MS // self._ptime_ms
        if since == 0:
            ticks = (DRAIN_MS - SILENCE_FIRST_MS) // self._ptime_ms
            self._cut_every = max(1, ticks // max(2, self._surplus))
            self._cut_frames = math.ceil(self._surplus / ticks)
        over = min(self._surplus, len(self._frames) - self._target)  # the platform may have stopped meanwhile
        if since >= 0 and over > 0 and (since + 1) % self._cut_every == 0:
            self._cut(min(self._cut_frames, over))

    def _at_target(self) -> None:
        self._ticks, self._least, self._surplus = 0, self._limit, 0

    def _cut(self, frames: int) -> None:
        """The next frame begins as itself and ends, by overlap-add, as the one so many later: nothing clicks."""
        first = self._codec.decode(self._frames[0][0])
        for _ in range(frames):
            self._drop_one()
        last, arrived, whole, fresh = self._frames[0]
        fade = np.linspace(0, 1, len(first), dtype=np.float32)
        mixed = (first * (1 - fade) + self._codec.decode(last) * fade).astype(np.int16)
        self._frames[0] = (self._codec.encode(mixed), arrived, whole, fresh)

    def _drop_one(self) -> None:
        self._frames.popleft()
        self._surplus -= 1
        self.drained_ms += self._ptime_ms
