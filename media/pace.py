"""Whether a platform that may send ahead of real time does so, judged by what it has sent.

    sent - elapsed, since its utterance began

    ahead      ____|^^^^^^^^^----______       a sentence comes at once, and is played for seconds
    real time  _-_-_-_-_-_.....-_-_-_-        one message at a time; after a stall all that was owed, and no more

A queue that is deep by intent must not be drained, and the delay that a stall leaves with a platform in real time must
be. The dialect says only what a platform may do (an Ultravox call with a large client buffer, any agent behind Twilio
Media Streams), so this one looks. It takes two seconds of an utterance to be taken for one in real time, and a few
messages too many to be taken for the other again. Pure.
"""

from __future__ import annotations

JUDGED_AFTER_MS = 2000
"So much of an utterance must have come in real time."
LEAD_MS = 60
"What it may be ahead, on top of its longest message: jitter."
AHEAD_MS = 200
"With more than that one taken for real time is not."
COARSEST_MS = 200
"Longer messages are a lead by themselves."
PAUSE_MS = 1000
"So far behind real time its utterance has ended, and the next one is judged anew."
MEMORY_MS = 10_000
"Its clock and ours are compared over so long at most, else their drift would be taken for a lead."
FORGIVEN_MS = 2000
"A stall as long as this may be made up for at once by one in real time."


class Pace:
    """`pushed` is told of each message that is queued, and says whether the platform sends ahead."""

    __slots__ = ("_began_ms", "_is_ahead", "_lead_ms", "_longest_ms", "_sent_ms")

    def __init__(self) -> None:
        self._is_ahead = True
        self._began_ms: float | None = None
        self._sent_ms = 0.0
        "By the time that its utterance began."
        self._longest_ms = self._lead_ms = 0.0
        "The most of this utterance: of a message, and ahead of real time beyond that."

    def pushed(self, message_ms: float, sent_ms: float, now: float) -> bool:
        """`sent_ms`: all that was ever sent, this message included. Not each need have been told."""
        now_ms = now * 1000
        if self._began_ms is None:
            self._begin(now_ms, sent_ms - message_ms)
        assert self._began_ms is not None
        lasts_ms = now_ms - self._began_ms
        lead_ms = sent_ms - self._sent_ms - lasts_ms
        if self._is_ahead:
            if lead_ms - message_ms < -PAUSE_MS:
                self._begin(now_ms, sent_ms - message_ms)
                lasts_ms, lead_ms = 0.0, message_ms
            self._longest_ms = max(self._longest_ms, message_ms)
            self._lead_ms = max(self._lead_ms, lead_ms - self._longest_ms)
            if lasts_ms >= JUDGED_AFTER_MS and self._lead_ms <= LEAD_MS and self._longest_ms <= COARSEST_MS:
                self._is_ahead = False
        elif lead_ms - self._longest_ms > AHEAD_MS:
            self._is_ahead = True
            self._lead_ms = lead_ms
        if not self._is_ahead and lasts_ms >= MEMORY_MS:
            behind_ms = max(-FORGIVEN_MS, min(0.0, lead_ms - message_ms))
            self._began_ms, self._sent_ms = now_ms, sent_ms - message_ms - behind_ms
        return self._is_ahead

    def _begin(self, now_ms: float, sent_ms: float) -> None:
        self._began_ms, self._sent_ms = now_ms, sent_ms
        self._longest_ms = self._lead_ms = 0.0
