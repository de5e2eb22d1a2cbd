"""From a verified tarball to the two files of the module: unpack, configure, libraries, binding, link.

The libraries and the binding need each other only at the link, so they are compiled side by side: the binding is one
file of 300,000 generated lines that keeps one core busy about as long as the libraries keep the other one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from sip.native.target import Target

HERE = Path(__file__).parent

CFLAGS = "-O2 -fPIC -DNDEBUG -fno-strict-aliasing -g0"
ABSENT = (
    "video",
    "sound",
    "resample",
    "upnp",
    "libuuid",
    "speex-aec",
    "speex-codec",
    "gsm-codec",
    "ilbc-codec",
    "l16-codec",
    "g711-codec",
    "g722-codec",
    "g7221-codec",
    "opencore-amr",
    "silk",
    "opus",
    "bcg729",
    "lyra",
    "sdl",
    "ffmpeg",
    "v4l2",
    "openh264",
    "vpx",
    "libyuv",
    "libwebrtc",
    "libsrtp",
)
CONFIGURE = ("--enable-epoll", "--enable-ext-sound", *(f"--disable-{part}" for part in ABSENT))
"Good for upstream's tree and for Debian's, where the sources of most of these are not even there."

OURS = ("gate", "ledger", "digest", "hop", "courier", "certificate", "strict", "dialog", "nomedia")
OUR_CFLAGS = (
    "-std=gnu11",
    "-O2",
    "-fPIC",
    "-g0",
    "-Wall",
    "-Wextra",
    "-Werror=implicit-function-declaration",  # it would be found missing at the import only
    "-fvisibility=hidden",
)
BINDING_CFLAGS = ("-O1", "-fPIC", "-g0", "-w", "-fvisibility=hidden")
"Generated code: its warnings are nobody's business, and more than -O1 takes minutes for nothing."
SWIG = ("swig", "-c++", "-w312", "-threads", "-python")
LINK = (
    "-shared",
    "-s",
    "-static-libstdc++",
    "-static-libgcc",
    "-Wl,--as-needed",
    "-Wl,--gc-sections",
    "-Wl,--wrap=pjsip_inv_verify_request3",
    "-Wl,--wrap=pjsip_endpt_send_request_stateless",
    "-Wl,--wrap=pjsip_endpt_resolve",
    "-Wl,--wrap=pjsip_replaces_verify_request",
    "-Wl,--wrap=pjsip_timer_handle_refresh_error",
    "-Wl,--wrap=pjsip_timer_process_req",
    "-Wl,--wrap=pjsip_timer_update_resp",
)
"""The C++ run-time goes into the wheel, so that it runs where there is an older one.

--wrap: see nomedia.c, hop.c and dialog.c.
"""

UDP_TRANSPORT = "pjsip/src/pjsip/sip_transport_udp.c"
TRANSACTIONS = "pjsip/src/pjsip/sip_transaction.c"
CHANGES = (
    # Datagrams of 32 bytes and less are thrown away unseen; here they count like all other garbage (gate.c).
    (UDP_TRANSPORT, "MIN_SIZE = 32", "MIN_SIZE = 0"),
    # A server transaction is known by its branch alone. By RFC 3261, 17.2.3, it is one of whoever stands in the Via.
    (
        TRANSACTIONS,
        "return create_tsx_key_3261(pool, key, role, method, branch);",
        """{
            const pjsip_host_port *by = &rdata->msg_info.via->sent_by;
            pj_str_t whole;
            if (role != PJSIP_ROLE_UAS)
                return create_tsx_key_3261(pool, key, role, method, branch);
            whole.ptr = (char*) pj_pool_alloc(pool, branch->slen + by->host.slen + 16);
            whole.slen = pj_ansi_snprintf(whole.ptr, branch->slen + by->host.slen + 16, "%.*s@%.*s:%d",
                                          (int)branch->slen, branch->ptr, (int)by->host.slen, by->host.ptr, by->port);
            return create_tsx_key_3261(pool, key, role, method, &whole);
        }""",
    ),
)
"What is changed in PJSIP's own sources: file, what is there, what comes in its place."

MODULE = "pjsua2.py"
"The Python side, written by SWIG; the extension beside it is `_pjsua2` plus the interpreter's suffix."

Phase = Callable[[str], AbstractContextManager[None]]


class BuildError(Exception):
    """A tool failed: what it was to do, and the end of what it said."""

    LINES = 25

    def __init__(self, step: str, log: Path) -> None:
        lines = log.read_text(errors="replace").splitlines()[-self.LINES :] if log.is_file() else []
        super().__init__("\n".join([f"{step} failed; the end of {log}:", *(f"  | {line}" for line in lines)]))
        self.step, self.log = step, log


def environment() -> dict[str, str]:
    """Ours, without what a `make` around us would pass on: its flags are not meant for PJSIP's makefiles."""
    return {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}


