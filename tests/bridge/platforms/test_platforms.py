"""The front door of the room."""

from __future__ import annotations

import subprocess
import sys

from bridge import platforms
from bridge.config import PlatformSection
from bridge.platforms import DIALECTS, PLATFORMS
from media.wire import FarSpec


def test_the_list_of_what_is_public() -> None:
    assert sorted(platforms.__all__) == ["CallFacts", "Created", "DIALECTS", "PLATFORMS", "Platform"]


async def test_every_kind_has_an_adapter_and_a_dialect_of_its_name() -> None:
    assert sorted(PLATFORMS) == sorted(DIALECTS) == ["twilio", "ultravox", "vapi"]
    for kind, make in PLATFORMS.items():
        url = "wss://agent.example/" if kind == "twilio" else ""
        section = PlatformSection(name=f"my-{kind}", kind=kind, agent="a1", url=url)  # type: ignore[arg-type]
        platform = make(section, "key")
        assert platform.name == f"my-{kind}"
        await platform.close()
        dialect = DIALECTS[kind](FarSpec(platform=platform.name, dialect=kind))
        assert dialect.raw_audio == (kind != "twilio")


def test_a_worker_that_wants_dialects_loads_no_http_client_and_no_settings() -> None:
    heavy = ("httpx", "asyncio", "ssl", "bridge.config", "bridge.platforms.rest")
    code = f"import sys; from bridge.platforms import DIALECTS; print([one for one in {heavy} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
