"""Where PJSIP's source comes from: the places, in order, and the hashes we accept.

    1  a path given by the user     nothing else is tried: who names a tarball wants that one
    2  the cache                    what an earlier build verified and kept
    3  upstream's release           https, short time-outs
    4  Debian's source package      `asterisk` in sid carries pjproject as a component; from the machine's own mirror,
                                    with a source list and apt directories of our own: the machine's stay as they are

Whatever the place: nothing is unpacked that has not one of the hashes below.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sip.native.mirror import Mirror, debian_mirrors

VERSION = "2.17"
ACCEPTED = {
    "065fe06c06788d97c35f563796d59f00ce52fe9558a52d7b490a042a966facce": "upstream's 2.17.tar.gz",
    "6860c2f7604b4eee75f38151a9ef69774eb3f0c5286fc1d14bc1db2dc5a9e8aa": (
        "orig-Xpjproject.tar.xz of Debian's asterisk 1:22.10.1+dfsg+~cs6.17.60671434-1"
    ),
}
"SHA-256 -> what it is. Both are pjproject 2.17; Debian's lacks what is not free enough, none of which we build."

UPSTREAM = f"https://github.com/pjsip/pjproject/archive/refs/tags/{VERSION}.tar.gz"
CONNECT_S = 5.0
DEBIAN_PACKAGE, DEBIAN_SUITE, DEBIAN_COMPONENT = "asterisk", "sid", "orig-Xpjproject"
APT_HELPER = Path("/usr/lib/apt/apt-helper")
APT_S = 180.0
CACHED = f"pjproject-{VERSION}.tar"
_URI_LINE = re.compile(r"'(?P<uri>[^']+)' (?P<name>\S+) \d+ (?P<checksum>\S+)$")

Fetch = Callable[[Path], Path]
"Brings a tarball into a folder (or leaves it where it is) and says where; raises SourceError."


class SourceError(Exception):
    """Why one place gave no source, or none did. One sentence, or a line per place."""


def obtain(folder: Path, cache: Path, given: Path | None, say: Callable[[str], None]) -> Path:
    """A verified tarball. Downloads go to `folder`; what was downloaded is kept in `cache`."""
    if given is not None:
        return verified(existing(given))
    kept = cache / CACHED
    if kept.is_file():
        try:
            return verified(kept)
        except SourceError as error:
            say(f"source: {error}; fetching it again")
    tarball = first_that_works(folder, PLACES, say)
    partial = cache / f"{CACHED}.{os.getpid()}"
    shutil.copyfile(tarball, partial)
    partial.replace(kept)
    return tarball


def first_that_works(folder: Path, places: Iterable[tuple[str, Fetch]], say: Callable[[str], None]) -> Path:
    failures = []
    for name, fetch in places:
        try:
            tarball = verified(fetch(folder))
        except SourceError as error:
            failures.append(f"{name}: {error}")
            say(f"source: not from {name}: {error}")
        else:
            say(f"source: from {name}")
            return tarball
    raise SourceError(
        f"no source of pjproject {VERSION} could be had:\n"
        + "".join(f"  {failure}\n" for failure in failures)
        + "Fetch one of these by hand and name it with --source PATH or PUENTE_PJSIP_SOURCE:\n"
        + "".join(f"  {what}, sha256 {sha256}\n" for sha256, what in ACCEPTED.items())
    )


def verified(tarball: Path) -> Path:
    """Raises SourceError when its hash is none that we know."""
    with tarball.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found not in ACCEPTED:
        expected = " or ".join(ACCEPTED)
        raise SourceError(f"{tarball} is not what it should be: its sha256 is {found}, expected {expected}")
    return tarball


def existing(path: Path) -> Path:
    if not path.is_file():
        raise SourceError(f"{path} is not there")
    return path


def from_upstream(folder: Path) -> Path:
    target = folder / "upstream.tar.gz"
    try:
        with urllib.request.urlopen(UPSTREAM, timeout=CONNECT_S) as response, target.open("wb") as file:
            shutil.copyfileobj(response, file)
    except (OSError, http.client.HTTPException) as error:  # urllib's own errors and time-outs are OSErrors
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise SourceError(f"{UPSTREAM}: {reason}") from None
    return target


def from_debian(folder: Path) -> Path:
    if not shutil.which("apt-get") or not APT_HELPER.is_file():
        raise SourceError("there is no apt on this machine")
    mirrors = debian_mirrors(apt_sources(Path("/etc/apt")))
    if not mirrors:
        raise SourceError("no Debian mirror in this machine's package sources")
    return from_mirror(folder, mirrors[0])


def apt_sources(etc: Path) -> list[tuple[str, str]]:
    """The machine's source lists as (name, content), in apt's order."""
    parts = etc / "sources.list.d"
    files = [etc / "sources.list", *sorted(path for path in parts.glob("*") if path.suffix in (".list", ".sources"))]
    return [(file.name, file.read_text(errors="replace")) for file in files if file.is_file()]


def from_mirror(folder: Path, mirror: Mirror) -> Path:
    """Only the component that we need, of whatever version the suite has now: the hash decides."""
    options = apt_options(folder / "apt", mirror)
    _run(["apt-get", *options, "--quiet", "update"])
    component = component_in(_run(["apt-get", *options, "--print-uris", "--only-source", "source", DEBIAN_PACKAGE]))
    if component is None:
        raise SourceError(f"{DEBIAN_PACKAGE} in {DEBIAN_SUITE} has no component {DEBIAN_COMPONENT} any more")
    target = folder / component.name
    _run([str(APT_HELPER), *options, "download-file", component.uri, str(target), component.checksum])
    return target


@dataclass(frozen=True)
class Component:
    """One file of a Debian source package."""

    uri: str
    name: str
    checksum: str
    "With its kind before it, e.g. `SHA256:68...`."


def component_in(listing: str) -> Component | None:
    """Ours, among the lines of `apt-get source --print-uris`: 'uri' name size checksum."""
    for line in listing.splitlines():
        found = _URI_LINE.match(line)
        if found and f".{DEBIAN_COMPONENT}.tar" in found["name"]:
            return Component(found["uri"], found["name"], found["checksum"])
    return None


def apt_options(home: Path, mirror: Mirror) -> list[str]:
    """Options that make apt live in `home`, with one source; the machine's lists, cache and locks are not touched."""
    for directory in ("lists/partial", "cache/archives/partial", "parts"):
        (home / directory).mkdir(parents=True)
    sources = home / "sources.list"
    sources.write_text(mirror.source_line(DEBIAN_SUITE))
    settings = {
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": home / "parts",
        "Dir::State": home,
        "Dir::State::Lists": home / "lists",
        "Dir::Cache": home / "cache",
        "Acquire::Retries": 1,
        "Acquire::http::Timeout": 10,
        "Acquire::https::Timeout": 10,
        # apt gives up root for downloads; its user may not enter our temporary directory.
        "APT::Sandbox::User": "root",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def _run(command: list[str]) -> str:
    """Standard output; raises SourceError with the last line of what it complained about."""
    environment = os.environ | {"LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=APT_S,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SourceError(f"{Path(command[0]).name} took longer than {APT_S:.0f} s") from None
    if done.returncode != 0:
        complaint = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        raise SourceError(f"{Path(command[0]).name}: {complaint[-1].strip()}")
    return done.stdout


PLACES: tuple[tuple[str, Fetch], ...] = (("upstream", from_upstream), ("Debian", from_debian))
