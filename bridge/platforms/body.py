"""What goes into a create request: strangers' text made harmless, settings merged, durations spelt."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from itertools import islice

from bridge.platforms.base import CallFacts

MOST_ENTRIES = 64
MOST_KEY_CHARS = 64
MOST_VALUE_CHARS = 1000

_UNWELCOME = frozenset({"Cc", "Cs", "Zl", "Zp"})
"Unicode categories: controls, lone surrogates (they cannot be encoded), line and paragraph separators."

_PLACEHOLDER = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")


def clean(text: str, most: int) -> str:
    """One line without control characters, at most that long.

    Display names and CRM fields are a stranger's words on their way into a prompt and into logs.
    """
    printable = "".join(" " if unicodedata.category(char) in _UNWELCOME else char for char in text)
    return " ".join(printable.split())[:most].rstrip()


def variables(call: CallFacts) -> dict[str, str]:
    """What the agent's prompt may use: the numbers, then the context, which may override them."""
    known = {"caller": call.caller, "dialled": call.dialled, **call.context}
    cleaned = ((clean(key, MOST_KEY_CHARS), clean(value, MOST_VALUE_CHARS)) for key, value in known.items())
    return dict(islice(((key, value) for key, value in cleaned if key and value), MOST_ENTRIES))


def metadata(call: CallFacts) -> dict[str, str]:
    """What the platform keeps with the call, so that its records can be found from ours."""
    return {**variables(call), "bridgeCallId": clean(call.call, MOST_VALUE_CHARS)}


def filled(prompt: str, values: Mapping[str, str]) -> str:
    """`{{name}}` in a prompt of ours replaced; a name without a value becomes nothing, as in the vendors' templates."""
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], ""), prompt)


def merged(base: Mapping[str, object], over: Mapping[str, object]) -> dict[str, object]:
    """Both, table by table; where both have a value that is no table, `over` wins. Neither is changed."""
    result = dict(base)
    for key, value in over.items():
        before = result.get(key)
        result[key] = merged(before, value) if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return result


def duration(milliseconds: int) -> str:
    """As protobuf's JSON mapping spells it: `30s`, `0.48s`."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds}.{rest:03d}".rstrip("0") + "s" if rest else f"{seconds}s"
