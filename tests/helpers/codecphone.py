"""A telephone for any codec, packet length and, with a key, SRTP; otherwise as `tests.helpers.phone`.

    async with codec_phone(house.udp, "opus", ptime_ms=40) as caller:
        await caller.call("1")

What it hears is decoded packet by packet, so it wants a stream without holes; `breaks` tells whether it was one. G.722
and Opus are FFmpeg's at both ends; tones are judged by pitch and length, which a mistake in either would spoil.
"""

from __future__ import annotations

import asyncio
import re
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pylibsrtp

from media.codecs import CODECS, Codec
from media.srtp import PROFILES
from sip import crypto
from tests.helpers import ears
from tests.helpers.audio import Samples, tone
from tests.helpers.phone import DTMF, PRESS_FRAMES, Handset, Phone
from tests.helpers.sippeer import SipPeer

OFFERED = {"PCMU": 0, "PCMA": 8, "G722": 9, "opus": 96, "L16/8000": 97, "L16/16000": 98}
"The phone's own payload types; the dynamic ones are not those of the bridge."
RTPMAP = {"PCMU": "PCMU/8000", "PCMA": "PCMA/8000", "G722": "G722/8000", "opus": "opus/48000/2"}
FMTP = {"opus": "maxplaybackrate=16000;stereo=1;useinbandfec=1;usedtx=0"}


class CodecHandset(Handset):
    """The RTP side."""

    def __init__(self, codec: str, ptime_ms: int, profile: str, key: crypto.Crypto | None) -> None:
        super().__init__("")
        self.profile, self.key = profile, key
        self.codec: Codec
        self._secure: pylibsrtp.Session | None = None
        self._open: pylibsrtp.Session | None = None
        self.plain = 0
        "Packets that came in the clear although there is a key."
        self.use(codec, ptime_ms)

    def use(self, codec: str, ptime_ms: int) -> None:
        """What the next offer names, and what is spoken from the next packet on."""
        self.codec, self.ptime_ms = CODECS[codec], ptime_ms
        self._encoder = self.codec.encoder and self.codec.encoder()
        self._since = len(self.heard)
        "Packets before this one were of another codec."

    @property
    def step(self) -> int:
        """Timestamp units of one packet."""
        return self.codec.clock_rate_hz * self.ptime_ms // 1000

    def offer(self, *, direction: str = "sendrecv", version: int = 1) -> str:
        name = self.codec.name
        number = OFFERED[name]
        fmtp = f"a=fmtp:{number} {FMTP[name]}\r\n" if name in FMTP else ""
        secret = f"a=crypto:{self.key.text}\r\n" if self.key else ""
        return (
            f"v=0\r\no=peer 4711 {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {self.port} {self.profile} {number} {DTMF}\r\n"
            f"a=rtpmap:{number} {RTPMAP.get(name, name)}\r\n{fmtp}"
            f"a=rtpmap:{DTMF} telephone-event/{self.codec.clock_rate_hz}\r\na=fmtp:{DTMF} 0-15\r\n"
            f"{secret}a=ptime:{self.ptime_ms}\r\na={direction}\r\n"
        )

    def connect(self, answer: str) -> None:
        if found := re.search(r"^a=crypto:(.*)", answer, re.MULTILINE):
            assert self.key
            theirs = crypto.parse(found[1].strip())
            assert (theirs.tag, theirs.suite) == (self.key.tag, self.key.suite)
            self._secure = _session(self.key, pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
            self._open = _session(theirs, pylibsrtp.Policy.SSRC_ANY_INBOUND)
        super().connect(answer)

    def say(self, sound: Samples) -> None:
        """`sound` at the codec's own rate: see `melody`."""
        line, size = self.codec.encode(sound), self.codec.frame_bytes(self.ptime_ms)
        self._speech.extend(line[at : at + size] for at in range(0, len(line) - size + 1, size))

    def melody(self, *notes: tuple[int, int]) -> Samples:
        """Tones one after the other, (Hz, ms) each."""
        return np.concatenate([tone(hz, ms / 1000, self.codec.line_rate_hz) for hz, ms in notes])

    async def _talk(self) -> None:
        due = time.monotonic()
        while True:
            self._send_frame()
            due += self.ptime_ms / 1000
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def _send_frame(self) -> None:
        codec = self.codec
        if self._presses:
            event, number, ends = self._presses.popleft()
            if number == 1 and not ends:
                self._event_began = self._timestamp
            payload = struct.pack(">BBH", event, 0x8A if ends else 0x0A, number * self.step)
            self._send(DTMF, self._event_began, payload, marker=number == 1 and not ends)
        else:
            silence = codec.silence * (codec.frame_bytes(self.ptime_ms) // codec.sample_bytes)
            line = self._speech.popleft() if self._speech else silence
            payload = self._encoder.encode(line) if self._encoder else line
            self._send(self.payload_type, self._timestamp, payload)
        self._timestamp = (self._timestamp + self.step) & 0xFFFFFFFF

    def _out(self, packet: bytes) -> bytes:
        return self._secure.protect(packet) if self._secure else packet

    def _in(self, data: bytes) -> bytes:
        if self._open is None:
            return data
        try:
            return self._open.unprotect(data)
        except pylibsrtp.Error:
            self.plain += 1
            return data

    # --- what was heard

    def sound(self, since: int = 0) -> Samples:
        """From the packet with this index on, at the codec's rate."""
        codec = self.codec
        decoder = codec.decoder() if codec.decoder else None
        packets = [one for one in self.heard[max(since, self._since) :] if one.payload_type == self.payload_type]
        lines = [decoder.decode(one.payload) if decoder else one.payload for one in packets]
        return codec.decode(b"".join(lines))

    def notes(self, *known_hz: int, since: int = 0) -> list[ears.Note]:
        """Nothing here speaks above 2 kHz, so leaving samples out does not alias."""
        return ears.notes(self.sound(since)[:: self.codec.line_rate_hz // ears.RATE_HZ], known_hz)

    def breaks(self, since: int = 0) -> list[tuple[int, int, bool]]:
        """Steps of sequence number and timestamp, and changes of SSRC, that are not those of one stream."""
        first = max(since, self._since)
        pairs = zip(self.heard[first:], self.heard[first + 1 :], strict=False)
        steps = (
            ((b.sequence - a.sequence) & 0xFFFF, (b.timestamp - a.timestamp) & 0xFFFFFFFF, a.ssrc != b.ssrc)
            for a, b in pairs
        )
        return [step for step in steps if step != (1, self.step, False)]

    @property
    def press_ms(self) -> int:
        """How long a key is pressed."""
        return PRESS_FRAMES * self.ptime_ms


class CodecPhone(Phone):
    """Both sides, one call."""

    ear: CodecHandset


def _session(key: crypto.Crypto, ssrc_type: int) -> pylibsrtp.Session:
    return pylibsrtp.Session(pylibsrtp.Policy(key=key.key, ssrc_type=ssrc_type, srtp_profile=PROFILES[key.suite]))


@asynccontextmanager
async def codec_phone(
    target: tuple[str, int],
    codec: str,
    *,
    ptime_ms: int = 20,
    profile: str = "RTP/AVP",
    key: crypto.Crypto | None = None,
    host: str = "127.0.0.1",
) -> AsyncIterator[CodecPhone]:
    """`host` is where the SIP comes from; the audio always does from 127.0.0.1."""
    async with await SipPeer.udp(target, host) as peer:
        handset = CodecHandset(codec, ptime_ms, profile, key)
        try:
            yield CodecPhone(peer, handset)
        finally:
            await handset.close()
