"""Which Debian mirror this machine uses, read from its own package configuration. Pure: text in, mirrors out.

Both styles of apt's sources (sources.list(5)) are read: one line per entry, and stanzas ("deb822"). The names of
mirrors are the machine's affair; none is written down here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_ONE_LINE = re.compile(
    r"^deb(?:-src)?\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)$"
)


@dataclass(frozen=True)
class Mirror:
    """A Debian archive: `deb-src [signed-by=...] uri sid main` will work on it."""

    uri: str
    signed_by: str = ""
    "Path of a keyring. Empty: whatever apt trusts by itself."

    def source_line(self, suite: str) -> str:
        option = f"[signed-by={self.signed_by}] " if self.signed_by else ""
        return f"deb-src {option}{self.uri} {suite} main\n"


@dataclass(frozen=True)
class _Entry:
    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str


def debian_mirrors(texts: Iterable[tuple[str, str]]) -> list[Mirror]:
    """The Debian archives among (file name, content) pairs, each once, in the order they are named."""
    mirrors: dict[str, Mirror] = {}
    for name, text in texts:
        entries = _stanza_entries(text) if name.endswith(".sources") else _line_entries(text)
        for entry in entries:
            if _is_debian_archive(entry):
                mirrors.setdefault(entry.uri.rstrip("/"), Mirror(entry.uri, entry.signed_by))
    return list(mirrors.values())


def _is_debian_archive(entry: _Entry) -> bool:
    """Main archives are laid out below `/debian` everywhere; the security archive has no sid."""
    return (
        entry.uri.rstrip("/").endswith("/debian")
        and "main" in entry.components
        and not any("security" in suite for suite in entry.suites)
    )


def _line_entries(text: str) -> Iterator[_Entry]:
    for line in text.splitlines():
        found = _ONE_LINE.match(line.partition("#")[0].strip())
        if found:
            options = dict(option.partition("=")[::2] for option in (found["options"] or "").split())
            yield _Entry(
                found["uri"], (found["suite"],), tuple(found["components"].split()), options.get("signed-by", "")
            )


def _stanza_entries(text: str) -> Iterator[_Entry]:
    uncommented = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", uncommented):
        fields = _fields(stanza)
        if fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        signed_by = fields.get("signed-by", "")
        for uri in fields.get("uris", "").split():
            yield _Entry(
                uri,
                tuple(fields.get("suites", "").split()),
                tuple(fields.get("components", "").split()),
                signed_by if signed_by.startswith("/") else "",  # else a key written into the stanza itself
            )


def _fields(stanza: str) -> dict[str, str]:
    """Field names in lower case; continuation lines joined by blanks."""
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line[:1] in (" ", "\t"):
            fields[name] = f"{fields.get(name, '')} {line.strip()}".strip()
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields
