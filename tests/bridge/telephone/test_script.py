from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.telephone.script import far_end, listener, read_script
from media import tape, wire


@pytest.mark.parametrize(
    ("codecs", "rate_hz"),
    [((), 8000), (("PCMA",), 8000), (("PCMA", "G722"), 16000), (("opus",), 16000), (("L16/8000",), 8000)],
)
def test_the_tape_runs_as_fast_as_the_codec_can_tell(codecs: tuple[str, ...], rate_hz: int) -> None:
    steps = [{"wait_ms": 5}]
    assert far_end(steps, codecs).spec == wire.FarSpec(
        platform="tape", dialect="tape", rate_hz=rate_hz, sends_ahead=True, options={"script": steps}
    )


def test_who_listens_says_nothing() -> None:
    far = far_end([{"digits": "1"}], ())
    assert listener(far) == wire.FarSpec(platform="tape", dialect="tape", rate_hz=8000, sends_ahead=True)


@pytest.mark.parametrize("steps", [[{"dance": 1}], [{"play": "gone.wav"}], [{"digits": "x"}]])
def test_what_cannot_be_played(steps: list[dict[str, object]]) -> None:
    with pytest.raises(tape.ScriptError, match="step 1"):
        far_end(steps, ())


def test_files_are_looked_for_beside_the_script(tmp_path: Path) -> None:
    (tmp_path / "here.wav").touch()
    path = tmp_path / "script.json"
    path.write_text(json.dumps([{"play": "here.wav"}, {"play": "there.wav"}, {"wait_ms": 1}]))
    assert read_script(path) == [
        {"play": str(tmp_path / "here.wav")},
        {"play": str(Path("there.wav").absolute())},
        {"wait_ms": 1},
    ]


@pytest.mark.parametrize("text", ["{", "{}", "[1]", '"play"'])
def test_what_is_no_script(tmp_path: Path, text: str) -> None:
    path = tmp_path / "script.json"
    path.write_text(text)
    with pytest.raises(tape.ScriptError, match=str(path)):
        read_script(path)
