"""The product's media worker with one part exchanged, for `puente bench path`.

python -m bridge.bench.path_worker --fd N [--plain] [--client asyncio|sans-io] [--halves FILE [--odd 0|1]]
"""

from __future__ import annotations

import argparse
import socket
import sys
from pathlib import Path

import uvloop

from bridge.bench import path_figures
from bridge.bench.path_far import CLIENTS
from media import step, worker
from media.far import DialectTable, FarHappening, Frame, PlatformHungUp
from media.wire import FarSpec


class RawDialect:
    """Audio and nothing else."""

    raw_audio = True
    ready_when_open = True

    def __init__(self, spec: FarSpec) -> None:
        """It needs to know nothing."""

    def on_open(self) -> list[Frame]:
        return []

    def on_text(self, text: str) -> list[FarHappening]:
        return []

    def on_binary(self, data: bytes) -> list[FarHappening]:
        return []

    def audio(self, data: bytes, at_ms: int) -> list[Frame]:
        return [data]

    def on_digit(self, digit: str) -> list[Frame]:
        return []

    def on_mark(self, name: str) -> list[Frame]:
        return []

    def on_close(self, code: int, reason: str) -> PlatformHungUp | None:
        return PlatformHungUp("closed")

    def goodbye(self) -> list[Frame]:
        return []


DIALECTS: DialectTable = {"raw": RawDialect}


def main() -> int:
    parser = argparse.ArgumentParser(description="The media worker with one part exchanged.")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--plain", action="store_true", help="every packet takes the Python path")
    parser.add_argument("--client", choices=tuple(CLIENTS), help="another WebSocket client")
    parser.add_argument(
        "--halves", type=Path, help="every second call keeps no figures; what both halves take is told here"
    )
    parser.add_argument("--odd", type=int, choices=(0, 1), default=0, help="0: the first call keeps figures")
    args = parser.parse_args()
    if args.plain:
        step.COMPILED = None
    if args.client:
        setattr(worker, "FarSocket", CLIENTS[args.client])  # noqa: B010 (a class of the same seam in its place)
    if args.halves:
        path_figures.install(args.halves, args.odd)
    control = socket.socket(fileno=args.fd)
    control.setblocking(False)
    uvloop.run(worker.serve(control, DIALECTS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
