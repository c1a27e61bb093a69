"""The facts about countries: read whole or refused, split once for all tasks, spelled in several ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hificl.data.packages import cache_folder
from hificl.errors import InputError
from hificl.tasks.countries import is_query_country, read_countries, spellings

from .made_countries import made_world, put_world


def test_every_field_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put_world(monkeypatch, tmp_path, made_world())
    found = read_countries("flags")
    assert len(found) == 250
    swiss = found[0]
    assert (swiss.code, swiss.name, swiss.official_name) == ("CH", "Switzerland", "Realm of Switzerland")
    assert (swiss.capitals, swiss.languages) == (("Bern",), ("French", "Swiss German"))
    assert swiss.currencies == {"CHF": "Swiss franc"}
    assert (swiss.landlocked, swiss.un_member, found[1].landlocked) == (True, True, False)


def test_the_americas_are_two_continents(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put_world(monkeypatch, tmp_path, made_world())
    continents = {country.code: country.continent for country in read_countries("flags")}
    wanted = {"BR": "South America", "GD": "North America", "US": "North America", "AQ": "Antarctica", "CH": "Europe"}
    assert {code: continents[code] for code in wanted} == wanted


def test_what_is_not_fetched_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HIFICL_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"^flags: .*world-countries.* is missing.* Run: hificl data fetch flags$"):
        read_countries("flags")


def test_another_number_of_countries_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put_world(monkeypatch, tmp_path, made_world(size=249))
    with pytest.raises(InputError, match=r"capitals: .* holds 249 countries, the manifest says 250"):
        read_countries("capitals")


@pytest.mark.parametrize(
    "name, spelled",
    [
        ("Vilnius", ["Vilnius"]),
        ("Brasília", ["Brasília", "Brasilia"]),
        ("Polish złoty", ["Polish złoty", "Polish zloty"]),
        ("Persian (Farsi)", ["Persian (Farsi)", "Persian", "Farsi"]),
        ("Washington D.C.", ["Washington D.C.", "Washington, D.C.", "Washington"]),
        ("Saint Helier", ["Saint Helier", "St. Helier", "St Helier"]),
        ("City of San Marino", ["City of San Marino", "San Marino"]),
        ("United States dollar", ["United States dollar", "US dollar"]),
        ("pa\u02bbanga", ["pa\u02bbanga", "pa'anga", "paanga"]),
    ],
)
def test_spellings_start_with_the_name_itself(name: str, spelled: list[str]) -> None:
    assert spellings(name) == spelled


def test_saints_have_all_their_forms() -> None:
    assert {"St. George's", "Saint George's", "St George's", "St Georges"} <= set(spellings("St. George's"))


def test_the_split_by_country_is_fixed() -> None:
    assert [code for code in ("CH", "DE", "FR", "JP", "BR", "US", "LT", "SV") if is_query_country(code)] == [
        "CH", "JP", "US", "LT", "SV",
    ]  # fmt: skip


@pytest.mark.slow
def test_the_package_itself() -> None:
    if not (cache_folder() / "world-countries-5.1.0.tgz").is_file():
        pytest.fail("needs the package: hificl data fetch capitals")
    found = read_countries("capitals")
    queries = [country for country in found if is_query_country(country.code)]
    counted: dict[str, Any] = {"all": len(found), "queries": len(queries), "members": sum(c.un_member for c in found)}
    assert counted == {"all": 250, "queries": 147, "members": 194}
    assert not [country.code for country in found if not country.name or not country.continent]
