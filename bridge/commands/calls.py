"""`puente calls`: the calls that were and that stand, one of them in full, or what happened to the trunks."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import get_args

import msgspec

from bridge.commands.records import (
    WRONG,
    address,
    console,
    settings,
    store_arguments,
    tell_what_waits,
    wrong_times,
)
from bridge.errors import StoreError
from bridge.records import Outcome
from bridge.reports.call_list import call_table, event_table
from bridge.reports.call_page import page
from bridge.store import CallFilter, EventFilter, Reader

HELP = "list the calls in the store, show one of them, or list what happened to the trunks"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "call",
        nargs="*",
        metavar="[show] CALL",
        help="one call: its id or the beginning of it, or its SIP Call-ID",
    )
    parser.add_argument("--events", action="store_true", help="what happened to the trunks, instead of calls")
    parser.add_argument("--trunk", default="", help="only this one")
    parser.add_argument("--company", default="", help="only this one's")
    parser.add_argument("--outcome", default="", choices=[one for one in get_args(Outcome) if one], help="only these")
    parser.add_argument("--limit", type=_count, default=50, metavar="N", help="the latest N (default: %(default)s)")
    store_arguments(parser)


def run(args: argparse.Namespace) -> int:
    words = [word for word in args.call if word != "show"]
    if wrong := _wrong(args, words):
        print(f"puente calls: {wrong}", file=sys.stderr)
        return WRONG
    try:
        config = settings(args)
        place = address(args, config)
        tell_what_waits(place, config)
        return asyncio.run(_answer(Reader(place), words[0] if words else "", args))
    except StoreError as error:
        print(f"puente calls: {error}", file=sys.stderr)
        return 1


def _wrong(args: argparse.Namespace, words: Sequence[str]) -> str:
    if len(words) > 1 or (args.call and not words):
        return "name one call, as in `puente calls show 7f3a91c2`"
    given = next((f"--{name}" for name in ("region", "company", "outcome") if getattr(args, name)), "")
    if args.events and given:
        return f"{given} is said of calls: with --events there are --trunk, --since and --until"
    return wrong_times(args)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:10]) < 2**31):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of calls")
    return int(text)


async def _answer(reader: Reader, call: str, args: argparse.Namespace) -> int:
    try:
        if call:
            return await _one(reader, call, as_json=args.json)
        if args.events:
            await _events(reader, args)
        else:
            await _list(reader, args)
        return 0
    finally:
        await reader.close()


async def _one(reader: Reader, name: str, *, as_json: bool) -> int:
    found = await reader.calls_like(name)
    exact = [record for record in found if name in (record.call, record.sip_call_id)]
    if len(exact or found) != 1:
        why = "there is none" if not found else f"there are several: {', '.join(record.call for record in found)}"
        print(f"puente calls: {name}: {why}", file=sys.stderr)
        return 1
    [record] = exact or found
    if as_json:
        _print_json([record])
    else:
        console().print(page(record, await reader.dead_bridges()))
    return 0


async def _list(reader: Reader, args: argparse.Namespace) -> None:
    names = ("trunk", "region", "company", "outcome", "since", "until", "limit")
    given = {name: getattr(args, name) for name in names}
    records = await reader.calls(CallFilter(**{name: value for name, value in given.items() if value is not None}))
    if args.json:
        _print_json(records)
    else:
        console().print(call_table(records, await reader.dead_bridges()) if records else "no calls")


async def _events(reader: Reader, args: argparse.Namespace) -> None:
    wanted = EventFilter(trunk=args.trunk, since=args.since or "", until=args.until or "", limit=args.limit)
    events = await reader.events(wanted)
    if args.json:
        _print_json(events)
    else:
        console().print(event_table(events) if events else "no events")


def _print_json(values: Sequence[msgspec.Struct]) -> None:
    for value in values:
        print(msgspec.json.encode(value).decode())
