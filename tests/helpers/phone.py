"""A telephone for whole-call tests: a SIP peer, and an RTP socket that speaks in real time and keeps what it hears.

    async with phone(house.udp) as caller:
        await caller.call("100")
        caller.say(melody((440, 500)))
        await eventually(lambda: caller.ear.notes(440), "own tone")
        await caller.hang_up()

It sends a packet every 20 ms from the answer on, silence when it has nothing to say, as a real one does.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
import struct
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tests.helpers import ears
from tests.helpers.audio import Samples
from tests.helpers.sippeer import Dialog, Headers, SipMessage, SipPeer, sdp

FRAME = 160
FRAME_S = 0.02
DTMF = 101
PRESS_FRAMES = 5
_HEADER = struct.Struct(">BBHII")


@dataclass(frozen=True, slots=True)
class Heard:
    """One RTP packet as it came."""

    at: float
    "time.monotonic()"
    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes

    @property
    def is_silent(self) -> bool:
        return bool(np.max(np.abs(ears.decode(self.payload, self.payload_type).astype(np.int32))) < 64)


class Handset:
    """The RTP side."""

    def __init__(self, formats: str) -> None:
        self._loop = asyncio.get_running_loop()
        self.formats = formats
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.setblocking(False)
        self.port: int = self.sock.getsockname()[1]
        self._loop.add_reader(self.sock.fileno(), self._readable)
        self.target: tuple[str, int] | None = None
        self.payload_type = ears.PCMU
        self.heard: list[Heard] = []
        self.sent = 0
        self._sequence, self._timestamp = secrets.randbits(16), secrets.randbits(32)
        self._ssrc = secrets.randbits(32)
        self._speech: deque[bytes] = deque()
        self._presses: deque[tuple[int, int, bool]] = deque()
        "(event, packet number, is the end) of telephone-event packets to come"
        self._event_began = 0
        self._talking: asyncio.Task[None] | None = None

    def offer(self, *, direction: str = "sendrecv", version: int = 1) -> str:
        return sdp(port=self.port, formats=self.formats, direction=direction, version=version)

    def connect(self, answer: str) -> None:
        """Begins to send where the other side's SDP says, in the first codec it names."""
        line = re.search(r"^m=audio (\d+) \S+ (\d+)", answer, re.MULTILINE)
        host = re.search(r"^c=IN IP4 (\S+)", answer, re.MULTILINE)
        assert line, answer
        assert host, answer
        self.target, self.payload_type = (host[1].strip(), int(line[1])), int(line[2])
        if self._talking is None:
            self._talking = asyncio.create_task(self._talk())

    def move(self) -> None:
        """Another socket and port, as after a change of network; what comes to the old one is not heard any more."""
        self._loop.remove_reader(self.sock.fileno())
        self.sock.close()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.setblocking(False)
        self.port = self.sock.getsockname()[1]
        self._loop.add_reader(self.sock.fileno(), self._readable)

    def say(self, sound: Samples) -> None:
        data = ears.encode(sound, self.payload_type)
        self._speech.extend(data[at : at + FRAME] for at in range(0, len(data) - FRAME + 1, FRAME))

    def press(self, digit: str) -> None:
        """A key, 100 ms long, its end sent three times (RFC 4733, 2.5.1.4)."""
        event = "0123456789*#ABCD".index(digit)
        self._presses.extend((event, number, False) for number in range(1, PRESS_FRAMES + 1))
        self._presses.extend((event, PRESS_FRAMES, True) for _ in range(3))

    @property
    def has_spoken(self) -> bool:
        return not self._speech and not self._presses

    async def _talk(self) -> None:
        began, frame = time.monotonic(), 0
        while True:
            self._send_frame()
            frame += 1
            await asyncio.sleep(max(0.0, began + frame * FRAME_S - time.monotonic()))

    def _send_frame(self) -> None:
        assert self.target is not None
        if self._presses:
            event, number, ends = self._presses.popleft()
            if number == 1 and not ends:
                self._event_began = self._timestamp
            payload = struct.pack(">BBH", event, 0x8A if ends else 0x0A, number * FRAME)
            self._send(DTMF, self._event_began, payload, marker=number == 1 and not ends)
        else:
            silence = ears.encode(np.zeros(FRAME, np.int16), self.payload_type)
            self._send(self.payload_type, self._timestamp, self._speech.popleft() if self._speech else silence)
        self._timestamp = (self._timestamp + FRAME) & 0xFFFFFFFF

    def _send(self, payload_type: int, timestamp: int, payload: bytes, *, marker: bool = False) -> None:
        assert self.target is not None
        head = _HEADER.pack(0x80, payload_type | (marker << 7), self._sequence, timestamp, self._ssrc)
        self.sock.sendto(self._out(head + payload), self.target)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self.sent += 1

    def _readable(self) -> None:
        while True:
            try:
                data = self.sock.recv(2048)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error of an earlier packet
                continue
            data = self._in(data)
            first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
            assert first == 0x80, data[:12]
            kind, marker = second & 0x7F, second >= 0x80
            self.heard.append(Heard(time.monotonic(), marker, kind, sequence, timestamp, ssrc, data[12:]))

    def _out(self, packet: bytes) -> bytes:
        """For telephones that encrypt."""
        return packet

    def _in(self, data: bytes) -> bytes:
        return data

    # --- what was heard

    def sound(self, since: int = 0) -> Samples:
        """From the packet with this index on, each at the place that its timestamp gives it."""
        packets = [packet for packet in self.heard[since:] if packet.payload_type != DTMF]
        if not packets:
            return np.zeros(0, np.int16)
        first = packets[0].timestamp
        places = [((packet.timestamp - first + 2**31) & 0xFFFFFFFF) - 2**31 for packet in packets]
        whole = np.zeros(max(places) + FRAME, np.int16)
        for place, packet in zip(places, packets, strict=True):
            if place >= 0:
                whole[place : place + len(packet.payload)] = ears.decode(packet.payload, packet.payload_type)
        return whole

    def notes(self, *known_hz: int, since: int = 0) -> list[ears.Note]:
        return ears.notes(self.sound(since), known_hz)

    def breaks(self, since: int = 0) -> list[tuple[int, int, bool]]:
        """Where the stream is not one: steps of sequence number and timestamp, and whether the SSRC changed."""
        pairs = zip(self.heard[since:], self.heard[since + 1 :], strict=False)
        steps = (
            ((b.sequence - a.sequence) & 0xFFFF, (b.timestamp - a.timestamp) & 0xFFFFFFFF, a.ssrc != b.ssrc)
            for a, b in pairs
        )
        return [step for step in steps if step != (1, FRAME, False)]

    async def hush(self) -> None:
        """Sends nothing any more."""
        if self._talking is not None:
            self._talking.cancel()
            await asyncio.wait({self._talking})
            self._talking = None

    async def close(self) -> None:
        await self.hush()
        self._loop.remove_reader(self.sock.fileno())
        self.sock.close()


