"""Formats of audio in SDP: what each codec of ours is called, at which clock, and in which packets it travels.

A codec's name here is the one that the configuration and the media workers use: the rtpmap name, with the clock where
the name alone says too little (`L16/16000`).
"""

from __future__ import annotations

from dataclasses import dataclass

PTIMES_MS = (10, 20, 30, 40, 50, 60)


@dataclass(frozen=True, slots=True)
class Format:
    """One payload type of an m= line."""

    payload_type: int
    name: str
    "As in rtpmap. Empty: a dynamic payload type that nobody explained."
    clock_hz: int
    channels: int = 1
    fmtp: str = ""

    def is_called(self, name: str) -> bool:
        return self.name.upper() == name.upper()

    @property
    def rtpmap(self) -> str:
        return f"{self.name}/{self.clock_hz}" + (f"/{self.channels}" if self.channels > 1 else "")


@dataclass(frozen=True, slots=True)
class Codec:
    """One that we speak."""

    offered: Format
    "As it stands in an offer of ours; an answer takes over the payload type of theirs."
    ptimes_ms: tuple[int, ...] = PTIMES_MS
    "What we can send in one packet."


CODECS = {
    "PCMU": Codec(Format(0, "PCMU", 8000)),
    "PCMA": Codec(Format(8, "PCMA", 8000)),
    # 16 kHz audio; the clock is a mistake kept for compatibility (RFC 3551, 4.5.2).
    "G722": Codec(Format(9, "G722", 8000)),
    # Always /48000/2 whatever is inside (RFC 7587, 7). We play one channel and conceal losses by ourselves. A frame
    # has 10, 20, 40 or 60 ms (RFC 6716, 2.1.4), and we put one into a packet.
    "opus": Codec(Format(111, "opus", 48000, channels=2, fmtp="stereo=0;useinbandfec=0"), (10, 20, 40, 60)),
    # The static payload types 10 and 11 are 44.1 kHz (RFC 3551, 4.5.11): not these.
    "L16/8000": Codec(Format(112, "L16", 8000)),
    # 50 ms would be 1600 bytes: more than an Ethernet frame.
    "L16/16000": Codec(Format(113, "L16", 16000), (10, 20, 30, 40)),
}
NAMED = (Format(3, "GSM", 8000), Format(4, "G723", 8000), Format(18, "G729", 8000))
"Not ours; often offered, and to be called by their names when we refuse them."
STATIC = {
    one.payload_type: one for one in (*(codec.offered for codec in CODECS.values()), *NAMED) if one.payload_type < 96
}
"Payload types that need no rtpmap (RFC 3551, table 4)."

TELEPHONE_EVENT = "telephone-event"
EVENTS = {
    clock_hz: Format(payload_type, TELEPHONE_EVENT, clock_hz, fmtp="0-16")
    for payload_type, clock_hz in ((101, 8000), (102, 16000), (103, 48000))
}
"By clock rate: events share the clock of the audio beside them (RFC 4733, 2.1). 0-15 are keys, 16 is hook flash."


def codec_of(one: Format) -> str | None:
    """Which of our codecs this is. Name, clock and channels must fit: nothing here could play `PCMU/16000`."""
    for name, codec in CODECS.items():
        ours = codec.offered
        if one.is_called(ours.name) and (one.clock_hz, one.channels) == (ours.clock_hz, ours.channels):
            return name
    return None
