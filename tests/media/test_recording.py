from __future__ import annotations

import gc
import logging
import os
import resource
import wave
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.codecs import CODECS, Codec
from media.recording import FLUSH_SLACK_MS, STUCK_AFTER_S, Recording
from tests.helpers.audio import Samples, gaps, level_db, loudest_hz, tone

PCMU, PCMA = CODECS["PCMU"], CODECS["PCMA"]


class AtOnce(Executor):
    """Does the work inside `submit`: no thread, no waiting."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class Never(Executor):
    """A disk that takes no data."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return Future()


@pytest.fixture
def disk() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def frames(sound: Samples, codec: Codec = PCMU) -> list[bytes]:
    return [codec.encode(sound[at : at + 160]) for at in range(0, len(sound), 160)]


def sides(path: Path) -> tuple[Samples, Samples]:
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, 2)
    return pcm[:, 0], pcm[:, 1]


def open_files(path: Path) -> int:
    links = (f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd"))
    return sum(os.readlink(link) == str(path) for link in links if os.path.islink(link))


def test_caller_left_and_agent_right(tmp_path: Path, disk: Executor) -> None:
    path = tmp_path / "calls" / "today" / "a.wav"  # neither folder exists
    recording = Recording(path, PCMU, disk)
    caller, agent = tone(440, 3.0), tone(1000, 3.0)
    for number, (left, right) in enumerate(zip(frames(caller), frames(agent), strict=True)):
        recording.caller(left)
        recording.agent(right)
        recording.tick(100.0 + number * 0.02)
    recording.close().result(5)
    left_side, right_side = sides(path)
    assert (len(left_side), len(right_side)) == (24_000, 24_000)
    assert (loudest_hz(left_side), loudest_hz(right_side)) == (440, 1000)
    assert (gaps(left_side), gaps(right_side)) == ([], [])
    assert (recording.failed, open_files(path)) == ("", 0)


def test_every_sample_is_written_once_however_the_sides_come(tmp_path: Path) -> None:
    """The caller's packets in bursts, the agent's one by one: exact to the sample all the same."""
    recording = Recording(tmp_path / "a.wav", PCMU, AtOnce())
    caller, agent = frames(tone(440, 4.0)), frames(tone(1000, 4.0))
    for number in range(200):
        if number % 4 == 3:
            for frame in caller[number - 3 : number + 1]:
                recording.caller(frame)
        recording.agent(agent[number])
        recording.tick(number * 0.02)
    recording.close().result(0)
    left, right = sides(recording.path)
    assert left.tobytes() == PCMU.decode(b"".join(caller)).tobytes()
    assert right.tobytes() == PCMU.decode(b"".join(agent)).tobytes()


def test_a_side_that_lags_is_padded_and_the_other_never_waits_long(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "a.wav", PCMU, AtOnce())
    for number, frame in enumerate(frames(tone(1000, 3.0))):
        recording.agent(frame)
        recording.tick(number * 0.02)
    written_ms = (recording.path.stat().st_size - 44) / 4 / 8
    assert written_ms >= 2000 - FLUSH_SLACK_MS
    recording.close().result(0)
    left, right = sides(recording.path)
    assert (level_db(left), len(left)) == (-120.0, 24_000)
    assert loudest_hz(right) == 1000


def test_the_shorter_side_is_padded_at_the_end(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "a.wav", PCMU, AtOnce())
    recording.caller(PCMU.encode(tone(440, 0.05)))
    recording.close().result(0)
    left, right = sides(recording.path)
    assert (len(left), len(right), level_db(right)) == (400, 400, -120.0)


def test_the_codec_may_change_in_mid_call(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "a.wav", PCMU, AtOnce())
    sound = tone(440, 2.0)
    for number, (before, after) in enumerate(zip(frames(sound), frames(sound, PCMA), strict=True)):
        if number == 40:
            recording.use(PCMA)
        recording.caller(before if number < 40 else after)
        recording.tick(number * 0.02)
    recording.close().result(0)
    left, _ = sides(recording.path)
    assert loudest_hz(left) == 440
    assert level_db((left.astype(np.int32) - sound).astype(np.int16)) < level_db(sound) - 33


def test_a_call_without_audio_is_an_empty_file(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "a.wav", PCMU, AtOnce())
    recording.close().result(0)
    assert [len(side) for side in sides(recording.path)] == [0, 0]


def test_the_loop_writes_at_most_once_a_second(tmp_path: Path) -> None:
    work: list[float] = []

    class Counting(AtOnce):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            work.append(now)
            return super().submit(fn, *args, **kwargs)

    recording = Recording(tmp_path / "a.wav", PCMU, Counting())
    for number in range(160):
        now = 100.0 + number * 0.02
        recording.caller(160 * PCMU.silence)
        recording.tick(now)
    assert work == pytest.approx([100.0, 101.0, 102.0, 103.0], abs=0.021)
    now = 104.0
    recording.close().result(0)
    assert len(sides(recording.path)[0]) == 160 * 160


# --- a disk that will not ---------------------------------------------------------------------------------------------


def refused(recording: Recording) -> str:
    """Five seconds of a call whose recording cannot be written. Returns why; nothing is raised, nothing left open."""
    for number in range(250):
        recording.caller(160 * PCMU.silence)
        recording.agent(160 * PCMU.silence)
        recording.tick(100.0 + number * 0.02)
    recording.close().result(5)
    recording.close().result(5)
    assert open_files(recording.path) == 0
    return recording.failed


def test_a_full_disk_ends_the_recording_and_not_the_call(disk: Executor, caplog: pytest.LogCaptureFixture) -> None:
    recording = Recording(Path("/dev/full"), PCMU, disk)
    with caplog.at_level(logging.WARNING, "media.recording"):
        assert refused(recording) == "OSError: [Errno 28] No space left on device"
    assert caplog.messages == ["! recording /dev/full ended: OSError: [Errno 28] No space left on device"]
    recording.caller(160 * PCMU.silence)
    assert recording._pending == ([], [])  # nothing is kept for a file that will never be
    del recording
    gc.collect()  # an error in the file's own clean-up would be a warning, and that an error


@pytest.mark.parametrize("room", [0, 20, 44, 45, 4 * 160 + 46, 40_001])
def test_on_a_disk_that_fills_what_was_written_is_a_wav_and_no_empty_file_stays(tmp_path: Path, room: int) -> None:
    recording = Recording(tmp_path / "a.wav", PCMU, AtOnce())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        assert refused(recording).startswith("OSError: [Errno 27]")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    if room < 48:
        assert not recording.path.exists()
        return
    left, right = sides(recording.path)
    assert len(left) == len(right) == (room - 44) // 4
    assert recording.path.stat().st_size == 44 + len(left) * 4


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    assert refused(Recording(in_the_way / "a.wav", PCMU, AtOnce())).startswith("FileExistsError: ")


def test_a_path_that_is_a_folder(tmp_path: Path) -> None:
    assert refused(Recording(tmp_path, PCMU, AtOnce())).startswith("IsADirectoryError: ")


def test_a_disk_that_hangs_costs_no_memory_for_ever() -> None:
    recording = Recording(Path("/nowhere/a.wav"), PCMU, Never())
    for number in range(int(STUCK_AFTER_S + 10) * 50):
        recording.caller(160 * PCMU.silence)
        recording.tick(100.0 + number * 0.02)
    assert recording.failed == "the disk took no data for 30 s"
    assert recording._pending == ([], [])


def test_what_was_written_before_the_disk_hung_is_closed(tmp_path: Path) -> None:
    late: list[Callable[[], None]] = []

    class Slow(AtOnce):
        """Takes the first second; what follows waits until the test lets it go."""

        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            if recording._file is None:
                return super().submit(fn, *args, **kwargs)
            late.append(lambda: fn(*args, **kwargs))
            return Future()

    recording = Recording(tmp_path / "a.wav", PCMU, Slow())
    for number in range(int(STUCK_AFTER_S + 10) * 50):
        recording.caller(160 * PCMU.silence)
        recording.agent(160 * PCMU.silence)
        recording.tick(100.0 + number * 0.02)
    recording.close()
    assert open_files(recording.path) == 1
    for write in late:
        write()
    assert open_files(recording.path) == 0
    assert len(sides(recording.path)[0]) == 160
