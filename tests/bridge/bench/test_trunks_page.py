from __future__ import annotations

from pathlib import Path

import pytest

from bridge.bench.failover.report import CaseReport, judged
from bridge.bench.trunks import Trunks
from bridge.bench.trunks_page import HEAD, draw, markdown, row
from tests.bridge.bench.failover.cases import call, seen, stood
from tests.bridge.bench.probes import CONDITIONS

NOTHING = CaseReport(name="slow", help="after ten seconds", home="primary", trouble="no Kamailio")
BAD = judged(seen(call(0, "backup", 7.5), call(1, "", None, "inbound"), standing=(stood(survived=False),)))


def report(*cases: CaseReport) -> Trunks:
    return Trunks(conditions=CONDITIONS, together=False, standing=6, calls_per_s=4.0, outage_s=15.0, cases=cases)


def test_a_row() -> None:
    assert dict(zip(HEAD, row(judged(seen())), strict=True)) == {
        "the primary": "killed",
        "out over the backup after s": "3.2",
        "in over the backup after s": "1.1",
        "slowest set-up s": "4.1",
        "new calls lost": "0 of 10",
        "standing calls that survived": "2 of 2",
        "longest RTP gap ms": "41",
        "out over the primary again after s": "2.0",
        "in again after s": "0.5",
        "switches": "2",
    }


def test_what_is_missed_is_bold() -> None:
    assert row(BAD) == (
        *("killed", "**7.5**", "**never**", "7.5", "**1** of 2", "**0 of 1**", "25", "**never**", "**never**", "0"),
    )
    assert row(NOTHING) == ("slow", *("-" for _ in HEAD[1:]))


def test_the_page_names_machine_goals_and_trouble() -> None:
    text = markdown(report(judged(seen()), BAD, NOTHING))
    assert text.startswith("`puente bench trunks`, 2026-01-02 03:04 UTC: Chip, 2 cores, Linux 6.1")
    assert "one case after the other; 6 calls stand, 4 new ones per second, repaired after 15 s." in text
    assert "- **killed**: it is dead." in text
    assert "- killed: outbound calls worked after 7.5 s only." in text
    assert "- slow: not measured: no Kamailio." in text


@pytest.mark.parametrize("cases", [(judged(seen()), BAD), (NOTHING,), ()], ids=["whole", "trouble", "nothing"])
def test_a_picture_is_drawn_of_whatever_was_measured(cases: tuple[CaseReport, ...], tmp_path: Path) -> None:
    draw(report(*cases), tmp_path / "trunks.png")
    assert (tmp_path / "trunks.png").read_bytes().startswith(b"\x89PNG\r\n")
