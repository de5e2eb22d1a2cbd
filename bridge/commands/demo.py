"""`puente demo`: one real call with speech through the bridge, here and now, and a page and a picture of it."""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path

from rich.console import Console

from bridge.demo.page import WIDTH, File, report, verdict
from bridge.demo.stage import Papers, StageError, perform

HELP = "place one real call with speech through the bridge, without account or network, and show what happened"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("out/demo"), metavar="DIR", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    # A pipe has no width of its own; the page is made for WIDTH columns.
    console = Console(highlight=False, width=None if os.isatty(1) else WIDTH)
    papers = Papers(args.out)
    try:
        with console.status("a telephone call, about half a minute"):
            story = asyncio.run(perform(papers.folder, lambda line: console.print(f"  {line}", markup=False)))
    except StageError as error:
        console.print(f"!! {error}", style="bold red", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("interrupted")
        return 130
    assert story.tracks is not None
    # Here, not above: half a second that the call need not wait for.
    from bridge.demo.picture import draw

    draw(story, story.tracks, papers.picture)
    files = [
        File("audio", f"{papers.call_wav}  (left caller, right agent)"),
        File("picture", str(papers.picture)),
        File("records", f"{papers.records} and {papers.caller}"),
        File("logs", f"{papers.folder}/*.log"),
    ]
    console.print(report(story, files))
    if trouble := verdict(story):
        console.print(f"!! {trouble}; see {papers.log('bridge')}", style="bold red", markup=False, soft_wrap=True)
        return 1
    return 0
