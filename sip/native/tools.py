"""What the build needs on this machine, looked for before anything is fetched."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sip.native.target import Target


@dataclass(frozen=True)
class Need:
    what: str
    is_met: Callable[[], bool]
    why: str
    package: str
    "The Debian package that brings it."


def needs(target: Target) -> tuple[Need, ...]:
    return (
        Need("the C compiler (gcc)", lambda: has_tool("gcc"), "PJSIP is written in C", "build-essential"),
        Need("the C++ compiler (g++)", lambda: has_tool("g++"), "PJSUA2 is written in C++", "build-essential"),
        Need("make", lambda: has_tool("make"), "PJSIP is built by it", "make"),
        Need("swig", lambda: has_tool("swig"), "it writes the Python side of PJSUA2", "swig"),
        Need("tar", lambda: has_tool("tar"), "the source comes packed", "tar"),
        Need("xz", lambda: has_tool("xz"), "the source may come packed by it", "xz-utils"),
        Need(
            "openssl/ssl.h", lambda: has_header("openssl/ssl.h"), "SIP over TLS needs OpenSSL's headers", "libssl-dev"
        ),
        Need(
            "Python.h",
            lambda: Path(target.include, "Python.h").is_file(),
            f"the headers of {target.python} are not in {target.include}",
            "python3-dev",
        ),
    )


def complaint(needs: tuple[Need, ...]) -> str:
    """One sentence for each need that is not met, and the line that mends them; empty when all is there."""
    missing = [need for need in needs if not need.is_met()]
    if not missing:
        return ""
    packages = " ".join(dict.fromkeys(need.package for need in missing))
    return (
        "".join(f"{need.what} is missing: {need.why}.\n" for need in missing)
        + f"On Debian: apt-get install --no-install-recommends {packages}"
    )


def has_tool(name: str) -> bool:
    return shutil.which(name) is not None


def has_header(name: str) -> bool:
    """The compiler knows best where it looks; without one the usual place must do."""
    if not has_tool("gcc"):
        return Path("/usr/include", name).is_file()
    command = ["gcc", "-E", "-include", name, "-x", "c", "/dev/null", "-o", "/dev/null"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
