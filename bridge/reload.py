"""What a reload may change while calls stand, and what it may not. Pure.

Trunks, platforms, routes, prices, calls out, log and what a new call is told of the media: at once. Ports, processes
and stores: with the next start. A file with a mistake changes nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from bridge.config import Config

LIVE: dict[str, frozenset[str] | None] = {
    "trunks": None,
    "platforms": None,
    "routes": None,
    "outbound": None,
    "costs": None,
    "log": None,
    "media": frozenset({"public_host", "codecs", "recording_dir"}),
}
"Section: the keys that may change while we run; None: all of them. A section that is not here: none."


class Reloaded(msgspec.Struct, frozen=True, kw_only=True):
    """What `POST /v1/reload` answers. With errors nothing was changed."""

    errors: tuple[str, ...] = ()
    "As `puente check-config` says them."
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    "`trunk carrier`, `platform vapi`."
    needs_restart: tuple[str, ...] = ()
    "`sip.udp_port`: changed in the file, and not here."
    problems: tuple[str, ...] = ()
    "What the SIP stack has against a trunk: the others work."

    def __str__(self) -> str:
        parts = [f"{name} {', '.join(values)}" for name in self.__struct_fields__ if (values := getattr(self, name))]
        return "; ".join(parts) or "nothing has changed"


def merged(old: Config, new: Config) -> tuple[Config, tuple[str, ...]]:
    """The settings that hold from now on, and the keys whose change must wait for the next start."""
    sections: dict[str, Any] = {}
    waiting: list[str] = []
    for name in new.__struct_fields__:
        before, after = getattr(old, name), getattr(new, name)
        live = LIVE.get(name, frozenset())
        if live is None or before == after:
            sections[name] = after
            continue
        fixed = [key for key in after.__struct_fields__ if key not in live]
        waiting += [f"{name}.{key}" for key in fixed if getattr(before, key) != getattr(after, key)]
        sections[name] = msgspec.structs.replace(after, **{key: getattr(before, key) for key in fixed})
    return Config(**sections), tuple(waiting)


def named(kind: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{kind} {name}" for name in names)
