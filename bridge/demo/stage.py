"""Puts the demonstration on: simulator, bridge and caller, each a process of its own on free loopback ports.

Exactly the commands that a person would type; what they say on standard error lies in a log per process.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bridge.demo.narrator import Narrator
from bridge.demo.sound import read_tracks
from bridge.demo.story import Story
from bridge.ending import end
from bridge.errors import StoreError
from bridge.records import CallRecord
from bridge.store import Address, CallFilter, Reader

HOST = "127.0.0.1"
DIALLED = "+525512345678"
SPEECH = Path(__file__).parent / "speech"

READY_S = 20.0
"A process that has not said `ready` by then is not coming."
CALL_S = 90.0
"The call takes half a minute; one that takes so long is stuck."
STOP_S = 8.0

CONFIG = """\
# Written by `puente demo`. Start the same bridge yourself: puente serve --config {name}
[sip]
udp_port = 0
tcp_port = -1

[media]
workers = 1
rtp_first_port = 24000
rtp_last_port = 24199
recording_dir = {recordings}

[[trunks]]
name = "demo"
sources = ["127.0.0.1"]

[[platforms]]
name = "ultravox"
kind = "ultravox"
url = {platform}
prompt = "You are the friendly voice of a parcel service."

[[routes]]
platforms = ["ultravox"]

[records]
url = {records}

[log]
format = "json"
"""

SCRIPT: list[dict[str, object]] = [
    # the greeting, heard to its end
    {"wait_for": "speech", "timeout_ms": 5000},
    {"wait_for": "silence", "for_ms": 500, "timeout_ms": 9000},
    {"play": str(SPEECH / "caller_1.wav")},
    # the answer, interrupted in mid-sentence
    {"wait_for": "speech", "timeout_ms": 5000},
    {"wait_ms": 3300},
    {"play": str(SPEECH / "caller_2.wav")},
    # the next answer, heard to its end
    {"wait_for": "speech", "timeout_ms": 5000},
    {"wait_for": "silence", "for_ms": 500, "timeout_ms": 12000},
    {"play": str(SPEECH / "caller_3.wav")},
    # the agent says goodbye and hangs up; if it should not, we do
    {"wait_for": "speech", "timeout_ms": 5000},
    {"wait_for": "silence", "for_ms": 2000, "timeout_ms": 9000},
    {"hangup": True},
]


def last_words(log: Path) -> str:
    """The last line of a log, its message alone when it is JSON."""
    written = log.read_text(errors="replace").split("\n") if log.is_file() else []
    line = next((line.strip() for line in reversed(written) if line.strip()), "")
    try:
        return str(json.loads(line)["msg"])
    except (ValueError, KeyError, TypeError):
        return line


class StageError(Exception):
    """The demonstration cannot go on. Says what and where to look."""

    def __init__(self, what: str, log: Path) -> None:
        words = last_words(log)
        super().__init__(f"{what}{f' ({words})' if words else ''}; see {log}")
        self.what, self.log = what, log


@dataclass(frozen=True, slots=True)
class Papers:
    """The files of one performance."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "bridge.toml"

    @property
    def script(self) -> Path:
        return self.folder / "script.json"

    @property
    def records(self) -> Path:
        return self.folder / "puente.db"

    @property
    def caller(self) -> Path:
        return self.folder / "caller.json"

    @property
    def call_wav(self) -> Path:
        return self.folder / "call.wav"

    @property
    def heard_wav(self) -> Path:
        return self.folder / "heard.wav"

    @property
    def picture(self) -> Path:
        return self.folder / "call.png"

    def log(self, who: str) -> Path:
        return self.folder / f"{who}.log"

    def clear(self) -> None:
        """Nothing of an earlier performance may be taken for one of this."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for pattern in ("*.log", "*.json", "*.db*", "*.wav", "*.png", "*.toml"):
            for path in self.folder.glob(pattern):
                path.unlink()


@asynccontextmanager
async def running(papers: Papers, who: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`puente <arguments>` as a child; asked to end when the block is left, then made to."""
    with papers.log(who).open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bridge",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    try:
        yield process
    finally:
        await end(process, STOP_S)


async def lines(process: asyncio.subprocess.Process) -> AsyncIterator[str]:
    assert process.stdout is not None
    async for line in process.stdout:
        yield line.decode(errors="replace").rstrip()


