"""baresip (Debian's package) as a telephone: a second SIP and RTP implementation with a jitter buffer of its own.

    async with baresip(tmp_path, says=melody((1000, 500))) as phone:
        await phone.dial(f"sip:100@127.0.0.1:{port}")
        await phone.established()
        await eventually(lambda: notes(phone.heard(), (1000,)), "own tone")
        await phone.hang_up()

No sound device is needed: `aufile` is the microphone, `aubridge` a loudspeaker that nobody hears, and `sndfile` writes
down what was decoded. A phone that `says` nothing of its own is one with its loudspeaker in front
of its microphone: what it hears goes back. The `ctrl_tcp` module takes commands and tells events, JSON in netstrings.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import socket
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from tests.helpers.audio import Samples, silence
from tests.helpers.rig import HOST, PATIENCE_S, eventually

RATE_HZ = 8000
WAV_HEADER_BYTES = 44
SPEECH_S = 60
"At the end of its file the microphone is lost and the call with it, so there is silence for longer than any test."

CONFIG = """
poll_method         epoll
module_path         /usr/lib/baresip/modules
module              g711.so
module              aufile.so
module              aubridge.so
module              sndfile.so
module_tmp          account.so
module_app          menu.so
module_app          ctrl_tcp.so

net_interface       {host}
sip_listen          {host}:{sip_port}
ctrl_tcp_listen     {host}:{control_port}
rtp_ports           20000-24998
jitter_buffer_delay 5-10

