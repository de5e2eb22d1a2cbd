from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from sip.native import cache
from tests.sip.native.targets import target


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"PUENTE_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, Path("/a")),
        ({"XDG_CACHE_HOME": "/b"}, Path("/b/puente")),
        ({"PUENTE_CACHE": "", "XDG_CACHE_HOME": ""}, Path.home() / ".cache/puente"),
        ({}, Path.home() / ".cache/puente"),
    ],
)
def test_folder(environment: dict[str, str], folder: Path) -> None:
    assert cache.folder(environment) == folder


def test_the_key_changes_with_each_ingredient(tmp_path: Path) -> None:
    for name in cache.INGREDIENTS:
        shutil.copy(cache.HERE / name, tmp_path)
    keys = {cache.key(target(), tmp_path)}
    assert keys == {cache.key(target())}
    for name in cache.INGREDIENTS:
        with (tmp_path / name).open("a") as file:
            file.write(" ")
        keys.add(cache.key(target(), tmp_path))
    assert len(keys) == 1 + len(cache.INGREDIENTS)


def test_everything_that_is_compiled_is_an_ingredient() -> None:
    compiled = {path.name for path in cache.HERE.iterdir() if path.suffix in (".c", ".h", ".i")}
    assert compiled | {"compile.py"} == set(cache.INGREDIENTS)


def test_the_key_changes_with_the_interpreter_and_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [
        cache.key(target()),
        cache.key(target(tag="cp312")),
        cache.key(target(platform="linux-aarch64")),
        cache.key(target(libc="glibc2.41")),
    ]
    monkeypatch.setattr(cache, "VERSION", "2.18")
    keys.append(cache.key(target()))
    assert len(set(keys)) == 5


def test_the_key_does_not_change_with_where_the_interpreter_lies() -> None:
    assert cache.key(target()) == cache.key(target(python=Path("/x"), include="/y", installed="2.15", has_pip=False))


def test_names() -> None:
    key = cache.key(target())
    assert len(key) == 12
    assert cache.build_version(target()) == f"2.17+puente.{key}"
    assert cache.wheel_path(Path("/c"), target()) == Path(f"/c/pjsua2-2.17+puente.{key}-cp311-cp311-linux_x86_64.whl")


def test_the_second_build_waits_for_the_first(tmp_path: Path) -> None:
    said: list[str] = []
    order: list[str] = []
    waits = threading.Event()

    def second() -> None:
        def say(line: str) -> None:
            said.append(line)
            waits.set()

        with cache.locked(tmp_path / "new", say):
            order.append("second")

    with cache.locked(tmp_path / "new", said.append):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert said == ["another build is running: waiting for it"]
