"""`puente <command>`: the door. Each command is a module of `bridge.commands`, loaded only when it is the one."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

ENOUGH = 141
"As a shell tells of a program that SIGPIPE has ended."
COMMANDS = {
    "serve": "serve",
    "check-config": "check_config",
    "call": "call",
    "simulate": "simulate",
    "calls": "calls",
    "report": "report",
    "demo": "demo",
    "bench": "bench",
}
"Name on the command line -> module with HELP, arguments() and run()."

HELP = {
    "serve": "run the bridge",
    "check-config": "say what is wrong with configuration files",
    "call": "place a test call into any SIP target",
    "simulate": "play a voice platform (ultravox, vapi)",
    "calls": "list the calls in the store, or show one of them",
    "report": "what calls have cost, against one provider's price",
    "demo": "one real call through the bridge, with a picture of it",
    "bench": "measure the bridge on this machine",
}
"""Repeated here so that `puente --help` needs no module of a command, and no numpy."""


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="puente", description="Phone lines (SIP) to voice AI, in real time.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module_name in COMMANDS.items():
        if name not in words[:1]:
            commands.add_parser(name, help=HELP[name])
            continue
        module = importlib.import_module(f"bridge.commands.{module_name}")
        chosen = commands.add_parser(name, help=HELP[name], description=module.HELP)
        module.arguments(chosen)
        chosen.set_defaults(run=module.run)
    args = parser.parse_args(words)
    try:
        status: int = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough; the interpreter would try once more in its exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ENOUGH
    return status


if __name__ == "__main__":
    sys.exit(main())
