"""`puente calls` against a store, with a bridge that writes and without one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.__main__ import main
from bridge.records import CallRecord
from bridge.store import Address, Store
from bridge.store.entries import begun
from bridge.store.spool import Spool
from tests.bridge.store.samples import event, over, standing

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'puente.db'}"


async def fill(url: str, *records: CallRecord) -> None:
    async with Store(Address.parse(url)) as store:
        for record in records:
            (store.end if record.ended_at else store.begin)(record)
        store.event(event())
        store.event(event("up", trunk="de", at="2026-11-23T10:00:00.000+00:00"))


CALLS = (
    over("aaaa1", trunk="mx", region="latam", company="Parcels"),
    over("aaaa2", trunk="de", region="europe", outcome="busy", started_at="2026-11-23T10:00:00.000+00:00"),
    over("bbbb1", trunk="de", region="europe", sip_call_id="x@y", started_at="2026-11-24T10:00:00.000+00:00"),
    standing("cccc1", started_at="2026-11-25T10:00:00.000+00:00"),
)


def listed(url: str, capsys: Capture, *arguments: str) -> list[str]:
    assert main(["calls", "--url", url, "--json", *arguments]) == 0
    return [json.loads(line)["call"] for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "calls"),
    [
        ([], ["aaaa1", "aaaa2", "bbbb1", "cccc1"]),
        (["--trunk", "de"], ["aaaa2", "bbbb1"]),
        (["--region", "latam"], ["aaaa1", "cccc1"]),
        (["--company", "Parcels"], ["aaaa1"]),
        (["--outcome", "busy"], ["aaaa2"]),
        (["--since", "2026-11-24"], ["bbbb1", "cccc1"]),
        (["--until", "2026-11-23T10:00"], ["aaaa1"]),
        (["--since", "2026-11-23", "--until", "2026-11-24"], ["aaaa2"]),
        (["--limit", "2"], ["bbbb1", "cccc1"]),
        (["--trunk", "nobody"], []),
    ],
)
def test_filters(url: str, capsys: Capture, arguments: list[str], calls: list[str], filled: None) -> None:
    assert listed(url, capsys, *arguments) == calls


@pytest.fixture
async def filled(url: str) -> None:
    await fill(url, *CALLS)


def test_the_list_for_people(url: str, capsys: Capture, filled: None) -> None:
    assert main(["calls", "--url", url]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert "lost" in lines[4]  # nobody has ended it, and its bridge said goodbye


@pytest.mark.parametrize("words", [["bbbb1"], ["show", "bbbb1"], ["bb"], ["x@y"]])
def test_one_of_them(url: str, capsys: Capture, filled: None, words: list[str]) -> None:
    assert main(["calls", *words, "--url", url]) == 0
    assert "call bbbb1" in capsys.readouterr().out
    assert main(["calls", *words, "--url", url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["call"] == "bbbb1"


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (["zzzz"], 1, "zzzz: there is none"),
        (["aaaa"], 1, "aaaa: there are several: aaaa2, aaaa1"),
        (["show"], 2, "name one call, as in `puente calls show 7f3a91c2`"),
        (
            ["--events", "--region", "latam"],
            2,
            "--region is said of calls: with --events there are --trunk, --since and --until",
        ),
        (
            ["--since", "2026-12", "--until", "2026-11"],
            2,
            "--since 2026-12-01T00:00:00.000+00:00 is not before --until 2026-11-01T00:00:00.000+00:00",
        ),
        (["aaaa1", "aaaa2"], 2, "name one call, as in `puente calls show 7f3a91c2`"),
        (["%"], 1, "%: there is none"),
    ],
)
def test_which_one(url: str, capsys: Capture, filled: None, words: list[str], status: int, why: str) -> None:
    assert main(["calls", *words, "--url", url]) == status
    assert capsys.readouterr().err == f"puente calls: {why}\n"


def test_events(url: str, capsys: Capture, filled: None) -> None:
    assert main(["calls", "--events", "--url", url]) == 0
    assert [line.split()[2:4] for line in capsys.readouterr().out.splitlines()[1:]] == [["mx", "down"], ["de", "up"]]
    assert main(["calls", "--events", "--trunk", "de", "--json", "--url", url]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "up"
    assert main(["calls", "--events", "--since", "2027-01", "--url", url]) == 0
    assert capsys.readouterr().out == "no events\n"


async def test_while_a_bridge_writes(tmp_path: Path, url: str, capsys: Capture) -> None:
    async with Store(Address.parse(url)) as store:
        await store.begin(standing("cccc1"))
        import asyncio

        assert await asyncio.to_thread(main, ["calls", "--url", url]) == 0
        assert "stands" in capsys.readouterr().out
        await store.end(over("dddd1"))  # the reader has not locked it


def test_what_waits_in_the_spool_is_not_kept_quiet(url: str, tmp_path: Path, capsys: Capture, filled: None) -> None:
    spool = Spool.claim(tmp_path / "puente.db.spool", 0)
    spool.append([begun(standing("zzzz"))])
    spool.close()
    assert main(["calls", "--url", url, "--limit", "1"]) == 0
    assert capsys.readouterr().err.startswith("note: 1 entries wait in the spool for this store")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--url", "sqlite:///{folder}/none.db"], "{folder}/none.db: no such file"),
        (["--url", "mysql://x/y"], "mysql is not known here: sqlite or postgresql"),
        (["--config", "{folder}/none.toml"], "{folder}/none.toml:1: file: cannot be read: No such file or directory"),
        (["--config", "{folder}/off.toml"], "these settings keep no records: [records] url is empty"),
        (["--config", "{folder}/bad.toml"], "{folder}/bad.toml:2: records.url: /nowhere is no directory"),
    ],
)
def test_where_nothing_can_be_read(tmp_path: Path, capsys: Capture, arguments: list[str], why: str) -> None:
    (tmp_path / "off.toml").write_text("[records]\nurl = ''\n")
    (tmp_path / "bad.toml").write_text("[records]\nurl = 'sqlite:////nowhere/x.db'\n")
    assert main(["calls", *(word.format(folder=tmp_path) for word in arguments)]) == 1
    assert capsys.readouterr().err == f"puente calls: {why.format(folder=tmp_path)}\n"
    assert not (tmp_path / "none.db").exists()


def test_the_file_of_a_bridge_says_where(url: str, tmp_path: Path, capsys: Capture, filled: None) -> None:
    """What else is wrong with it, a secret that this shell has not, does not matter here."""
    path = tmp_path / "bridge.toml"
    path.write_text(f"[records]\nurl = '{url}'\n[web]\nport = 0\ntoken_env = 'NOT_SET_HERE'\n")
    assert main(["calls", "--config", str(path), "--json", "--limit", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["call"] == "cccc1"


def test_a_time_that_is_none(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["calls", "--since", "soon"])
    assert "'soon' is no time: 2h, 7d, 2026-11-22 or 2026-11-22T10:30" in capsys.readouterr().err


@pytest.mark.parametrize("count", ["-1", "0", "x", "9" * 30])
def test_a_limit_that_is_none(capsys: Capture, count: str) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["calls", f"--limit={count}"])
    assert raised.value.code == 2
    assert f"'{count}' is no number of calls" in capsys.readouterr().err


UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")
"Root as everybody else is: a directory that cannot be written to cannot."


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv")
def test_where_nothing_can_be_written(url: str, tmp_path: Path, filled: None) -> None:
    (tmp_path / "bridge.toml").write_text(f"[records]\nurl = '{url}'\n")
    for path in (tmp_path / "puente.db", tmp_path):
        path.chmod(path.stat().st_mode & ~0o222)
    words = [*(UNPRIVILEGED if os.geteuid() == 0 else ()), sys.executable, "-m", "bridge", "calls", "--json"]
    try:
        done = subprocess.run(
            [*words, "--config", str(tmp_path / "bridge.toml")], capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        tmp_path.chmod(0o755)
    assert done.stderr == ""
    assert [json.loads(line)["call"] for line in done.stdout.splitlines()] == ["aaaa1", "aaaa2", "bbbb1", "cccc1"]


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_pipe_that_has_seen_enough(url: str, filled: None, more: list[str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "bridge", "calls", "--url", url, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as puente:
        assert puente.stdout is not None
        assert puente.stderr is not None
        puente.stdout.close()
        assert puente.stderr.read() == b""
        puente.wait(60)
