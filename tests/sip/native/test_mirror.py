from __future__ import annotations

import pytest

from sip.native.mirror import Mirror, debian_mirrors

STANZAS = """\
# Made by an installer
Types: deb
# Stanzas may have comments
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: sid
Components: main

Types: deb deb-src
URIs: http://one.example/debian/
 https://two.example/pub/debian
Suites: trixie
Components: contrib
 main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBGPL
 -----END PGP PUBLIC KEY BLOCK-----
"""

LINES = """\
# deb http://commented.example/debian bookworm main
deb http://plain.example/debian bookworm main contrib # the usual one
deb-src [ arch=amd64 signed-by=/etc/apt/keyrings/d.gpg ] https://signed.example/debian bookworm main
deb http://plain.example/debian/ bookworm-updates main
deb http://security.example/debian bookworm-security main
deb http://other.example/nodesource bookworm main
deb http://nonfree.example/debian bookworm non-free
deb garbage
"""

FROM_STANZAS = [
    Mirror("http://mirror.example/debian", "/usr/share/keyrings/debian-archive-keyring.gpg"),
    Mirror("http://one.example/debian/"),
    Mirror("https://two.example/pub/debian"),
]
FROM_LINES = [
    Mirror("http://plain.example/debian"),
    Mirror("https://signed.example/debian", "/etc/apt/keyrings/d.gpg"),
]


@pytest.mark.parametrize(
    ("files", "mirrors"),
    [
        ([], []),
        ([("debian.sources", STANZAS)], FROM_STANZAS),
        ([("sources.list", LINES)], FROM_LINES),
        ([("sources.list", LINES), ("a.list", LINES), ("debian.sources", STANZAS)], FROM_LINES + FROM_STANZAS),
        ([("debian.sources", "")], []),
        ([("debian.sources", " continued from nowhere\nno colon\n")], []),
        ([("sources.list", STANZAS)], []),  # the style goes by the name of the file, as apt has it
    ],
)
def test_debian_mirrors(files: list[tuple[str, str]], mirrors: list[Mirror]) -> None:
    assert debian_mirrors(files) == mirrors


def test_source_line() -> None:
    assert Mirror("http://m.example/debian").source_line("sid") == "deb-src http://m.example/debian sid main\n"
    assert Mirror("http://m.example/debian", "/k.gpg").source_line("sid") == (
        "deb-src [signed-by=/k.gpg] http://m.example/debian sid main\n"
    )
