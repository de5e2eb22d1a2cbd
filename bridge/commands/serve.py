"""`puente serve`: run the bridge until SIGTERM or Ctrl-C; SIGHUP reads the settings again."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import uvloop

from bridge.app import configure_logs, serve
from bridge.config import examine
from bridge.errors import BridgeError
from bridge.options import adapter_problems

HELP = "run the bridge: answer calls from the configured trunks and connect them to voice platforms"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, metavar="FILE", help="TOML file, see configs/example.toml")


def run(args: argparse.Namespace) -> int:
    config, errors = examine(args.config, os.environ, adapter_problems)
    if config is None or errors:
        print(*errors, sep="\n", file=sys.stderr)
        return 1
    configure_logs(config, os.environ)
    try:
        uvloop.run(serve(config, os.environ, Path(args.config)))
    except BridgeError as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return 1
    return 0
