from __future__ import annotations

import base64
import csv
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sip.native.wheel import write_wheel


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    (tmp_path / "module").write_text("ANSWER = 42\n")
    path = tmp_path / "thing-1.0+local.2-py3-none-any.whl"
    write_wheel(path, "thing", "1.0+local.2", "py3-none-any", {"thing.py": tmp_path / "module"})
    return path


def test_the_record_is_true(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        info = "thing-1.0+local.2.dist-info"
        assert archive.namelist() == ["thing.py", f"{info}/METADATA", f"{info}/WHEEL", f"{info}/RECORD"]
        rows = list(csv.reader(archive.read(f"{info}/RECORD").decode().splitlines()))
        assert [row[0] for row in rows] == archive.namelist()
        for name, digest, size in rows[:-1]:
            data = archive.read(name)
            assert int(size) == len(data)
            assert base64.urlsafe_b64decode(digest.removeprefix("sha256=") + "=") == hashlib.sha256(data).digest()
        assert rows[-1][1:] == ["", ""]


def test_pip_takes_it(wheel: Path, tmp_path: Path) -> None:
    options = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--target", str(tmp_path / "site")]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(wheel)], check=True)
    assert (tmp_path / "site/thing.py").read_text() == "ANSWER = 42\n"
    assert (tmp_path / "site/thing-1.0+local.2.dist-info/METADATA").is_file()


def test_it_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.whl"
    with pytest.raises(FileNotFoundError):
        write_wheel(path, "x", "1", "py3-none-any", {"x.py": tmp_path / "missing"})
    assert list(tmp_path.iterdir()) == []
