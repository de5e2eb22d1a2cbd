"""`puente call`: what it is asked, and real calls of it to peers that say what became of them."""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import wave
from pathlib import Path

import pytest

from bridge.commands import call
from bridge.commands.call import script_of, settings_of, telephone_of
from bridge.errors import BridgeError
from media import tape
from tests.helpers.placed import Placed, place
from tests.helpers.sippeer import SipPeer, sdp

CONFIG = """
[sip]
host = "127.0.0.1"
udp_port = 5099

[media]
codecs = ["PCMA"]
public_host = "127.0.0.9"

[[trunks]]
name = "one"
host = "127.0.0.1:{one}"
countries = ["MX"]
price_per_minute = "0.008"
username = "us"
password_env = "ONE_PASSWORD"
caller_id = {{ number = "+525500000000" }}

[[trunks]]
name = "two"
host = "127.0.0.1:{two}"
role = "backup"

[[platforms]]
name = "agent"
kind = "twilio"
url = "ws://127.0.0.1:1/"

[outbound]
country = "MX"
setup_timeout_ms = 1000
ring_timeout_ms = 7000
attempts = 3
"""


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    call.arguments(parser)
    return parser.parse_args(words)


@pytest.fixture
def beep(tmp_path: Path) -> Path:
    path = tmp_path / "beep.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\0\0" * 800)
    return path


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ONE_PASSWORD", "s3cret")
    path = tmp_path / "puente.toml"
    path.write_text(CONFIG.format(one=1, two=2))
    return path


def script(tmp_path: Path, steps: object) -> str:
    path = tmp_path / "script.json"
    path.write_text(json.dumps(steps))
    return str(path)


class TestScript:
    def test_bare(self) -> None:
        assert script_of(parsed("127.0.0.1:5060")) == ([], 10000)

    def test_play(self, beep: Path) -> None:
        assert script_of(parsed("sip:1@x", "--play", str(beep), "--seconds", "2.5")) == ([{"play": str(beep)}], 2500)

    def test_script_hangs_up_at_its_end(self, tmp_path: Path, beep: Path) -> None:
        words = parsed("sip:1@x", "--script", script(tmp_path, [{"play": "beep.wav"}]))
        assert script_of(words) == ([{"play": str(beep)}, {"hangup": True}], 0)

    @pytest.mark.parametrize("steps", [[{"hangup": True}], [{"wait_ms": 5}]])
    def test_script_with_an_end_of_its_own(self, tmp_path: Path, steps: list[object]) -> None:
        seconds = [] if steps == [{"hangup": True}] else ["--seconds", "3"]
        assert script_of(parsed("sip:1@x", "--script", script(tmp_path, steps), *seconds))[0] == steps


