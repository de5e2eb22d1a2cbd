"""A target interpreter for tests, with every field open to change."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from sip.native.target import Target

TARGET = Target(
    python=Path("/usr/bin/python3"),
    tag="cp311",
    platform="linux-x86_64",
    libc="glibc2.36",
    extension_suffix=".cpython-311-x86_64-linux-gnu.so",
    include="/usr/include/python3.11",
    installed="",
    has_pip=True,
)


def target(**changes: Any) -> Target:
    return dataclasses.replace(TARGET, **changes)
