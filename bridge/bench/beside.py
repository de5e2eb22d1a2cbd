"""baresip (Debian's package) as an echo beside the bridge: the same load caller, in the same run.

Each call has an account of its own whose loudspeaker is its microphone (module `aubridge`). It is the whole of another
SIP and RTP implementation in C, without a voice platform: no WebSocket, no second network leg. Its jitter buffer is set
as low as it goes, so that the comparison is not with its caution.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from bridge.bench.rig import HOST, STOP_S, Meter, Run, Trouble, free_udp_port, load_caller, run_of, wait_for_sip
from bridge.ending import end

MODULES: Final = (
    Path("/usr/lib/baresip/modules"),
    Path("/usr/local/lib/baresip/modules"),
)

CONFIG: Final = """\
poll_method epoll
module_path {modules}
module g711.so
module aubridge.so
module_tmp account.so
module_app menu.so
net_interface {host}
sip_listen {host}:{port}
call_max_calls {calls}
audio_alert aubridge,bell
audio_buffer 20-160
jitter_buffer_delay 0-1
rtp_ports 23000-24998
ringback_disabled yes
menu_bell no
statmode_default off
"""
ACCOUNT: Final = (
    "<sip:echo{n}@{host};transport=udp>;regint=0;answermode=auto;audio_codecs=PCMU;"
    "audio_source=aubridge,echo{n};audio_player=aubridge,echo{n}\n"
)


def installed() -> bool:
    return shutil.which("baresip") is not None and _modules() is not None


def _modules() -> Path | None:
    return next((path for path in MODULES if path.is_dir()), None)


async def against_baresip(calls: int, seconds: float, folder: Path) -> Run:
    """Load caller -> baresip's own echo -> load caller."""
    log = folder / f"baresip-{calls}.log"
    port = free_udp_port()
    async with _baresip(calls, port, folder / "baresip", log) as process:
        await wait_for_sip(port, process, log)
        meter = Meter({process.pid: "beside"})
        users = tuple(f"echo{n}" for n in range(calls))
        load = await load_caller(port, calls, seconds, meter, folder, users=users)
    return run_of(load, (), meter)


def write_settings(calls: int, port: int, folder: Path) -> None:
    """baresip's own two files, for so many calls at once."""
    modules = _modules()
    if modules is None:
        raise Trouble("baresip's modules are not where Debian has them")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config").write_text(CONFIG.format(modules=modules, host=HOST, port=port, calls=calls + 1))
    (folder / "accounts").write_text("".join(ACCOUNT.format(n=n, host=HOST) for n in range(calls)))


@asynccontextmanager
async def _baresip(calls: int, port: int, folder: Path, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    write_settings(calls, port, folder)
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            "baresip", "-f", str(folder), stdin=asyncio.subprocess.DEVNULL, stdout=said, stderr=said
        )
    try:
        yield process
    finally:
        await end(process, STOP_S)