class Phone:
    """Both sides, one call."""

    def __init__(self, peer: SipPeer, handset: Handset) -> None:
        self.peer, self.ear = peer, handset
        self.dialog: Dialog
        self.answer = ""
        "SDP of the bridge."

    @property
    def sip_call_id(self) -> str:
        return self.dialog.call_id

    def dial(self, number: str, *, headers: Headers = ()) -> None:
        self.dialog = self.peer.invite(sdp=self.ear.offer(), user=number, headers=headers)

    async def call(self, number: str) -> SipMessage:
        """Dials, waits for the answer, acknowledges it and begins to send RTP."""
        self.dial(number)
        answer = await self.dialog.talk()
        self.answer = answer.body
        self.ear.connect(answer.body)
        return answer

    async def refused(self, number: str) -> SipMessage:
        """Dials, waits for the refusal and acknowledges it."""
        self.dial(number)
        answer = await self.dialog.response("INVITE")
        assert answer.status >= 300, answer.first_line
        self.dialog.ack(rejected=True)
        return answer

    async def reinvite(self, direction: str, version: int) -> str:
        """A new offer in the call; what the answer says of the direction."""
        self.dialog.send("INVITE", sdp=self.ear.offer(direction=direction, version=version))
        answer = await self.dialog.talk()
        self.ear.connect(answer.body)
        found = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)", answer.body, re.MULTILINE)
        return found[1] if found else ""

    def say(self, sound: Samples) -> None:
        self.ear.say(sound)

    async def hang_up(self) -> None:
        await self.dialog.hang_up()

    async def hears_bye(self) -> SipMessage:
        """Waits for the bridge's BYE and answers it."""
        bye = await self.dialog.request("BYE")
        self.dialog.respond(bye, 200)
        return bye


@asynccontextmanager
async def phone(
    target: tuple[str, int],
    *,
    transport: Literal["udp", "tcp"] = "udp",
    host: str = "127.0.0.1",
    formats: str = "0 8 101",
) -> AsyncIterator[Phone]:
    peer = await SipPeer.tcp(target) if transport == "tcp" else await SipPeer.udp(target, host)
    async with peer:
        handset = Handset(formats)
        try:
            yield Phone(peer, handset)
        finally:
            await handset.close()
