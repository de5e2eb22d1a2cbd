"""LiveKit's Ultravox plugin against the service at argv[1]; what it saw goes to stdout as JSON."""

# mypy: ignore-errors
import asyncio
import json
import sys
import time

import aiohttp
from livekit import rtc
from livekit.plugins.ultravox.realtime import RealtimeModel
from sound import caller

RATE_HZ = 8000


async def main(url: str) -> None:
    generations, heard, events = [], [], []
    tasks = set()

    def spawn(coroutine) -> None:
        task = asyncio.create_task(coroutine)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def collect(event) -> None:
        async for message in event.message_stream:
            record = {"audio_ms": 0.0, "text": ""}
            generations.append(record)

            async def audio(message=message, record=record) -> None:
                async for frame in message.audio_stream:
                    record["audio_ms"] += frame.duration * 1000

            async def text(message=message, record=record) -> None:
                async for delta in message.text_stream:
                    record["text"] += delta

            await asyncio.gather(audio(), text())

    async with aiohttp.ClientSession() as http:
        model = RealtimeModel(
            api_key="k" * 41,
            base_url=f"{url}/api",
            http_session=http,
            input_sample_rate=RATE_HZ,
            output_sample_rate=RATE_HZ,
            first_speaker="FIRST_SPEAKER_AGENT",
        )
        session = model.session()
        session.on("generation_created", lambda event: spawn(collect(event)))
        session.on("input_speech_started", lambda _: events.append("cleared"))
        session.on("input_audio_transcription_completed", lambda event: heard.append(event.transcript))
        start = time.monotonic()
        for count, frame in enumerate(caller(RATE_HZ, then_ms=2500)):
            session.push_audio(rtc.AudioFrame(frame, RATE_HZ, 1, RATE_HZ // 50))
            await asyncio.sleep(max(0.0, start + count * 0.02 - time.monotonic()))
        await session.aclose()
    print(json.dumps({"generations": generations, "heard": heard, "events": events}))


asyncio.run(main(sys.argv[1]))
