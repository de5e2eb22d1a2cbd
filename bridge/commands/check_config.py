"""`puente check-config`: all that is wrong with configuration files, as file:line: key: problem."""

from __future__ import annotations

import argparse
import os

from bridge.config import examine
from bridge.options import adapter_problems

HELP = "say what is wrong with configuration files: one line each, as file:line: key: problem"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="FILE", help="TOML files, see configs/example.toml")


def run(args: argparse.Namespace) -> int:
    status = 0
    for path in args.paths:
        _, errors = examine(path, os.environ, adapter_problems)
        if errors:
            print(*errors, sep="\n")
            status = 1
        else:
            print(f"{path}: ok")
    return status
