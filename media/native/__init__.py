"""The compiled packet step, if it has been built (`python -m media.native.build`) from the source that lies here."""

from __future__ import annotations

import hashlib
import importlib.util
import sysconfig
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
SOURCE = HERE / "step.c"


class NotBuilt(Exception):
    """There is no compiled step for this interpreter and this source; says why."""


def library() -> Path:
    """Where it lies, or would."""
    return HERE / f"step{sysconfig.get_config_var('EXT_SUFFIX')}"


def fingerprint() -> str:
    """Of the source: a library that was made from another one is not used."""
    return hashlib.sha256(SOURCE.read_bytes()).hexdigest()


def load() -> ModuleType:
    """The module. Raises NotBuilt."""
    path = library()
    if not path.is_file():
        raise NotBuilt("it has not been built (python -m media.native.build)")
    try:
        spec = importlib.util.spec_from_file_location("media.native.step", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except ImportError as error:
        raise NotBuilt(f"{path.name} can not be loaded: {error}") from error
    if fingerprint() != module.SOURCE:
        raise NotBuilt(f"{path.name} was built from another step.c (python -m media.native.build)")
    return module
