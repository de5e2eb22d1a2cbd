"""Turn latency as the caller hears it: from the end of his speech to the first sound of the agent's answer.

    caller   #### ## ########                        ##              #######
    agent                       |##### ## ####|  |########                   |####
                            |turn|                    '- falls into the agent's own speech: nobody waits
                                            '- the agent's own pause: nobody has spoken

Both ends are taken on this machine's RTP socket: what platform and bridge need is in it, the way over the line and the
caller's jitter buffer come on top. There is no hangover to be subtracted: the end of speech is the last loud packet,
which is known for certain only when the answer begins.

Pure: line audio and `now` in. On a path whose code the next packet pushes out of the cache again, any question costs a
microsecond. So only every third packet is asked, and only how many of its samples are loud (the quiet codes are deleted
from its bytes); where the answer changes, the two before it are asked as well. Nothing is lost by that but clicks,
and up to 40 ms where a line stops sending with the last loud packet (silence suppression).
"""

from __future__ import annotations

from math import inf
from typing import Final

import numpy as np

from media.codecs import G711, Codec
from media.stats import Histogram

LOUD: Final = 512
"Samples from here on (-36 dBFS) are loud. Twice a byte: s16le is judged by its high bytes."
LOUD_SHARE: Final = 8
"One sample in so many must be loud: a voice has that in each of its frames, a crackling line has not."
SPEECH_MS: Final = 100
"Less than this is a click or a breath."
PAUSE_S: Final = 0.2
"""Shorter silences are part of the utterance: a stop consonant takes up to 150 ms. Whoever begins to speak sooner after
the other's last sound has not waited for the end: an echo, or an interruption."""
FORGOTTEN_S: Final = 1.0
"A sound that was followed by so much silence is not part of the next speech."

STRIDE: Final = 3
"One packet in so many is looked at."

_QUIET_HIGH_BYTES: Final = bytes((*range(LOUD >> 8), *range(256 - (LOUD >> 8), 256)))


class TurnMeter:
    """One call's turns.

    Whoever has the packets calls `caller` for one in STRIDE, and `agent` for one in STRIDE too, but for each one while
    an answer `is_awaited`: there the first loud one counts. Frames that are bare silence may be left out.
    """

    __slots__ = (
        "_agent_at",
        "_caller_at",
        "_enough",
        "_is_wide",
        "_quiet",
        "_rate_hz",
        "_spoken",
        "_was_loud",
        "is_awaited",
        "latency",
    )

    def __init__(self, codec: Codec) -> None:
        self.latency = Histogram()
        self._caller_at = self._agent_at = -inf
        "When each of them was last heard."
        self._spoken = 0
        "Samples of the caller's that wait for an answer, as far as they were looked at."
        self._was_loud = False
        "The caller's packet that was looked at last."
        self.is_awaited = False
        self._is_wide = False
        self._quiet = b""
        self._enough = self._rate_hz = 0
        self.use(codec)

    def use(self, codec: Codec) -> None:
        """Another codec: other codes are quiet."""
        if isinstance(codec, G711):
            self._is_wide = False
            self._quiet = bytes(int(code) for code in np.flatnonzero(np.abs(codec.to_pcm.astype(np.int32)) < LOUD))
        else:
            self._is_wide, self._quiet = True, _QUIET_HIGH_BYTES
        self._rate_hz = codec.line_rate_hz
        self._enough = codec.line_rate_hz * SPEECH_MS // 1000 // STRIDE
        self._spoken = 0
        self.is_awaited = self._was_loud = False

    def caller(self, line: bytes, last: bytes, before: bytes, now: float) -> None:
        """A packet of the caller's, in line form, and the two that came before it."""
        codes = line[1::2] if self._is_wide else line
        if len(codes.translate(None, self._quiet)) * LOUD_SHARE > len(codes):
            if now - self._caller_at > FORGOTTEN_S:
                self._spoken = 0
            self._spoken += len(codes)
            self.is_awaited = self._spoken >= self._enough
            self._caller_at = now
            self._was_loud = True
        elif self._was_loud:
            self._was_loud = False
            frame_s = len(codes) / self._rate_hz
            if self._is_loud(last):
                self._caller_at = now - frame_s
            elif self._is_loud(before):
                self._caller_at = now - 2 * frame_s

    def agent(self, line: bytes, now: float) -> None:
        """A frame of the agent's, as it leaves for the caller."""
        if self._is_loud(line):
            if now - self._agent_at >= PAUSE_S:
                self._answer(now)
            self._agent_at = now

    def _is_loud(self, line: bytes) -> bool:
        codes = line[1::2] if self._is_wide else line
        return len(codes.translate(None, self._quiet)) * LOUD_SHARE > len(codes)

    def _answer(self, now: float) -> None:
        """The agent begins to speak. Was it his turn?"""
        waited = now - self._caller_at
        if self.is_awaited and waited >= PAUSE_S and self._caller_at > self._agent_at:
            self.latency.add(waited)
        self._spoken = 0
        self.is_awaited = False