async def until_ready(process: asyncio.subprocess.Process, who: str, papers: Papers) -> list[str]:
    """What it says up to its line that begins with `ready`, that line included."""
    said: list[str] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(READY_S):
            async for line in lines(process):
                said.append(line)
                if line.startswith("ready"):
                    return said
    raise StageError(f"the {who} did not start", papers.log(who))


def sip_port(said: list[str]) -> int:
    """From the bridge's own words: `sip        127.0.0.1:43115 udp`."""
    for line in said:
        name, _, listens = line.partition(" ")
        if name == "sip":
            for address in listens.split(","):
                if address.endswith("udp"):
                    return int(address.removesuffix("udp").strip().rpartition(":")[2])
    raise ValueError("the bridge has not told its UDP port")


def config_text(papers: Papers, platform_url: str) -> str:
    # A JSON string is a TOML string.
    return CONFIG.format(
        name=papers.config,
        recordings=json.dumps(str(papers.folder)),
        platform=json.dumps(platform_url),
        records=json.dumps(f"sqlite:///{papers.records}"),
    )


async def perform(folder: Path, say: Callable[[str], None]) -> Story:
    """The whole performance. Raises StageError."""
    papers = Papers(folder)
    papers.clear()
    async with running(papers, "simulator", "simulate", "ultravox", "--behaviour", "converse") as simulator:
        url = (await until_ready(simulator, "simulator", papers))[-1].removeprefix("ready").strip()
        say(f"voice platform  simulated Ultravox at {url}")
        papers.config.write_text(config_text(papers, url))
        async with running(papers, "bridge", "serve", "--config", str(papers.config)) as bridge:
            port = sip_port(await until_ready(bridge, "bridge", papers))
            say(f"bridge          answers SIP at {HOST}:{port}")
            await place_call(papers, port, say)
    # Only now, when the bridge has ended, is its record certainly on the disk.
    return collect(papers, await last_record(papers))


async def place_call(papers: Papers, port: int, say: Callable[[str], None]) -> None:
    papers.script.write_text(json.dumps(SCRIPT, indent=2))
    target = f"sip:{DIALLED}@{HOST}:{port}"
    options = ("--script", papers.script, "--record", papers.heard_wav, "--json", papers.caller)
    narrator = Narrator(spoken_words())
    try:
        async with asyncio.timeout(CALL_S), running(papers, "caller", "call", target, *map(str, options)) as caller:
            async for line in lines(caller):
                if told := narrator.tell(line):
                    say(told)
            code = await caller.wait()
    except TimeoutError:
        raise StageError(f"the call did not end within {CALL_S:.0f} s", papers.log("bridge")) from None
    if code:
        raise StageError("the call was not answered", papers.log("bridge" if papers.caller.exists() else "caller"))


async def last_record(papers: Papers) -> CallRecord:
    """The bridge's own."""
    reader = Reader(Address.parse(f"sqlite:///{papers.records}"))
    try:
        return (await reader.calls(CallFilter(limit=1)))[0]
    except (StoreError, IndexError) as error:
        raise StageError(f"there is no record of the call ({error})", papers.log("bridge")) from None
    finally:
        await reader.close()


def spoken_words() -> dict[str, str]:
    """What the caller says in each recording."""
    return {path.stem: path.read_text().strip() for path in SPEECH.glob("caller_*.txt")}


def collect(papers: Papers, record: CallRecord) -> Story:
    """Reads what the processes have left behind, and gives the bridge's recording its name."""
    try:
        caller = msgspec.json.decode(papers.caller.read_bytes(), type=CallRecord)
    except (OSError, msgspec.DecodeError) as error:
        raise StageError(f"there is no record of the caller's ({error})", papers.log("caller")) from None
    story = Story(record, caller, spoken_words())
    recording = record.media.recording if record.media else ""
    if not recording or not Path(recording).is_file():
        raise StageError("there is no recording of the call", papers.log("bridge"))
    Path(recording).rename(papers.call_wav)
    # A recording begins with the near end, which starts at the answer.
    tracks = read_tracks(papers.call_wav, record.times.get("answered", story.zero) - story.zero)
    return Story(record, caller, story.words, tracks)
