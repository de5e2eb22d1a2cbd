"""`puente report cost`: table, JSON and picture out of a store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.__main__ import main
from bridge.records import Cost
from bridge.store import Address, Store
from tests.bridge.store.samples import over, standing

EURO = Cost(currency="EUR", per_minute="0.008", billing="60/60", billed_s=60, amount="0.008")


@pytest.fixture
async def config(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'puente.db'}"
    async with Store(Address.parse(url)) as store:
        for number in range(3):
            store.end(over(f"mx{number}", region="latam"))
        store.end(over("de", region="europe", cost=EURO))
        store.end(over("old", region="latam", started_at="2026-10-31T23:59:59.999+00:00"))
        store.end(over("busy", region="latam", answered_at="", duration_s=0.0, cost=None, outcome="busy"))
        store.begin(standing("stands"))
    path = tmp_path / "bridge.toml"
    path.write_text(f"[records]\nurl = '{url}'\n")
    return str(path)


def report(config: str, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[tuple[object, ...]]:
    assert main(["report", "cost", "--config", config, "--json", *arguments]) == 0
    names = ("month", "region", "currency", "calls", "cost", "single_provider")
    return [tuple(row[name] for name in names) for row in json.loads(capsys.readouterr().out)["rows"]]


def test_by_region_and_month(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    october = ("2026-10", "latam", "USD", 1, "0.016000", "0.030000")
    europe = ("2026-11", "europe", "EUR", 1, "0.008000", None)
    latam = ("2026-11", "latam", "USD", 3, "0.048000", "0.090000")
    assert report(config, capsys) == [october, europe, latam]
    assert report(config, capsys, "--month", "2026-11") == [europe, latam]
    assert report(config, capsys, "--until", "2026-11") == [october]
    assert report(config, capsys, "--region", "latam", "--since", "2026-11") == [latam]


def test_for_people_and_as_a_picture(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    png = tmp_path / "new" / "cost.png"
    assert main(["report", "cost", "--config", config, "--png", str(png)]) == 0
    out = capsys.readouterr().out
    assert "one provider at 0.015 USD a minute (60/60) would" in out
    assert "charged in EUR; the one provider's price is in USD: not compared" in out
    assert png.read_bytes().startswith(b"\x89PNG")


def test_the_providers_price_is_a_setting(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    with open(config, "a") as file:
        file.write("[costs]\nsingle_provider_per_minute = '0.10'\ncurrency = 'EUR'\nsingle_provider_billing = '1/1'\n")
    single = {row[1]: row[5] for row in report(config, capsys, "--month", "2026-11")}
    assert single == {"europe": "0.151667", "latam": None}  # 91 seconds begun


def test_nothing_to_compare_with(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "cost", "--url", "sqlite:////nowhere/x.db"]) == 1
    assert capsys.readouterr().err == "puente report: /nowhere/x.db: no such file\n"
    with pytest.raises(SystemExit):
        main(["report", "cost", "--month", "November"])
    assert "'November' is no month: 2026-11 is one" in capsys.readouterr().err
