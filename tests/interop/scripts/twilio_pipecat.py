"""An agent made with Pipecat tells its port and serves one call; what it saw goes to stdout as JSON.

It greets with two seconds of 440 Hz, all at once, and a mark behind it; a key interrupts it, and it says 660 Hz.
"""

# mypy: ignore-errors
import asyncio
import json
import math
import struct

import websockets
from pipecat.frames.frames import (
    InputAudioRawFrame,
    InputDTMFFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.twilio import TwilioFrameSerializer

RATE_HZ = 16000

seen = {"audio_ms": 0.0, "loud_ms": 0.0, "digits": [], "marks": [], "events": []}


class Texts:
    """What Pipecat reads the first two messages from."""

    def __init__(self, socket) -> None:
        self.socket = socket

    async def iter_text(self):
        async for text in self.socket:
            yield text


def tone(hz: float, ms: int) -> OutputAudioRawFrame:
    samples = (round(8000 * math.sin(2 * math.pi * hz * at / RATE_HZ)) for at in range(RATE_HZ * ms // 1000))
    return OutputAudioRawFrame(
        audio=b"".join(struct.pack("<h", one) for one in samples), sample_rate=RATE_HZ, num_channels=1
    )


def mark(stream: str, name: str) -> OutputTransportMessageUrgentFrame:
    return OutputTransportMessageUrgentFrame(message={"event": "mark", "streamSid": stream, "mark": {"name": name}})


def note(frame) -> None:
    match frame:
        case InputAudioRawFrame():
            ms = len(frame.audio) * 1000 / (2 * frame.sample_rate)
            samples = struct.unpack(f"<{len(frame.audio) // 2}h", frame.audio)
            seen["audio_ms"] += ms
            seen["loud_ms"] += ms if max(map(abs, samples)) > 4000 else 0
        case InputDTMFFrame():
            seen["digits"].append(frame.button.value)


async def serve(socket) -> None:
    kind, call = await parse_telephony_websocket(Texts(socket))
    seen["kind"] = kind
    seen["call"] = {name: call[name] for name in ("stream_id", "call_id", "from", "to", "body")}
    serializer = TwilioFrameSerializer(
        call["stream_id"], params=TwilioFrameSerializer.InputParams(sample_rate=RATE_HZ, auto_hang_up=False)
    )
    await serializer.setup(None)

    async def send(*frames) -> None:
        for frame in frames:
            await socket.send(await serializer.serialize(frame))

    await send(tone(440, 2000), mark(call["stream_id"], "greeting"))
    async for text in socket:
        message = json.loads(text)
        if message["event"] != "media":
            seen["events"].append(message["event"])
        if message["event"] == "mark":
            seen["marks"].append(message["mark"]["name"])
        frame = await serializer.deserialize(text)
        if frame is not None:
            note(frame)
        if isinstance(frame, InputDTMFFrame):
            await send(InterruptionFrame(), tone(660, 400), mark(call["stream_id"], "reply"))


async def main() -> None:
    done = asyncio.Event()

    async def handler(socket) -> None:
        try:
            await serve(socket)
            seen["close_code"] = socket.close_code
        finally:
            done.set()

    async with websockets.serve(handler, "127.0.0.1", 0, compression=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await done.wait()
    print(json.dumps(seen))


asyncio.run(main())
