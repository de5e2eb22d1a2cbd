"""`python -m media.native.build`: compiles the packet step (step.c) in a second or two, beside its source.

Standard library only. Without it a worker runs all the same: every packet then takes the Python path.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

from media.native import SOURCE, NotBuilt, fingerprint, library, load

FLAGS = (
    *("-std=c11", "-D_GNU_SOURCE", "-O2", "-g", "-fPIC", "-shared", "-Wall", "-Wextra"),
    *("-Wno-cast-function-type", "-Wno-missing-field-initializers"),  # CPython's own way of writing types
)
SANITIZE = ("-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-fno-sanitize-recover=undefined")


class BuildError(Exception):
    """It cannot be built; says what is missing or what the compiler said."""


def command(out: Path, *, sanitize: bool = False) -> list[str]:
    """The compiler's command line. Raises BuildError when something it needs is missing."""
    compiler = shutil.which(os.environ.get("CC", "gcc"))
    if compiler is None:
        raise BuildError("the C compiler (gcc) is missing\nOn Debian: apt-get install gcc libc6-dev")
    include = sysconfig.get_path("include")
    if not Path(include, "Python.h").is_file():
        raise BuildError(f"Python.h is missing in {include}\nOn Debian: apt-get install python3-dev")
    extra = SANITIZE if sanitize else ()
    define = f'-DSOURCE="{fingerprint()}"'
    return [compiler, *FLAGS, *extra, define, f"-I{include}", str(SOURCE), "-o", str(out), "-lm"]


def build(out: Path, *, sanitize: bool = False) -> None:
    """Compile to `out`, in one piece: whoever loads it meanwhile has the old one or the new one. Raises BuildError."""
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".step-") as scratch:
        made = Path(scratch, out.name)
        done = subprocess.run(command(made, sanitize=sanitize), capture_output=True, text=True, check=False)
        if done.returncode:
            raise BuildError(f"the compiler says:\n{done.stderr.strip()}")
        made.replace(out)


def is_current() -> bool:
    try:
        load()
    except NotBuilt:
        return False
    return True


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m media.native.build", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--force", action="store_true", help="build again even if it is current")
    parser.add_argument("--sanitize", action="store_true", help="with address and undefined-behaviour checks (tests)")
    options = parser.parse_args(argv)
    try:
        if options.force or options.sanitize or not is_current():
            build(library(), sanitize=options.sanitize)
            print(f"-- packet step: built {library().name}")
    except (BuildError, OSError) as error:
        print(f"!! packet step: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
