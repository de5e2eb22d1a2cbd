from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sip.native import source
from sip.native.mirror import Mirror
from sip.native.source import Component, SourceError

GOOD, BAD = b"the real thing", b"something else"
GOOD_SHA256, BAD_SHA256 = (hashlib.sha256(data).hexdigest() for data in (GOOD, BAD))


PINNED = source.ACCEPTED


@pytest.fixture(autouse=True)
def _accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "ACCEPTED", {GOOD_SHA256: "the test's tarball"})


def brings(data: bytes) -> source.Fetch:
    def fetch(folder: Path) -> Path:
        (folder / "tarball").write_bytes(data)
        return folder / "tarball"

    return fetch


def fails(why: str) -> source.Fetch:
    def fetch(folder: Path) -> Path:
        raise SourceError(why)

    return fetch


def never(folder: Path) -> Path:
    raise AssertionError("must not be asked")


def test_what_is_pinned() -> None:
    assert sorted(PINNED) == [
        "065fe06c06788d97c35f563796d59f00ce52fe9558a52d7b490a042a966facce",
        "6860c2f7604b4eee75f38151a9ef69774eb3f0c5286fc1d14bc1db2dc5a9e8aa",
    ]


def test_the_first_place_that_works_wins(tmp_path: Path) -> None:
    said: list[str] = []
    places = (("a", fails("it is down")), ("b", brings(BAD)), ("c", brings(GOOD)), ("d", never))
    assert source.first_that_works(tmp_path, places, said.append).read_bytes() == GOOD
    assert said == [
        "source: not from a: it is down",
        f"source: not from b: {tmp_path}/tarball is not what it should be: its sha256 is {BAD_SHA256}, "
        f"expected {GOOD_SHA256}",
        "source: from c",
    ]


def test_when_all_fail_each_says_why_and_how_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as raised:
        source.first_that_works(tmp_path, (("a", fails("it is down")), ("b", fails("no apt"))), lambda _: None)
    assert str(raised.value) == (
        "no source of pjproject 2.17 could be had:\n"
        "  a: it is down\n"
        "  b: no apt\n"
        "Fetch one of these by hand and name it with --source PATH or PUENTE_PJSIP_SOURCE:\n"
        f"  the test's tarball, sha256 {GOOD_SHA256}\n"
    )


def test_upstream_is_asked_before_debian() -> None:
    assert [fetch for _, fetch in source.PLACES] == [source.from_upstream, source.from_debian]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "{path} is not there"),
        (BAD, "{path} is not what it should be: its sha256 is " + BAD_SHA256 + ", expected " + GOOD_SHA256),
    ],
)
def test_a_path_given_by_the_user_is_good_or_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, complaint: str
) -> None:
    monkeypatch.setattr(source, "PLACES", (("never", never),))
    given = tmp_path / "given.tar.gz"
    if content is not None:
        given.write_bytes(content)
    with pytest.raises(SourceError) as raised:
        source.obtain(tmp_path, tmp_path, given, lambda _: None)
    assert str(raised.value) == complaint.format(path=given)
    given.write_bytes(GOOD)
    assert source.obtain(tmp_path, tmp_path, given, lambda _: None) == given


def test_what_was_fetched_is_kept_and_checked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, folder = tmp_path / "cache", tmp_path / "build"
    cache.mkdir()
    folder.mkdir()
    said: list[str] = []
    monkeypatch.setattr(source, "PLACES", (("a", brings(GOOD)),))
    assert source.obtain(folder, cache, None, said.append).read_bytes() == GOOD
    kept = cache / source.CACHED
    assert [path.name for path in cache.iterdir()] == [source.CACHED]

    monkeypatch.setattr(source, "PLACES", (("never", never),))
    assert source.obtain(folder, cache, None, said.append) == kept
    assert said == ["source: from a"]

    kept.write_bytes(BAD)
    monkeypatch.setattr(source, "PLACES", (("a", brings(GOOD)),))
    assert source.obtain(folder, cache, None, said.append).read_bytes() == GOOD
    assert kept.read_bytes() == GOOD
    assert "fetching it again" in said[1]


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/good" else 404)
            # One byte more than there is: a download that breaks off.
            self.send_header("Content-Length", str(len(GOOD) + (self.path == "/short")))
            self.end_headers()
            self.wfile.write(GOOD)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setattr(source, "UPSTREAM", f"http://127.0.0.1:{server.server_port}/good")
        yield
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("upstream")
def test_upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert source.from_upstream(tmp_path).read_bytes() == GOOD
    missing = source.UPSTREAM.replace("good", "gone")
    monkeypatch.setattr(source, "UPSTREAM", missing)
    with pytest.raises(SourceError, match=rf"^{missing}: Not Found$"):
        source.from_upstream(tmp_path)


