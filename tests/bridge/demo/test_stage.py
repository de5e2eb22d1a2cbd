"""The stage without the play: papers, configuration, script, and what is said when something is missing."""

from __future__ import annotations

import json
import tomllib
import wave
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bridge.config import Config
from bridge.demo.stage import (
    SCRIPT,
    Papers,
    StageError,
    collect,
    config_text,
    last_record,
    last_words,
    lines,
    running,
    sip_port,
    spoken_words,
    until_ready,
)
from bridge.store import Address, Store
from media.tape import Hangup, Play, parse_script
from media.wire import CallReport
from tests.bridge.demo.records import bridge_record, caller_record


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    return Papers(tmp_path / 'a folder with "quotes"')


def test_the_configuration_is_one_the_bridge_takes(papers: Papers) -> None:
    config = msgspec.convert(tomllib.loads(config_text(papers, "http://127.0.0.1:8090")), Config)
    assert (config.sip.udp_port, config.sip.tcp_port) == (0, -1)
    assert config.platforms[0].url == "http://127.0.0.1:8090"
    assert (config.records.url, config.media.recording_dir) == (f"sqlite:///{papers.records}", str(papers.folder))


def test_the_script_can_be_played() -> None:
    steps = parse_script(json.loads(json.dumps(SCRIPT)), 8000)
    assert [step.name for step in steps if isinstance(step, Play)] == sorted(spoken_words())
    assert isinstance(steps[-1], Hangup)


def test_the_port_is_read_from_the_bridges_own_words() -> None:
    said = ["sip        127.0.0.1:43115 udp, 127.0.0.1:43116 tcp", "media      1 worker", "ready"]
    assert sip_port(said) == 43115
    with pytest.raises(ValueError, match="has not told its UDP port"):
        sip_port(["sip        127.0.0.1:43116 tcp", "ready"])


def test_nothing_of_an_earlier_call_is_left(papers: Papers) -> None:
    papers.clear()
    papers.picture.write_bytes(b"old")
    papers.records.write_text("old")
    papers.clear()
    assert list(papers.folder.iterdir()) == []


async def test_a_child_that_ends_without_ready_is_a_clear_error(papers: Papers) -> None:
    papers.clear()
    async with running(papers, "bridge", "serve", "--config", str(papers.folder / "missing.toml")) as child:
        with pytest.raises(StageError) as caught:
            await until_ready(child, "bridge", papers)
    told = str(caught.value)
    assert told.startswith("the bridge did not start (")
    assert "missing.toml" in told
    assert told.endswith(f"; see {papers.log('bridge')}")


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", ""),
        ("Traceback\nValueError: no\n\n", "ValueError: no"),
        ('{"level": "info", "msg": "= up"}\n{"level": "error", "msg": "! down"}\n', "! down"),
        ("[1, 2]\n", "[1, 2]"),
    ],
)
def test_the_last_words_of_a_log(log: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(log)
    assert last_words(tmp_path / "a.log") == words
    assert last_words(tmp_path / "missing.log") == ""


async def test_a_child_is_ended_with_its_block(papers: Papers) -> None:
    papers.clear()
    async with running(papers, "simulator", "simulate", "ultravox") as child:
        said = await until_ready(child, "simulator", papers)
    assert said[-1].startswith("ready http://127.0.0.1:")
    assert child.returncode == 0
    assert [line async for line in lines(child)] == []


async def write_call(papers: Papers, recording: Path) -> None:
    papers.clear()
    with wave.open(str(recording), "wb") as wav:
        wav.setnchannels(2)
        wav.setsampwidth(2)
        wav.setframerate(8000)
        wav.writeframes(np.zeros(16000, "<i2").tobytes())
    record = bridge_record(media=CallReport(recording=str(recording)))
    async with Store(Address.parse(f"sqlite:///{papers.records}")) as store:
        await store.end(record)
    papers.caller.write_bytes(msgspec.json.encode(caller_record()))


async def test_what_is_left_behind_becomes_a_story(papers: Papers) -> None:
    papers.clear()
    await write_call(papers, papers.folder / "7f3a91c2.wav")
    story = collect(papers, await last_record(papers))
    assert (story.record.call, story.caller.call, story.words) == ("7f3a91c2", "c0ffee", spoken_words())
    assert story.tracks is not None
    assert (story.tracks.starts_s, story.tracks.ends_s) == pytest.approx((0.091, 1.091))
    assert papers.call_wav.is_file()


async def test_a_call_without_record_or_recording_is_a_clear_error(papers: Papers) -> None:
    papers.clear()
    with pytest.raises(StageError, match="there is no record of the call"):
        collect(papers, await last_record(papers))
    await write_call(papers, papers.folder / "7f3a91c2.wav")
    (papers.folder / "7f3a91c2.wav").unlink()
    with pytest.raises(StageError, match="there is no recording of the call"):
        collect(papers, await last_record(papers))
