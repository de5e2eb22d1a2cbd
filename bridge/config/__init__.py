"""Settings: one TOML file, read once, typed and validated, frozen afterwards.

`load()` raises ConfigError naming file, line and key; `examine()` gives all that is wrong at once; `secret()` reads
what the file only points to. The sections and their fields are in `bridge.config.sections`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from bridge.config.checks import check
from bridge.config.secrets import DEVELOPMENT_KEY, SecretMissing, api_key, origin, secret
from bridge.config.sections import (
    CallerIdSection,
    Config,
    CostsSection,
    LogSection,
    MediaSection,
    OutboundSection,
    PlatformSection,
    RecordsSection,
    RouteSection,
    Section,
    SipSection,
    TrunkSection,
    WebSection,
)
from bridge.config.toml_lines import Path as Key
from bridge.config.toml_reader import TomlReader
from bridge.errors import ConfigError

__all__ = [
    "DEVELOPMENT_KEY",
    "CallerIdSection",
    "Config",
    "CostsSection",
    "LogSection",
    "MediaSection",
    "OutboundSection",
    "PlatformSection",
    "RecordsSection",
    "RouteSection",
    "SecretMissing",
    "Section",
    "SipSection",
    "TrunkSection",
    "WebSection",
    "api_key",
    "examine",
    "load",
    "origin",
    "secret",
]


def load(path: Path | str, environ: Mapping[str, str] = os.environ) -> Config:
    """Raises the first ConfigError of `examine`."""
    config, errors = examine(path, environ)
    if errors:
        raise errors[0]
    assert config is not None
    return config


def examine(
    path: Path | str,
    environ: Mapping[str, str] = os.environ,
    also: Callable[[Config, Mapping[str, str]], Iterable[tuple[Key, str]]] = lambda config, environ: (),
) -> tuple[Config | None, list[ConfigError]]:
    """The settings, and all that is wrong with them, in the order of the file.

    `also`: what rooms above have to say, asked when nothing else is wrong.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        return None, [ConfigError(str(path), 1, "file", f"cannot be read: {why}")]
    reader = TomlReader(text)
    config = reader.read(Config)
    if config is not None:
        for key, problem in list(check(config, environ)) or also(config, environ):
            reader.note(key, problem)
    return config, [ConfigError(str(path), one.line, one.key, one.problem) for one in sorted(reader.problems)]
