"""The caller's lines, told as a scene."""

from __future__ import annotations

from bridge.demo.narrator import Narrator

LINES = """\
dialling   sip:+525512345678@127.0.0.1:43115
ringing                            0.01 s
answered                           0.04 s
heard      speech started          0.18 s
heard      speech ended            2.18 s
heard      speech started          2.26 s
heard      speech ended            3.66 s
playing    caller_1                4.16 s
heard      speech started          8.14 s
playing    caller_2               10.74 s
heard      speech ended           11.10 s
heard      speech started         13.84 s
heard      speech ended           18.58 s
playing    unknown                19.08 s
ended      callee-hung-up: Normal call clearing
audio      PCMU, 1238 packets heard, 0 lost
"""


def test_a_call_is_told_without_its_pauses() -> None:
    narrator = Narrator({"caller_1": "Where is it?", "caller_2": "Tomorrow, please!"})
    assert [told for line in LINES.splitlines() if (told := narrator.tell(line))] == [
        "  0.01 s  bridge  rings, and calls the platform",
        "  0.04 s  bridge  answers: the platform is ready",
        "  0.18 s  agent   speaks",
        "  4.16 s  caller  “Where is it?”",
        "  8.14 s  agent   speaks",
        " 10.74 s  caller  “Tomorrow, please!”",
        " 11.10 s  agent   falls silent: interrupted",
        " 13.84 s  agent   speaks",
        " 19.08 s  caller  “unknown”",
    ]


def test_nonsense_is_not_told() -> None:
    assert [Narrator({}).tell(line) for line in ("", "0.1 s", "tape  state 1.00 s", "heard  digit 1  2.00 s")] == [
        ""
    ] * 4
