from __future__ import annotations

from pathlib import Path

import pytest

from bridge.bench import beside, kernel
from bridge.bench.assemble import step
from bridge.bench.rig import Trouble


async def test_baresip_echoes_every_call_to_itself(tmp_path: Path) -> None:
    assert beside.installed(), "baresip is not installed; `make test` does it"
    run = await beside.against_baresip(3, 1.0, tmp_path)
    done = step("baresip", 3, run)
    assert (done.calls_failed, done.packets_lost, done.marks_lost) == (0, 0, 0)
    assert [one.calls for one in (done,)] == [len(done.by_call)] == [3]
    assert sorted(one.role for one in done.processes) == ["beside", "caller"]
    assert all(kernel.stat(one.pid) is None for one in done.processes)


def test_each_call_has_an_account_and_a_loop_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "MODULES", (tmp_path,))
    beside.write_settings(2, 5099, tmp_path / "new")
    accounts = (tmp_path / "new" / "accounts").read_text().splitlines()
    assert [line.partition(";audio_source=")[2] for line in accounts] == [
        "aubridge,echo0;audio_player=aubridge,echo0",
        "aubridge,echo1;audio_player=aubridge,echo1",
    ]
    config = (tmp_path / "new" / "config").read_text().splitlines()
    assert {"sip_listen 127.0.0.1:5099", f"module_path {tmp_path}", "call_max_calls 3"} <= set(config)


def test_a_baresip_without_modules_is_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "MODULES", (tmp_path / "nowhere",))
    assert not beside.installed()
    with pytest.raises(Trouble, match="not where Debian has them"):
        beside.write_settings(1, 5099, tmp_path)
