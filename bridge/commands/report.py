"""`puente report cost`: what the trunks have cost by region and month, against what one provider would have charged."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

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
from bridge.reports.cost_page import page
from bridge.reports.costs import compare
from bridge.reports.when import month
from bridge.routing.price import price_of
from bridge.store import Address, CallFilter, Reader, Spent

HELP = "what calls have cost by region and month, against what one provider would have charged"


def arguments(parser: argparse.ArgumentParser) -> None:
    reports = parser.add_subparsers(dest="report", required=True, metavar="REPORT")
    cost = reports.add_parser("cost", help=HELP, description=HELP)
    cost.add_argument("--month", type=_month, default=None, metavar="2026-11", help="this month alone, in UTC")
    cost.add_argument("--png", type=Path, default=None, metavar="FILE", help="draw it, too")
    store_arguments(cost)


def run(args: argparse.Namespace) -> int:
    if not args.month and (wrong := wrong_times(args)):
        print(f"puente report: {wrong}", file=sys.stderr)
        return WRONG
    since, until = args.month or (args.since or "", args.until or "")
    try:
        config = settings(args)
        place = address(args, config)
        tell_what_waits(place, config)
        spent = asyncio.run(_spent(place, CallFilter(region=args.region, since=since, until=until)))
    except StoreError as error:
        print(f"puente report: {error}", file=sys.stderr)
        return 1
    costs = config.costs
    single = price_of(costs.single_provider_per_minute, costs.currency, costs.single_provider_billing)
    if single is None:
        print("puente report: [costs] single_provider_per_minute is empty", file=sys.stderr)
        return 1
    report = compare(spent, single, since, until)
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(report)).decode())
    else:
        console().print(page(report))
    if args.png:
        # Here, not above: half a second that a table need not wait for.
        from bridge.reports.cost_chart import draw

        args.png.parent.mkdir(parents=True, exist_ok=True)
        draw(report, args.png)
        print(f"picture: {args.png}", file=sys.stderr)
    return 0


async def _spent(place: Address, filter: CallFilter) -> list[Spent]:
    reader = Reader(place)
    try:
        return await reader.spent(filter)
    finally:
        await reader.close()


def _month(text: str) -> tuple[str, str]:
    try:
        return month(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