@dataclass(frozen=True)
class Workshop:
    """A directory in which one build happens."""

    home: Path
    target: Target

    @property
    def tree(self) -> Path:
        return self.home / "pjproject"

    def run(self, step: str, command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
        log = self.home / f"{step.replace(' ', '-')}.log"
        with log.open("a") as out:
            out.write(f"$ {' '.join(command)}\n")
            out.flush()
            done = subprocess.run(
                command,
                cwd=cwd or self.home,
                env=environment() | (env or {}),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode != 0:
            raise BuildError(step, log)


def build(tarball: Path, workshop: Workshop, phase: Phase) -> dict[str, Path]:
    """The files of the module by the names they have when installed. Raises BuildError."""
    with phase("unpack"):
        unpack(tarball, workshop)
    with phase("configure"):
        flags = {"CFLAGS": CFLAGS, "CXXFLAGS": CFLAGS}
        workshop.run("configure", ["./aconfigure", *CONFIGURE], cwd=workshop.tree, env=flags)
    with phase("compile PJSIP and the Python binding"), ThreadPoolExecutor(2) as side_by_side:
        halves = [side_by_side.submit(libraries, workshop), side_by_side.submit(binding, workshop)]
        for half in halves:
            half.result()
    with phase("link"):
        extension = link(workshop)
    return {MODULE: workshop.home / MODULE, extension.name: extension}


def unpack(tarball: Path, workshop: Workshop) -> None:
    workshop.tree.mkdir(parents=True)
    workshop.run("unpack", ["tar", "-C", str(workshop.tree), "--strip-components=1", "-xf", str(tarball)])
    shutil.copy(HERE / "config_site.h", workshop.tree / "pjlib/include/pj/config_site.h")
    if not (workshop.tree / "pjmedia/src/pjmedia-audiodev/bdimad_dev.c").exists():
        # Not free enough for Debian, which takes the file out but leaves its name in the Makefile.
        makefile = workshop.tree / "pjmedia/build/Makefile"
        makefile.write_text(makefile.read_text().replace(" bdimad_dev.o", ""))
    change_sources(workshop)


def change_sources(workshop: Workshop) -> None:
    """Each change has exactly one place, or it is not the source we know."""
    for name, old, new in CHANGES:
        source = workshop.tree / name
        workshop.run("unpack", ["grep", "-c", "-F", old, str(source)])
        source.write_text(source.read_text().replace(old, new))


def libraries(workshop: Workshop) -> None:
    workshop.run("libraries", ["make", f"-j{os.cpu_count() or 1}", "lib"], cwd=workshop.tree)


def binding(workshop: Workshop) -> None:
    """The object files that are ours: those in C, and what SWIG makes of puente.i."""
    swig_path = workshop.tree / "pjsip-apps/src/swig"
    includes = [
        f"-I{workshop.tree / part / 'include'}" for part in ("pjlib", "pjlib-util", "pjmedia", "pjsip", "pjnath")
    ]
    flags = [flag for flag in tree_says("cflags", workshop) if flag.startswith(("-D", "-I"))]
    ours = [*flags, f"-I{HERE}", f"-I{workshop.target.include}"]
    wrapper = str(workshop.home / "pjsua2_wrap.cpp")

    for name in OURS:
        workshop.run("binding", ["gcc", *OUR_CFLAGS, *ours, "-c", str(HERE / f"{name}.c"), "-o", f"{name}.o"])
    workshop.run(
        "binding",
        [*SWIG, *includes, f"-I{swig_path}", "-outdir", str(workshop.home), "-o", wrapper, str(HERE / "puente.i")],
    )
    workshop.run("binding", ["g++", *BINDING_CFLAGS, *ours, "-c", wrapper, "-o", "pjsua2_wrap.o"])


def link(workshop: Workshop) -> Path:
    extension = workshop.home / f"_pjsua2{workshop.target.extension_suffix}"
    paths = tree_says("ldflags", workshop)
    libs = [f"-l{name}" for name in tree_says("libs", workshop) if name != "stdc++"]
    objects = ["pjsua2_wrap.o", *(f"{name}.o" for name in OURS)]
    workshop.run("link", ["g++", *objects, *paths, *libs, *LINK, "-o", str(extension)])
    return extension


def tree_says(what: str, workshop: Workshop) -> list[str]:
    """`cflags`, `libs` or `ldflags`, as the configured tree's own helper for its Python binding prints them."""
    done = subprocess.run(
        ["make", "--no-print-directory", "-s", "-f", "helper.mak", what],
        cwd=workshop.tree / "pjsip-apps/src/swig/python",
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()
