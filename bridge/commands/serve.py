"""`puente serve`: run the bridge until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import os
import sys

import uvloop

from bridge import logs
from bridge.app import adapter_problems, known_secrets, serve
from bridge.config import examine
from bridge.errors import BridgeError

HELP = "run the bridge: answer calls from the configured trunks and connect them to voice platforms"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, metavar="FILE", help="TOML file, see configs/example.toml")


def run(args: argparse.Namespace) -> int:
    config, errors = examine(args.config, os.environ, adapter_problems)
    if config is None or errors:
        print(*errors, sep="\n", file=sys.stderr)
        return 1
    logs.configure(config.log.level, config.log.format, secrets=known_secrets(config, os.environ))
    try:
        uvloop.run(serve(config, os.environ))
    except BridgeError as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return 1
    return 0
