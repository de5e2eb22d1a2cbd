"""Writes a wheel (PEP 427): a zip file with three text files in it. No packaging tool has to be there for that."""

from __future__ import annotations

import base64
import hashlib
import os
import zipfile
from pathlib import Path

METADATA = """\
Metadata-Version: 2.1
Name: {name}
Version: {version}
Summary: PJSUA2 for signalling only, as Puente builds it
Home-page: https://www.pjsip.org
License: GPL-2.0-or-later
"""

WHEEL = """\
Wheel-Version: 1.0
Generator: puente
Root-Is-Purelib: false
Tag: {tag}
"""


def write_wheel(path: Path, name: str, version: str, tag: str, files: dict[str, Path]) -> None:
    """`files`: name inside the wheel -> where it lies now. The wheel is there whole, or not at all."""
    info = f"{name}-{version}.dist-info"
    contents = {inside: file.read_bytes() for inside, file in files.items()} | {
        f"{info}/METADATA": METADATA.format(name=name, version=version).encode(),
        f"{info}/WHEEL": WHEEL.format(tag=tag).encode(),
    }
    record = "".join(f"{inside},{_digest(data)},{len(data)}\n" for inside, data in contents.items())
    contents[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()

    # Not by `tempfile`: its files are for the owner alone, and pip hands that on to what it installs.
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            for inside, data in contents.items():
                archive.writestr(inside, data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _digest(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
