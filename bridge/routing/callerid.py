"""Who is calling, as a trunk wants to be told: From, P-Asserted-Identity (RFC 3325) and Privacy (RFC 3323). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bridge.config import CallerIdSection
from bridge.routing.numbers import Number, find

ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'
"RFC 3323, 4.1.1.3."

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class CallerId:
    """What goes into a `Dial`."""

    from_user: str
    from_uri: str = ""
    "Empty: the trunk's own identity with `from_user`."
    headers: tuple[Header, ...] = ()


def caller_id(
    rules: CallerIdSection, given: str, *, domain: str, account: str = "", country: str = "", name: str = ""
) -> CallerId:
    """`given`: the number the call was asked to show; empty, or no number at all: the trunk's own.

    `account`: our user name at a registering trunk, which knows us by it: with `p-asserted-identity` it stays in From.
    `country`: where a number without `+` is at home. `name`: for this call, instead of the trunk's.
    """
    number = _shown(rules, given, country)
    shown_name = _quoted(name or rules.name)
    user = _user(number) or account or "anonymous"
    uri = f"{shown_name}<sip:{user}@{domain}>"
    asserted = ("P-Asserted-Identity", uri)
    in_from = rules.header in ("from", "both")
    in_pai = rules.header in ("p-asserted-identity", "both") or rules.privacy
    headers: list[Header] = [asserted] if in_pai and number else []
    if rules.privacy:
        return CallerId("anonymous", ANONYMOUS, (*headers, ("Privacy", "id")))
    if in_from and number:
        return CallerId(user, uri, tuple(headers))
    own = account or user
    return CallerId(own, f"{shown_name}<sip:{own}@{domain}>" if shown_name else "", tuple(headers))


def _shown(rules: CallerIdSection, given: str, country: str) -> str:
    text = given or rules.number
    if rules.format == "as-given":
        return text
    number: Number | None = find(text, country) or find(rules.number, country)
    if number is None:
        return ""  # a word where the trunk wants a number would get the call refused
    return number.e164 if rules.format == "e164" else number.national


def _user(text: str) -> str:
    """Characters a user part may hold unescaped (RFC 3261, 25.1): nothing that is given can end the URI early."""
    return re.sub(r"[^A-Za-z0-9\-_.!~*'()&=+$,;?/]", "", text)


def _quoted(name: str) -> str:
    """A display name as a quoted string with a space behind it; line ends and control characters go."""
    clean = "".join(char for char in name if char.isprintable()).strip()
    if not clean:
        return ""
    escaped = clean.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" '
