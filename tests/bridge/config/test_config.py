"""Settings: what is read, and that every mistake is named with file, line and key."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from bridge.config import (
    Config,
    PlatformSection,
    examine,
    load,
)
from bridge.errors import ConfigError

CONFIGS = Path(__file__).parents[3] / "configs"
GOOD = """\
[[trunks]]
name = "local"
sources = ["127.0.0.1"]

[[platforms]]
name = "one"
kind = "ultravox"
url = "http://127.0.0.1:8090"
prompt = "Be kind."
"""
EXAMPLE_ENVIRON = dict.fromkeys(("PROVIDER_PASSWORD", "ULTRAVOX_API_KEY", "VAPI_API_KEY", "AGENT_TOKEN"), "key")


def problems(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    path = tmp_path / "x.toml"
    path.write_text(text)
    return [str(error).replace(str(path), "x.toml") for error in examine(path, environ or {})[1]]


class TestFiles:
    def test_dev_needs_nothing(self) -> None:
        config = load(CONFIGS / "dev.toml", {})
        assert [platform.name for platform in config.platforms] == ["ultravox", "vapi"]
        assert [route.number for route in config.routes] == ["2*", "*"]

    def test_example_is_right(self) -> None:
        config = load(CONFIGS / "example.toml", EXAMPLE_ENVIRON)
        assert config.sip == Config().sip
        assert config.media == Config().media
        assert config.records == Config().records
        assert config.log == Config().log

    def test_three_regions_are_right_with_the_environment_they_name(self) -> None:
        text = (CONFIGS / "three-regions.toml").read_text()
        named = set(re.findall(r"^\w+_env = \"(\w+)\"", text, re.MULTILINE))
        head = text.partition("[sip]")[0]
        assert {name for name in named if name not in head} == set()
        config = load(CONFIGS / "three-regions.toml", dict.fromkeys(named, "a secret"))
        assert Counter((trunk.region, trunk.role) for trunk in config.trunks) == {
            (region, role): 1 for region in ("latam", "north_america", "europe") for role in ("primary", "backup")
        }
        assert {trunk.kind for trunk in config.trunks} == {"peer", "register"}
        assert all(trunk.price_per_minute and trunk.countries + trunk.prefixes for trunk in config.trunks)

    def test_example_has_every_key(self) -> None:
        text = (CONFIGS / "example.toml").read_text()
        kinds: list[type[msgspec.Struct]] = [Config, *(_section(one.type) for one in msgspec.structs.fields(Config))]
        missing = [
            f"{kind.__name__}.{field.encode_name}"
            for kind in kinds
            for field in msgspec.structs.fields(kind)
            if not re.search(rf"^(# )?{field.encode_name} = |^\[\[?(\w+\.)?{field.encode_name}\]", text, re.MULTILINE)
        ]
        assert missing == []

    def test_example_shows_the_defaults(self) -> None:
        config = load(CONFIGS / "example.toml", EXAMPLE_ENVIRON)
        shown, bare = config.platforms[0], PlatformSection(name="ultravox", kind="ultravox")
        differs = {name for name in bare.__struct_fields__ if getattr(shown, name) != getattr(bare, name)}
        assert differs == {"api_key_env", "prompt", "options"}


def _section(kind: object) -> type[msgspec.Struct]:
    inner = getattr(kind, "__args__", (kind,))[0]
    assert isinstance(inner, type)
    assert issubclass(inner, msgspec.Struct)
    return inner


class TestReading:
    def test_good(self, tmp_path: Path) -> None:
        assert problems(tmp_path, GOOD) == []

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("[sip]\nudp_prot = 1\n", "1x: sip.udp_prot: unknown key, did you mean `udp_port`?"),
            ("[sipp]\n", "0x: sipp: unknown key, did you mean `sip`?"),
            ("[sip]\n\nudp_port = 'a'\n", "2x: sip.udp_port: expected `int`, got `str`"),
            ("sip.host = 7\n", "0x: sip.host: expected `str`, got `int`"),
            ("sip = 7\n", "0x: sip: must be a table, not a number"),
            (
                "[log]\nlevel = 'inof'\n",
                "1x: log.level: must be one of debug, error, info, warning; got 'inof', did you mean `info`?",
            ),
            (
                "[media]\ncodecs = ['G729']\n",
                "1x: media.codecs: must be one of PCMU, PCMA, G722, opus, L16/8000, L16/16000; got 'G729', "
                "did you mean `G722`?",
            ),
            ("[[routes]]\nnumber = 5\n", "1x: routes[0].number: expected `str`, got `int`"),
        ],
    )
    def test_mistakes_in_reading(self, tmp_path: Path, text: str, expected: str) -> None:
        """`expected` begins with the line, counted from the end of what is right before it."""
        offset, rest = expected.split("x", 1)
        before = GOOD.count("\n") + 1
        [found] = problems(tmp_path, _placed(text))
        line = (1 if text.startswith(("sip.", "sip =")) else before) + int(offset)
        assert _sorted_choices(found) == f"x.toml:{line}{rest}"

    def test_a_section_that_must_be_an_array(self, tmp_path: Path) -> None:
        assert problems(tmp_path, "[trunks]\nname = 'a'\n")[0] == "x.toml:1: trunks: must be written as [[trunks]]"

    def test_a_missing_key_is_told_at_its_table(self, tmp_path: Path) -> None:
        assert problems(tmp_path, "[[platforms]]\n\nkind = 'vapi'\n") == ["x.toml:1: platforms[0]: `name` is missing"]

    def test_all_at_once(self, tmp_path: Path) -> None:
        text = "[sip]\na = 1\n[[trunks]]\nname = 1\n[[trunks]]\nkind = 'x'\nname = 'b'\n"
        assert [line.split(": ")[:2] for line in problems(tmp_path, text)] == [
            ["x.toml:2", "sip.a"],
            ["x.toml:4", "trunks[0].name"],
            ["x.toml:6", "trunks[1].kind"],
        ]

    def test_no_toml(self, tmp_path: Path) -> None:
        [found] = problems(tmp_path, "[sip]\nhost = \n")
        assert found.startswith("x.toml:2: file: is no TOML: ")

    def test_no_toml_up_to_the_end(self, tmp_path: Path) -> None:
        [found] = problems(tmp_path, "[sip]\nhost = '''\n\n")
        assert found.startswith("x.toml:3: file: is no TOML: ")

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"gone\.toml:1: file: cannot be read: No such file or directory"):
            load(tmp_path / "gone.toml", {})

    def test_no_text(self, tmp_path: Path) -> None:
        path = tmp_path / "x.toml"
        path.write_bytes(b"\xff\xfe")
        assert [error.problem for error in examine(path, {})[1]] == ["cannot be read: is not UTF-8"]


def _placed(text: str) -> str:
    return text + GOOD if text.startswith(("sip.", "sip =")) else GOOD + text


def _sorted_choices(line: str) -> str:
    """typing promises no order of the words of a Literal."""
    found = re.search(r"must be one of ([\w, -]+);", line)
    return line.replace(found[1], ", ".join(sorted(found[1].split(", ")))) if found else line


class TestChecks:
    @pytest.mark.parametrize(
        ("more", "line", "problem"),
        [
            ("[sip]\nudp_port = 70000", 2, "sip.udp_port: must be from -1 to 65535, not 70000"),
            ("[sip]\nudp_port = -1\ntcp_port = -1", 2, "sip.udp_port: UDP, TCP and TLS are all off"),
            ("[sip]\nhost = 'here'", 2, "sip.host: `here` is no IP address"),
            ("[sip]\nudp_port = 20100", 2, "sip.udp_port: lies within the RTP ports 20000-21999"),
            ("[media]\nworkers = 0", 2, "media.workers: must be -1 (one per core) or from 1 to 64"),
            ("[media]\nhost = '0.0.0.0'", 2, "media.host: 0.0.0.0 cannot stand in SDP: set public_host"),
            ("[media]\ncodecs = []", 2, "media.codecs: no codec at all"),
            ("[media]\ncodecs = ['opus', 'PCMU', 'opus']", 2, "media.codecs: names a codec twice"),
            ("[media]\nrecording_dir = '/nowhere'", 2, "media.recording_dir: /nowhere is no directory"),
            ("[media]\nrtp_last_port = 10000", 2, "media.rtp_last_port: is below rtp_first_port (20000)"),
            (
                "[media]\nworkers = 4\nrtp_last_port = 20005",
                3,
                "media.rtp_last_port: 20000-20005 has 3 even ports for 4 workers",
            ),
            ("[records]\nurl = 'sqlite:////nowhere/x.db'", 2, "records.url: /nowhere is no directory"),
            ("[records]\nspool = '/nowhere/x'", 2, "records.spool: /nowhere is no directory"),
            ("[records]\npassword_env = 'NOPE'", 2, "records.password_env: environment variable NOPE is not set"),
            ("[web]\nport = 70000", 2, "web.port: must be from -1 to 65535, not 70000"),
            ("[web]\nhost = 'here'", 2, "web.host: `here` is no IP address"),
            ("[web]\ntoken_env = 'NOT_SET'", 2, "web.token_env: environment variable NOT_SET is not set"),
            (
                "[web]\nport = 0\nhost = '0.0.0.0'",
                3,
                "web.host: 0.0.0.0 would show the calls to the network: set token_env or token_file",
            ),
            (
                "[[trunks]]\nname = 't'",
                1,
                "trunks[1].sources: a peer is known by its source address: name at least one",
            ),
            (
                "[[trunks]]\nname = 't'\nsources = ['here']",
                3,
                "trunks[1].sources: `here` is neither an address nor a CIDR range",
            ),
            ("[[trunks]]\nname = 'local'\nsources = ['::1']", 2, "trunks[1].name: `local` is there twice"),
            ("[[trunks]]\nname = ''\nsources = ['::1']", 2, "trunks[1].name: is empty"),
            (
                "[[platforms]]\nname = 'p'\nkind = 'vapi'\nagent = 'a'",
                1,
                "platforms[1].api_key_env: needs api_key_env or api_key_file",
            ),
            (
                "[[platforms]]\nname = 'p'\nkind = 'vapi'\nagent = 'a'\napi_key_env = 'NOT_SET'",
                5,
                "platforms[1].api_key_env: environment variable NOT_SET is not set",
            ),
            (
                "[[platforms]]\nname = 'p'\nkind = 'vapi'\nagent = 'a'\nurl = 'http://192.0.2.1'\napi_key_env = 'HOME'",
                5,
                "platforms[1].url: http:// would send the API key in the clear;"
                " only a platform on this machine may have it",
            ),
            (
                "[[platforms]]\nname = 'p'\nkind = 'vapi'\nurl = 'http://127.0.0.1'",
                1,
                "platforms[1].agent: VAPI needs the id of an assistant",
            ),
            (
                "[[platforms]]\nname = 'p'\nkind = 'ultravox'\nurl = 'http://[::1]:1'",
                1,
                "platforms[1].agent: Ultravox needs an agent or a prompt",
            ),
            (
                "[[platforms]]\nname = 'p'\nkind = 'ultravox'\nurl = 'http://localhost'\nprompt = 'x'\n"
                "encoding = 'mulaw'",
                6,
                "platforms[1].encoding: Ultravox knows s16le only",
            ),
            (
                "[[platforms]]\nname = 'p'\nkind = 'vapi'\nurl = 'http://localhost'\nagent = 'x'\n"
                "encoding = 'mulaw'\nrate_hz = 16000",
                7,
                "platforms[1].rate_hz: mulaw has 8000 Hz",
            ),
            (
                "[[platforms]]\nname = 'p'\nkind = 'twilio'",
                1,
                "platforms[1].url: the agent's own ws:// or wss:// address is needed",
            ),
            (
                "[[platforms]]\nname = 'p'\nkind = 'twilio'\nurl = 'https://agent.example/'",
                4,
                "platforms[1].url: must begin with wss:// (or ws://)",
            ),
            (
                "[[platforms]]\nname = 'p'\nkind = 'twilio'\nurl = 'ws://192.0.2.1/'\napi_key_env = 'HOME'",
                4,
                "platforms[1].url: ws:// would send the API key in the clear;"
                " only a platform on this machine may have it",
            ),
            (
                "[[platforms]]\nname = 'p'\nkind = 'twilio'\nurl = 'wss://agent.example/{api_key}'",
                1,
                'platforms[1].auth: {api_key} in the url and auth = "url" belong together',
            ),
            (
                "[[platforms]]\nname = 'p'\nkind = 'twilio'\nurl = 'wss://agent.example/'\nauth = 'signature'",
                5,
                "platforms[1].auth: `signature` needs api_key_env or api_key_file",
            ),
            (
                "[[platforms]]\nname = 'p'\nkind = 'twilio'\nurl = 'wss://agent.example/'\nrate_hz = 16000",
                5,
                "platforms[1].rate_hz: Twilio Media Streams has 8000 Hz",
            ),
            (
                "[[platforms]]\nname = 'p'\nkind = 'twilio'\nurl = 'wss://agent.example/'\ngreeting = 'Hi'",
                5,
                "platforms[1].greeting: such an agent knows that itself;"
                " what it shall be told goes into options.customParameters",
            ),
            (
                "[[routes]]\nplatforms = ['noe']",
                2,
                "routes[0].platforms: no platform is called `noe`, did you mean `one`?",
            ),
            ("[[routes]]\nnumber = '1*2'", 2, "routes[0].number: must be a number, or its beginning and one `*`"),
            (
                "[[routes]]\nnumber = '1*'\n[[routes]]\nnumber = '12'",
                4,
                "routes[1].number: `12` is never reached: a route above takes these numbers",
            ),
        ],
    )
    def test_one_mistake(self, tmp_path: Path, more: str, line: int, problem: str) -> None:
        before = GOOD.count("\n")
        assert problems(tmp_path, GOOD + more, {"HOME": "x"}) == [f"x.toml:{before + line}: {problem}"]

    @pytest.mark.parametrize(
        "web",
        ["port = 0", "host = '0.0.0.0'", "host = '0.0.0.0'\nport = 0\ntoken_env = 'HOME'", "host = '::1'\nport = 0"],
    )
    def test_web_that_is_off_local_or_guarded(self, tmp_path: Path, web: str) -> None:
        assert problems(tmp_path, f"{GOOD}[web]\n{web}", {"HOME": "x"}) == []

    @pytest.mark.parametrize(
        "agent",
        [
            "url = 'ws://192.0.2.1:8765/media'",
            "url = 'wss://agent.example/media'\napi_key_env = 'HOME'",
            "url = 'wss://agent.example/media'\napi_key_env = 'HOME'\nauth = 'signature'",
            "url = 'wss://agent.example/media?token={api_key}'\napi_key_env = 'HOME'\nauth = 'url'",
            "url = 'ws://localhost:8765/'\napi_key_env = 'HOME'",
        ],
    )
    def test_agents_of_ones_own(self, tmp_path: Path, agent: str) -> None:
        text = f"{GOOD}[[platforms]]\nname = 'p'\nkind = 'twilio'\n{agent}"
        assert problems(tmp_path, text, {"HOME": "x"}) == []

    def test_nothing_at_all(self, tmp_path: Path) -> None:
        assert problems(tmp_path, "") == [
            "x.toml:1: platforms: no platform: there is nobody to take a call",
            "x.toml:1: trunks: no trunk: calls from unknown addresses are dropped, so nobody could call",
        ]

    def test_registering_without_what_it_takes(self, tmp_path: Path) -> None:
        before = GOOD.count("\n") + 1
        assert problems(tmp_path, GOOD + "[[trunks]]\nname = 'r'\nkind = 'register'") == [
            f"x.toml:{before}: trunks[1].password_env: a registering trunk needs password_env or password_file",
            f"x.toml:{before}: trunks[1].registrar: a registering trunk needs a registrar,"
            " e.g. `sip:sip.partner.example:5060`",
            f"x.toml:{before}: trunks[1].username: a registering trunk needs a user name",
        ]

    def test_a_directory_that_cannot_be_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "access", lambda path, mode: False)  # a test that runs as root may write everywhere
        [found] = problems(tmp_path, f"{GOOD}[media]\nrecording_dir = '{tmp_path}'\n[records]\nurl = ''")
        assert found == f"x.toml:11: media.recording_dir: {tmp_path} cannot be written to"

    def test_what_rooms_above_have_to_say(self, tmp_path: Path) -> None:
        path = tmp_path / "x.toml"
        path.write_text(GOOD)
        _, errors = examine(path, {}, lambda config, environ: [(("platforms", 0), "not like this")])
        assert [(error.line, error.key, error.problem) for error in errors] == [(5, "platforms[0]", "not like this")]
