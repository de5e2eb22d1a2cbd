"""`python -m sip.native.build`: PJSUA2 as Puente needs it, built once per machine, installed in a second after that.

sip/native/README.md says why the ready-made wheel will not do. Standard library only: this runs before anything else
has been installed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sip.native import cache, source, tools, wheel
from sip.native.compile import BuildError, Workshop, build
from sip.native.progress import Progress
from sip.native.target import Target, TargetError, install, probe


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sip.native.build", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--source",
        type=Path,
        metavar="PATH",
        default=os.environ.get("PUENTE_PJSIP_SOURCE") or None,
        help=f"a tarball of pjproject {source.VERSION} to build from (or PUENTE_PJSIP_SOURCE); else it is fetched",
    )
    parser.add_argument(
        "--python",
        type=Path,
        metavar="PATH",
        default=Path(sys.executable),
        help="the interpreter to build for and install into (default: this one)",
    )
    parser.add_argument("--print-wheel", action="store_true", help="print the wheel's path; install nothing")
    parser.add_argument("--force", action="store_true", help="build again even if the cache has it")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    options = arguments().parse_args(argv)
    progress = Progress()
    try:
        target = probe(options.python)
        folder = cache.folder()
        with cache.locked(folder, progress.say):
            path = cache.wheel_path(folder, target)
            if options.force or not path.is_file():
                make_wheel(path, target, options.source, progress)
        if options.print_wheel:
            print(path)
        elif options.force or target.installed != cache.build_version(target):
            with progress.phase(f"install {path.name}"):
                install(target, path)
        else:
            progress.say(f"pjsua2 {target.installed} is installed already")
    except (TargetError, source.SourceError, BuildError, OSError) as error:
        print(f"!! PJSUA2: {error}", file=sys.stderr)
        return 1
    return 0


def make_wheel(path: Path, target: Target, given: Path | None, progress: Progress) -> None:
    if complaint := tools.complaint(tools.needs(target)):
        raise TargetError(complaint)
    with tempfile.TemporaryDirectory(prefix="puente-pjsua2-") as scratch:
        workshop = Workshop(Path(scratch), target)
        with progress.phase(f"source of pjproject {source.VERSION}"):
            tarball = source.obtain(workshop.home, path.parent, given, progress.say)
        try:
            files = build(tarball, workshop, progress.phase)
        except BuildError as error:
            kept = path.parent / error.log.name  # the scratch directory is about to go
            shutil.copyfile(error.log, kept)
            raise BuildError(error.step, kept) from None
        wheel.write_wheel(path, "pjsua2", cache.build_version(target), target.wheel_tag, files)


if __name__ == "__main__":
    sys.exit(main())
