"""The interpreter that PJSUA2 is built for and installed into. May be another one than runs this."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

_PROBE = """
import importlib.metadata, importlib.util, json, platform, sysconfig
try:
    installed = importlib.metadata.version("pjsua2")
except importlib.metadata.PackageNotFoundError:
    installed = ""
print(json.dumps(dict(
    tag="cp" + sysconfig.get_config_var("py_version_nodot"),
    platform=sysconfig.get_platform(),
    libc="".join(platform.libc_ver()),
    extension_suffix=sysconfig.get_config_var("EXT_SUFFIX"),
    include=sysconfig.get_path("include"),
    installed=installed,
    has_pip=importlib.util.find_spec("pip") is not None,
)))
"""


class TargetError(Exception):
    """That interpreter will not do."""


@dataclass(frozen=True, kw_only=True)
class Target:
    python: Path
    tag: str
    "Interpreter and ABI tag of a wheel (PEP 425), e.g. `cp311`."
    platform: str
    libc: str
    extension_suffix: str
    include: str
    installed: str
    "Version of the pjsua2 it has now, empty for none."
    has_pip: bool

    @property
    def wheel_tag(self) -> str:
        return f"{self.tag}-{self.tag}-{self.platform.replace('-', '_').replace('.', '_')}"


def probe(python: Path) -> Target:
    try:
        done = subprocess.run([python, "-c", _PROBE], capture_output=True, text=True, check=True)
    except OSError as error:
        raise TargetError(f"{python} can not be run: {error.strerror}") from None
    except subprocess.CalledProcessError as error:
        raise TargetError(f"{python} is no Python that we know: {error.stderr.strip()[-200:]}") from None
    return Target(python=python, **json.loads(done.stdout))


def install(target: Target, wheel: Path) -> None:
    """By pip, from this one file, asking no network."""
    if not target.has_pip:
        raise TargetError(
            f"{target.python} has no pip: run `{target.python} -m ensurepip`, or install {wheel} yourself"
        )
    options = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--no-index", "--force-reinstall"]
    done = subprocess.run(
        [target.python, "-m", "pip", "install", *options, wheel], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise TargetError(f"pip could not install {wheel.name}:\n{done.stderr.strip()}")
