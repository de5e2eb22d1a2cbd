"""`puente call`: what it is asked, what it tells, and one real call of it to another of its kind."""

from __future__ import annotations

import argparse
import json
import socket
import wave
from pathlib import Path

import pytest

from bridge.calls.outbound import Order
from bridge.commands import call
from bridge.commands.call import order_of, told
from media import tape, wire
from sip import messages as sip


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


def script(tmp_path: Path, steps: object) -> str:
    path = tmp_path / "script.json"
    path.write_text(json.dumps(steps))
    return str(path)


def far_of(order: Order) -> wire.FarSpec:
    [candidate] = order.candidates
    assert candidate.spec is not None
    return candidate.spec


def script_of(order: Order) -> object:
    return far_of(order).options


class TestOrder:
    def test_bare(self) -> None:
        order = order_of(parsed("127.0.0.1:5060", "--from", "ana"))
        assert (order.to, order.caller, order.talk_ms) == ("sip:127.0.0.1:5060", "ana", 10000)
        assert [(way.uri, way.from_user) for way in order.ways] == [("sip:127.0.0.1:5060", "ana")]
        assert far_of(order) == wire.FarSpec(platform="tape", dialect="tape", sends_ahead=True, options={"script": []})

    def test_play(self, beep: Path) -> None:
        order = order_of(parsed("sip:1@x", "--play", str(beep), "--seconds", "2.5"))
        assert script_of(order) == {"script": [{"play": str(beep)}]}
        assert order.talk_ms == 2500

    def test_script_hangs_up_at_its_end(self, tmp_path: Path, beep: Path) -> None:
        order = order_of(parsed("sip:1@x", "--script", script(tmp_path, [{"play": "beep.wav"}])))
        assert script_of(order) == {"script": [{"play": str(beep)}, {"hangup": True}]}
        assert order.talk_ms == 0

    @pytest.mark.parametrize("steps", [[{"hangup": True}], [{"wait_ms": 5}]])
    def test_script_with_an_end_of_its_own(self, tmp_path: Path, steps: list[object]) -> None:
        seconds = [] if steps == [{"hangup": True}] else ["--seconds", "3"]
        order = order_of(parsed("sip:1@x", "--script", script(tmp_path, steps), *seconds))
        assert script_of(order) == {"script": steps}

    @pytest.mark.parametrize("steps", [{}, [1], [{"dance": 1}], [{"play": "gone.wav"}]])
    def test_scripts_that_cannot_be_played(self, tmp_path: Path, steps: object) -> None:
        with pytest.raises(tape.ScriptError):
            order_of(parsed("sip:1@x", "--script", script(tmp_path, steps)))

    def test_a_script_that_is_not_there(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert call.run(parsed("sip:1@x", "--script", "/nowhere.json")) == 1
        assert capsys.readouterr().err.startswith("cannot call: /nowhere.json: ")

    @pytest.mark.parametrize("seconds", ["0", "-1", "soon", "nan"])
    def test_no_number_of_seconds(self, seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            parsed("sip:1@x", "--seconds", seconds)
        assert "is no number of seconds above 0" in capsys.readouterr().err


def moment(kind: str, text: str = "") -> wire.FarEvent:
    return wire.FarEvent(call="c", moment=wire.Moment(kind=kind, at_s=0.0, text=text))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (sip.Ringing(call="c", status=180), "ringing"),
        (sip.Ringing(call="c", status=183), "ringing    (183)"),
        (sip.Answered(call="c", sdp=""), "answered"),
        (moment("speech-started"), "heard      speech started"),
        (moment("play", "question"), "playing    question"),
        (moment("transcript"), ""),
        (wire.DigitHeard(call="c", digit="5", duration_ms=100), "heard      digit 5"),
        (wire.NearQuiet(call="c", silent_ms=15000), "heard      nothing for 15 s"),
        (wire.CallOpened(call="c", host="", port=1), ""),
    ],
)
def test_what_is_told(event: sip.Event | wire.Event, line: str) -> None:
    assert told(event) == line


def test_nobody_answers_at_a_closed_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole command against a callee that refuses: what is printed, written and returned."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as closed:
        closed.bind(("127.0.0.1", 0))
        target = f"sip:100@127.0.0.1:{closed.getsockname()[1]};transport=tcp"
        record = tmp_path / "out" / "call.json"
        assert call.run(parsed(target, "--json", str(record), "--seconds", "1")) == 5
    written = json.loads(record.read_text())
    assert (written["direction"], written["dialled"], written["reason"]) == ("outbound", target, "unreachable")
    assert "answered" not in written["times"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"dialling   {target}"
    assert lines[1].startswith(f"ended      unreachable (SIP {written['sip_status']})")