def test_upstream_refuses_the_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        url = f"http://127.0.0.1:{server.server_port}/x"
    monkeypatch.setattr(source, "UPSTREAM", url)
    with pytest.raises(SourceError, match=rf"^{url}: .*Connection refused$"):
        source.from_upstream(tmp_path)


LISTING = """\
'http://m.example/d/a/asterisk_22.dsc' asterisk_22.dsc 5389 SHA256:87
'http://m.example/d/a/asterisk_22%2bdfsg.orig-Xpjproject.tar.xz' asterisk_22+dfsg.orig-Xpjproject.tar.xz 67 SHA256:68
'http://m.example/d/a/asterisk_22.orig.tar.xz' asterisk_22.orig.tar.xz 6218652 SHA256:03
"""


def test_component_in() -> None:
    assert source.component_in(LISTING) == Component(
        "http://m.example/d/a/asterisk_22%2bdfsg.orig-Xpjproject.tar.xz",
        "asterisk_22+dfsg.orig-Xpjproject.tar.xz",
        "SHA256:68",
    )
    assert source.component_in(LISTING.replace("Xpjproject", "Xmp3")) is None
    assert source.component_in("Reading package lists...\n") is None


def test_from_mirror_uses_apt_with_directories_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(command: list[str]) -> str:
        commands.append(command)
        if command[-2:] == ["source", "asterisk"]:
            return LISTING
        if "download-file" in command:
            Path(command[-2]).write_bytes(GOOD)
        return ""

    monkeypatch.setattr(source, "_run", run)
    tarball = source.from_mirror(tmp_path, Mirror("http://m.example/debian", "/k.gpg"))
    assert tarball.read_bytes() == GOOD
    assert (
        tmp_path / "apt/sources.list"
    ).read_text() == "deb-src [signed-by=/k.gpg] http://m.example/debian sid main\n"
    assert [[word for word in command if word[0] != "-" and "::" not in word] for command in commands] == [
        ["apt-get", "update"],
        ["apt-get", "source", "asterisk"],
        [
            str(source.APT_HELPER),
            "download-file",
            "http://m.example/d/a/asterisk_22%2bdfsg.orig-Xpjproject.tar.xz",
            str(tarball),
            "SHA256:68",
        ],
    ]
    for command in commands:
        directories = {word for word in command if word.startswith("Dir::")}
        assert len(directories) == 5
        assert all(f"={tmp_path}/apt" in word for word in directories)


def test_a_suite_without_the_component(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_run", lambda command: "")
    with pytest.raises(SourceError, match=r"^asterisk in sid has no component orig-Xpjproject any more$"):
        source.from_mirror(tmp_path, Mirror("http://m.example/debian"))


def test_no_apt_and_no_mirror_are_reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "APT_HELPER", tmp_path / "apt-helper")
    with pytest.raises(SourceError, match=r"^there is no apt on this machine$"):
        source.from_debian(tmp_path)
    (tmp_path / "apt-helper").touch()
    monkeypatch.setattr("sip.native.source.shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(source, "apt_sources", lambda etc: [("x.list", "deb http://m.example/ubuntu noble main")])
    with pytest.raises(SourceError, match=r"^no Debian mirror in this machine's package sources$"):
        source.from_debian(tmp_path)


def test_apt_sources(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    for name in ("z.list", "a.sources", "b.list.disabled", "c.list~", "README"):
        (parts / name).write_text(name)
    assert source.apt_sources(tmp_path) == [("a.sources", "a.sources"), ("z.list", "z.list")]
    (tmp_path / "sources.list").write_text("deb")
    assert source.apt_sources(tmp_path)[0] == ("sources.list", "deb")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo one >&2; echo 'E: it broke' >&2; exit 100", "sh: E: it broke"),
        ("exit 1", "sh: no reason given"),
        ("exec sleep 30", "sh took longer than 0 s"),
    ],
)
def test_a_failing_tool_gives_its_last_word(monkeypatch: pytest.MonkeyPatch, script: str, why: str) -> None:
    monkeypatch.setattr(source, "APT_S", 0.2)
    with pytest.raises(SourceError) as raised:
        source._run(["/bin/sh", "-c", script])
    assert str(raised.value) == why


def test_a_working_tool_gives_its_output() -> None:
    assert source._run(["/bin/sh", "-c", "echo hello; echo noise >&2"]) == "hello\n"
