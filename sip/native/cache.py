"""Built wheels, kept outside the checkout, each under a name that says what it was built from."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sip.native.source import VERSION
from sip.native.target import Target

HERE = Path(__file__).parent
INGREDIENTS = (
    *("config_site.h", "gate.c", "gate.h", "ledger.c", "ledger.h", "dialog.c", "dialog.h", "nomedia.c", "puente.i"),
    *("digest.c", "digest.h", "hop.c", "hop.h", "courier.c", "courier.h", "certificate.c", "certificate.h"),
    *("strict.c", "strict.h"),
    "compile.py",
)
"What decides how the module comes out; compile.py holds the flags."


def folder(environment: Mapping[str, str] = os.environ) -> Path:
    if chosen := environment.get("PUENTE_CACHE"):
        return Path(chosen)
    if xdg := environment.get("XDG_CACHE_HOME"):
        return Path(xdg) / "puente"
    return Path.home() / ".cache" / "puente"


def key(target: Target, ingredients: Path = HERE) -> str:
    """Twelve hex digits over all that the result depends on."""
    digest = hashlib.sha256()
    for word in (VERSION, target.tag, target.platform, target.libc):
        digest.update(word.encode() + b"\0")
    for name in INGREDIENTS:
        content = (ingredients / name).read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def build_version(target: Target, ingredients: Path = HERE) -> str:
    """PJSIP's version with ours behind it (PEP 440, local version): tells one build of it from another."""
    return f"{VERSION}+puente.{key(target, ingredients)}"


def wheel_path(cache: Path, target: Target) -> Path:
    return cache / f"pjsua2-{build_version(target)}-{target.wheel_tag}.whl"


@contextmanager
def locked(cache: Path, say: Callable[[str], None]) -> Iterator[None]:
    """One build at a time; the second one then finds the first one's wheel. The kernel frees it if we die."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build is running: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
