"""Checks that several sections need: secrets, files, prices. Each yields the path of a key and what is wrong."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path

from bridge.config.secrets import SecretMissing, secret
from bridge.config.toml_lines import Path as Key

Found = Iterator[tuple[Key, str]]

MOST_PER_MINUTE, MOST_DECIMALS = 1000, 6
"In any currency, and as finely as amounts are kept (bridge.routing.price): what is beyond is a slip of the finger."
CANNOT_BE_WRITTEN = "cannot be written to"
"What is no mistake for those who only read."
BILLING = re.compile(r"[1-9]\d{0,3}/[1-9]\d{0,3}")


def check_secret(path: Key, env: str, file: str, environ: Mapping[str, str]) -> Found:
    """`path` without its ending: both `..._env` and `..._file` belong to it."""
    *table, stem = path
    if env and file:
        yield (*table, f"{stem}_file"), f"is there beside {stem}_env: which one counts?"
        return
    try:
        secret(env, file, environ)
    except SecretMissing as error:
        yield (*table, f"{stem}_env" if env else f"{stem}_file"), str(error)


def check_directory(path: Key, directory: Path) -> Found:
    if not directory.is_dir():
        yield path, f"{directory} is no directory"
    elif not os.access(directory, os.W_OK | os.X_OK):
        yield path, f"{directory} {CANNOT_BE_WRITTEN}"


def check_file(path: Key, file: str) -> Found:
    """An empty name asks for nothing."""
    if file and not (Path(file).is_file() and os.access(file, os.R_OK)):
        yield path, f"file {file} cannot be read"


def check_price(path: Key, text: str) -> Found:
    try:
        price = Decimal(text)
    except InvalidOperation:
        yield path, f"`{text}` is no decimal number, e.g. `0.0080`"
        return
    if not (price.is_finite() and price >= 0):
        yield path, f"`{text}` is no price"
    elif price > MOST_PER_MINUTE:
        yield path, f"`{text}` is more than {MOST_PER_MINUTE} per minute"
    elif (digits := price.normalize().as_tuple().exponent) and int(digits) < -MOST_DECIMALS:
        yield path, f"`{text}` has more than {MOST_DECIMALS} decimals"


def check_billing(path: Key, text: str) -> Found:
    if not BILLING.fullmatch(text):
        yield path, f"`{text}` is no `first/step` in seconds, e.g. `60/60`, `30/6`, `1/1`"


def check_currency(path: Key, text: str) -> Found:
    if not (len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()):
        yield path, f"`{text}` is no currency code (ISO 4217), e.g. `USD`"