audio_source        {microphone}
audio_player        aubridge,loudspeaker
audio_alert         aubridge,bell
audio_path          {folder}
snd_path            {folder}
ringback_disabled   yes
menu_bell           no
statmode_default    off
"""

ACCOUNT = "<sip:{user}@{host};transport={transport}>;regint=0;audio_codecs={codecs};answermode={answers}{more}\n"

Transport = Literal["udp", "tcp"]


@dataclass
class Baresip:
    """One running phone with one account."""

    folder: Path
    user: str
    address: tuple[str, int]
    process: asyncio.subprocess.Process
    events: list[dict[str, str]] = field(default_factory=list)
    "All it has told, oldest first: `type` is CALL_INCOMING, CALL_ESTABLISHED, CALL_CLOSED ..."
    _responses: dict[str, str] = field(default_factory=dict)
    _tokens: itertools.count[int] = field(default_factory=itertools.count)
    _writer: asyncio.StreamWriter | None = None

    @property
    def uri(self) -> str:
        return f"sip:{self.user}@{self.address[0]}:{self.address[1]}"

    # --- what a person does

    async def dial(self, uri: str) -> None:
        await self.command("dial", uri)

    async def answer(self) -> None:
        await self.event("CALL_INCOMING")
        await self.command("accept")

    async def reject(self) -> None:
        """486."""
        await self.event("CALL_INCOMING")
        await self.command("hangup")

    async def hang_up(self) -> None:
        """Also before the answer."""
        await self.command("hangup")
        await self.event("CALL_CLOSED")

    async def hold(self) -> None:
        await self._reinvite("hold")

    async def resume(self) -> None:
        await self._reinvite("resume")

    async def _reinvite(self, command: str) -> None:
        answers = self.count("CALL_REMOTE_SDP")
        await self.command(command)
        await eventually(lambda: self.count("CALL_REMOTE_SDP") > answers, f"answer to {command}")

    async def press(self, digit: str) -> None:
        await self.command("sndcode", digit)

    # --- what it tells

    async def command(self, name: str, params: str = "") -> str:
        """The words of its answer."""
        assert self._writer is not None
        token = str(next(self._tokens))
        text = json.dumps(
            {"command": name, "params": params, "token": token} if params else {"command": name, "token": token}
        )
        self._writer.write(f"{len(text)}:{text},".encode())
        await eventually(lambda: token in self._responses, f"response to {name}")
        return self._responses.pop(token)

    async def event(self, kind: str) -> dict[str, str]:
        """The first of this kind, waited for."""
        await eventually(lambda: self.count(kind), kind)
        return next(event for event in self.events if event["type"] == kind)

    def count(self, kind: str) -> int:
        return sum(event["type"] == kind for event in self.events)

    async def established(self) -> str:
        """SIP Call-ID of the call that now stands."""
        return (await self.event("CALL_ESTABLISHED"))["id"]

    async def closed(self) -> str:
        """In its own words, why the call has ended."""
        return (await self.event("CALL_CLOSED"))["param"]

    async def packets_received(self) -> int:
        """RTP packets of this call so far."""
        found = re.search(r"psent=\d+ rcvd=(\d+)", await self.command("audio_debug"))
        assert found
        return int(found[1])

    def heard(self) -> Samples:
        """What came out of its jitter buffer and decoder so far; until the first hold, at which baresip 1.0.0 takes its
        filters off the receiving side for good."""
        dumps = sorted(self.folder.glob("dump-*-dec.wav"))
        data = b"".join(path.read_bytes()[WAV_HEADER_BYTES:] for path in dumps)
        return np.frombuffer(data, "<i2", len(data) // 2).astype(np.int16)

    # --- its control connection

    async def connect(self, port: int) -> asyncio.Task[None]:
        reader, self._writer = await self._reached(port)
        return asyncio.create_task(self._listen(reader))

    async def _reached(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                assert self.process.returncode is None, (self.folder / "baresip.log").read_text()
                try:
                    return await asyncio.open_connection(self.address[0], port)
                except ConnectionRefusedError:
                    await asyncio.sleep(0.02)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while True:
            try:
                length = int((await reader.readuntil(b":"))[:-1])
                message = json.loads((await reader.readexactly(length + 1))[:-1])
            except (asyncio.IncompleteReadError, ConnectionResetError):
                return
            if "event" in message:
                self.events.append(message)
            else:
                self._responses[message["token"]] = message.get("data", "")

    async def disconnect(self) -> None:
        if self._writer is not None:
            self._writer.close()


@asynccontextmanager
async def baresip(
    folder: Path,
    *,
    says: Samples | None = None,
    user: str = "bob",
    host: str = HOST,
    transport: Transport = "udp",
    codecs: str = "PCMU,PCMA",
    answers: Literal["auto", "manual"] = "auto",
    more: str = "",
) -> AsyncIterator[Baresip]:
    """`more`: further account parameters, as `;outbound="sip:127.0.0.2:5060;lr"`."""
    os.makedirs(folder, exist_ok=True)
    microphone = "aubridge,loudspeaker"
    if says is not None:
        write_wav(folder / "microphone.wav", np.concatenate([says, silence(SPEECH_S)]))
        microphone = f"aufile,{folder / 'microphone.wav'}"
    sip_port, control_port = free_port(host), free_port(host)
    (folder / "config").write_text(
        CONFIG.format(host=host, sip_port=sip_port, control_port=control_port, microphone=microphone, folder=folder)
    )
    rates = ",".join(f"{codec}/{RATE_HZ}/1" for codec in codecs.split(","))
    (folder / "accounts").write_text(
        ACCOUNT.format(user=user, host=host, transport=transport, codecs=rates, answers=answers, more=more)
    )
    with (folder / "baresip.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *("baresip", "-4", "-f", str(folder)), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )
    phone = Baresip(folder, user, (host, sip_port), process)
    listening: asyncio.Task[None] | None = None
    try:
        listening = await phone.connect(control_port)
        yield phone
    finally:
        if process.returncode is None:
            process.terminate()
        await _ended(process)
        await phone.disconnect()
        if listening is not None:
            await listening


async def _ended(process: asyncio.subprocess.Process) -> None:
    """It hangs up and goes within two seconds; what stays is killed."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def free_port(host: str) -> int:
    """Free on TCP and UDP just now, and the next one on TCP, which it takes for TLS.

    baresip cannot tell which ones it took, so it must be told.
    """
    with socket.create_server((host, 0)) as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        port: int = tcp.getsockname()[1]
        try:
            udp.bind((host, port))
            socket.create_server((host, port + 1)).close()
        except OSError:
            return free_port(host)
    return port


def write_wav(path: Path, sound: Samples) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, len(sound), "NONE", ""))
        file.writeframes(sound.astype("<i2").tobytes())