class TestWords:
    def test_a_script_that_is_not_there(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert call.run(parsed("sip:1@x", "--script", "/nowhere.json")) == 1
        assert capsys.readouterr().err.startswith("cannot call: /nowhere.json: ")

    @pytest.mark.parametrize("option", ["--seconds", "--ring"])
    @pytest.mark.parametrize("seconds", ["0", "-1", "soon", "nan"])
    def test_no_number_of_seconds(self, option: str, seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            parsed("sip:1@x", option, seconds)
        assert caught.value.code == 1  # 2 would say: busy
        assert "is no number of seconds above 0" in capsys.readouterr().err

    @pytest.mark.parametrize("words", [[], ["sip:1@x", "--codec", "GSM"], ["sip:1@x", "--dance"]])
    def test_misused(self, words: list[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            parsed(*words)
        assert caught.value.code == 1

    def test_a_trunk_without_a_file(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert call.run(parsed("+525512345678", "--trunk", "one")) == 1
        assert capsys.readouterr().err == "cannot call: --trunk names a trunk of --config\n"

    def test_a_file_that_is_not_there(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert call.run(parsed("+525512345678", "--config", "/nowhere.toml")) == 1
        assert (
            capsys.readouterr().err == "cannot call: /nowhere.toml:1: file: cannot be read: No such file or directory\n"
        )

    def test_no_number(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert call.run(parsed("hello", "--config", str(config))) == 1
        assert capsys.readouterr().err == "cannot call: hello is no telephone number\n"


class TestSettings:
    def test_without_a_file(self) -> None:
        words = parsed("sip:1@x;transport=TCP", "--ring", "7", "--record", "/x/call.wav")
        settings, options = settings_of(words, None), telephone_of(words).options
        assert (settings.codecs, settings.ring_timeout_ms, settings.recording) == (
            ("PCMU", "PCMA"),
            7000,
            "/x/call.wav",
        )
        assert (options.host, options.udp_port, options.tcp_port) == ("127.0.0.1", 0, 0)
        assert telephone_of(parsed("sip:1@x")).options.tcp_port == -1

    def test_with_one(self, config: Path) -> None:
        words = parsed("+525512345678", "--config", str(config), "--host", "127.0.0.5")
        telephone = telephone_of(words)
        options = telephone.options
        assert (options.host, options.udp_port) == ("127.0.0.5", 0)  # the bridge may be on the file's ports
        settings = settings_of(words, telephone.config)
        assert (settings.codecs, settings.public_host) == (("PCMA",), "127.0.0.9")
        assert (settings.ring_timeout_ms, settings.setup_timeout_ms, settings.attempts) == (7000, 1000, 3)

    def test_secrets_are_needed(self, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("ONE_PASSWORD")
        with pytest.raises(BridgeError, match="ONE_PASSWORD"):
            telephone_of(parsed("+525512345678", "--config", str(config)))


def test_scripts_that_cannot_be_played(tmp_path: Path) -> None:
    with pytest.raises(tape.ScriptError):
        script_of(parsed("sip:1@x", "--script", script(tmp_path, {})))


def test_nobody_answers_at_a_closed_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole command against a callee that refuses: what is printed, written and returned."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as closed:
        closed.bind(("127.0.0.1", 0))
        target = f"sip:100@127.0.0.1:{closed.getsockname()[1]};transport=tcp"
        record = tmp_path / "out" / "call.json"
        assert call.run(parsed(target, "--json", str(record), "--seconds", "1")) == 5
    written = json.loads(record.read_text())
    assert (written["direction"], written["dialled"], written["reason"]) == ("outbound", target, "unreachable")
    assert (written["outcome"], written["trunk_attempts"][0]["outcome"]) == ("failed", "unreachable")
    assert "answered" not in written["times"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"dialling   {target}"
    assert lines[-1].startswith(f"ended      unreachable (SIP {written['sip_status']})")


def write(config: Path, one: SipPeer, two: SipPeer) -> None:
    config.write_text(CONFIG.format(one=one.local[1], two=two.local[1]))


class Callee:
    """Takes one call after another and answers each as it is told."""

    def __init__(self, peer: SipPeer) -> None:
        self.peer, self.call_ids = peer, [""]
        self.heard: list[str] = []

    async def refuses(self, status: int) -> None:
        dialog, invite = await self.peer.accept("INVITE")
        self.heard.append(invite["From"])
        self.call_ids.append(invite["Call-ID"])
        dialog.respond(invite, status)
        await dialog.request("ACK")


async def called(tmp_path: Path, target: str, *options: str) -> Placed:
    return await place(tmp_path, target, "--seconds", "1", *options)


@pytest.mark.parametrize(
    ("status", "returned", "outcome"),
    [(486, 2, "busy"), (480, 3, "no-answer"), (603, 4, "declined"), (404, 5, "failed")],
)
async def test_what_became_of_it_is_the_exit_status(tmp_path: Path, status: int, returned: int, outcome: str) -> None:
    async with await SipPeer.udp() as peer:
        callee = Callee(peer)
        placed, _ = await asyncio.gather(called(tmp_path, f"sip:1@{peer.address}"), callee.refuses(status))
    assert (placed.status, placed.record["outcome"], placed.record["sip_status"]) == (returned, outcome, status)
    assert placed.record["sip_call_id"] == callee.call_ids[-1]


async def test_a_number_over_the_trunks_of_a_file(tmp_path: Path, config: Path) -> None:
    """Best first, the next one when it refuses; and it is not registered, and says who calls as the trunk wants."""
    async with await SipPeer.udp() as one, await SipPeer.udp() as two:
        write(config, one, two)
        first, second = Callee(one), Callee(two)
        placed, *_ = await asyncio.gather(
            called(tmp_path, "55 1234 5678", "--config", str(config)), first.refuses(503), second.refuses(486)
        )
    assert placed.status == 2
    record = placed.record
    assert (record["dialled"], record["country"], record["trunk"]) == ("+525512345678", "MX", "two")
    assert [(one["trunk"], one["outcome"]) for one in record["trunk_attempts"]] == [
        ("one", "trunk-failed"),
        ("two", "busy"),
    ]
    assert record["sip_call_id"] == second.call_ids[-1]
    assert "+525500000000" in first.heard[0]
    assert "trunk      one: country MX, primary" in placed.said


async def test_ring_time_out(tmp_path: Path) -> None:
    async with await SipPeer.udp() as peer:

        async def rings() -> str:
            dialog, invite = await peer.accept("INVITE")
            dialog.respond(invite, 180)
            cancel = await dialog.request("CANCEL")
            dialog.respond(cancel, 200)
            dialog.respond(invite, 487)
            return cancel["Call-ID"]

        placed, call_id = await asyncio.gather(called(tmp_path, f"sip:1@{peer.address}", "--ring", "1"), rings())
    assert (placed.status, placed.record["outcome"]) == (3, "no-answer")
    assert placed.record["sip_call_id"] == call_id


async def test_early_media_is_told(tmp_path: Path) -> None:
    async with await SipPeer.udp() as peer:

        async def announces() -> None:
            dialog, invite = await peer.accept("INVITE")
            dialog.respond(invite, 183, sdp=sdp(port=40020))
            await asyncio.sleep(0.2)
            dialog.respond(invite, 404)
            await dialog.request("ACK")

        placed, _ = await asyncio.gather(called(tmp_path, f"sip:1@{peer.address}"), announces())
    assert "ringing    (183, early media)" in placed.said
    assert placed.record["media"]["near"]["sent"] > 0
