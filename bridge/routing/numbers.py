"""Telephone numbers: what people and partners write becomes E.164, and back to what a partner wants to read. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, ValidationResult

from bridge.errors import BridgeError

MAX_TEXT = 64
"More than any number with its decoration; what is longer is an attack or a mistake."

WHY_NOT = {
    ValidationResult.INVALID_COUNTRY_CODE: "has no country code that exists",
    ValidationResult.TOO_SHORT: "is too short",
    ValidationResult.TOO_LONG: "is too long",
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "lacks its area code",
    ValidationResult.INVALID_LENGTH: "has a length that no number there has",
}
WHY_NO_NUMBER = {
    NumberParseException.INVALID_COUNTRY_CODE: "needs a country code: write it with +",
    NumberParseException.NOT_A_NUMBER: "is no telephone number",
    NumberParseException.TOO_SHORT_AFTER_IDD: "is too short",
    NumberParseException.TOO_SHORT_NSN: "is too short",
    NumberParseException.TOO_LONG: "is too long",
}


class NumberError(BridgeError):
    """A text is no number that could be called. `str()` is a sentence without the text itself: that goes to a log."""


@dataclass(frozen=True, slots=True)
class Number:
    e164: str
    "`+525512345678`"
    country: str
    "ISO 3166 alpha-2; empty for what belongs to no country (+800, satellites)."
    national: str
    "As dialled inside the country, digits only: `5512345678`, `030901820`."

    def __str__(self) -> str:
        return self.e164


def parse(text: str, default_country: str = "") -> Number:
    """Raises NumberError. `default_country`: where a number without `+` is at home; empty: it is refused.

    Only the length is checked, not whether the number is assigned: numbering plans change faster than software.
    """
    if len(text) > MAX_TEXT:
        raise NumberError("is too long")
    try:
        found = phonenumbers.parse(_bare(text), default_country or None)
    except NumberParseException as error:
        raise NumberError(WHY_NO_NUMBER.get(error.error_type, "is no telephone number")) from None
    if why := WHY_NOT.get(phonenumbers.is_possible_number_with_reason(found)):
        raise NumberError(why)
    return _number(found)


def find(text: str, default_country: str = "") -> Number | None:
    """The same for what strangers send us: None where there is no number."""
    try:
        return parse(text, default_country)
    except NumberError:
        return None


def carries(number: Number, countries: tuple[str, ...], prefixes: tuple[str, ...]) -> int:
    """How exactly a list of countries and prefixes names a number; 0: not at all.

    1: it names nothing and so takes all. 2: its country. Above: 2 and the length of the longest prefix that fits.
    """
    if not countries and not prefixes:
        return 1
    longest = max((len(prefix) for prefix in prefixes if number.e164.startswith(prefix)), default=0)
    if longest:
        return 2 + longest
    return 2 if number.country in countries else 0


def _number(found: PhoneNumber) -> Number:
    country = phonenumbers.region_code_for_number(found)
    if country is None and found.country_code:  # not assigned, as far as is known: whom the code mainly stands for
        country = phonenumbers.region_code_for_country_code(found.country_code)
    national = re.sub(r"\D", "", phonenumbers.format_number(found, PhoneNumberFormat.NATIONAL))
    return Number(
        e164=phonenumbers.format_number(found, PhoneNumberFormat.E164),
        country=country if country not in (None, "001", "ZZ") else "",
        national=national,
    )


def _bare(text: str) -> str:
    """Without `tel:` and its parameters (RFC 3966, 3); visual separators are phonenumbers' business."""
    return re.sub(r"^tel:", "", text.strip(), flags=re.IGNORECASE).partition(";")[0]
