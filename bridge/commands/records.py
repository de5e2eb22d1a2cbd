"""What `puente calls` and `puente report` share: which store is meant, and times as people give them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from bridge.config import Config, SecretMissing, examine
from bridge.config.parts import CANNOT_BE_WRITTEN
from bridge.errors import StoreError
from bridge.options import store_address
from bridge.reports.when import moment
from bridge.store import Address
from bridge.store.spool import waiting

WRONG = 2
"Exit status of an argument that makes no sense, as argparse has it."
PIPE_WIDTH = 200
"A pipe has no width of its own; nothing shall be cut off in it."


def store_arguments(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--config", metavar="FILE", help="the bridge's TOML file: its [records] say where to look")
    where.add_argument("--url", metavar="URL", help="where to look, e.g. sqlite:///puente.db (the default)")
    times = "2h, 7d, 2026-11, 2026-11-22T10:30 (UTC)"
    parser.add_argument("--since", type=_moment, default=None, metavar="WHEN", help=times)
    parser.add_argument("--until", type=_moment, default=None, metavar="WHEN", help="the first moment that is too late")
    parser.add_argument("--region", default="", help="only this one")
    parser.add_argument("--json", action="store_true", help="as JSON, one object per line or one report")


def wrong_times(args: argparse.Namespace) -> str:
    """What no single argument can tell; empty: nothing is wrong."""
    if args.since and args.until and args.since >= args.until:
        return f"--since {args.since} is not before --until {args.until}"
    return ""


def settings(args: argparse.Namespace) -> Config:
    """Of a file only what is said about records and costs must be right; nothing is written. Raises StoreError."""
    if not args.config:
        return Config()
    config, errors = examine(args.config, os.environ)
    for error in errors:
        matters = error.key.startswith(("records", "costs")) and not error.problem.endswith(CANNOT_BE_WRITTEN)
        if config is None or matters:
            raise StoreError(str(error))
    assert config is not None
    return config


def address(args: argparse.Namespace, config: Config, environ: Mapping[str, str] = os.environ) -> Address:
    """Raises StoreError."""
    if args.url:
        return Address.parse(args.url)
    try:
        found = store_address(config, environ)
    except SecretMissing as missing:
        raise StoreError(str(missing)) from None
    if found is None:
        raise StoreError("these settings keep no records: [records] url is empty")
    return found


def tell_what_waits(place: Address, config: Config) -> None:
    """A store that is away has not got everything yet."""
    count = waiting(Path(config.records.spool) if config.records.spool else place.spool)
    if count:
        print(f"note: {count} entries wait in the spool for this store; they are not shown yet", file=sys.stderr)


def console() -> Console:
    return Console(highlight=False, width=None if os.isatty(1) else PIPE_WIDTH)


def _moment(text: str) -> str:
    try:
        return moment(text, datetime.now(UTC))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: 2h, 7d, 2026-11-22 or 2026-11-22T10:30") from None
