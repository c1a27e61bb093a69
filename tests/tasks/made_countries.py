"""A small world in the form of the npm package ``world-countries``, for tests of the tasks that read it."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import pytest

from hificl.data.packages import Package, read_manifest
from hificl.tasks import countries
from packing import write_archive

Entry = dict[str, Any]

KNOWN: list[Entry] = [
    {"cca2": "CH", "name": "Switzerland", "capital": ["Bern"], "languages": ["French", "Swiss German"],
     "currencies": {"CHF": "Swiss franc"}, "region": "Europe", "landlocked": True},
    {"cca2": "DE", "name": "Germany", "capital": ["Berlin"], "languages": ["German"], "currencies": {"EUR": "Euro"},
     "region": "Europe"},
    {"cca2": "ZA", "name": "South Africa", "capital": ["Pretoria", "Bloemfontein", "Cape Town"],
     "languages": ["Afrikaans", "English"], "currencies": {"ZAR": "South African rand"}, "region": "Africa"},
    {"cca2": "BR", "name": "Brazil", "capital": ["Brasília"], "languages": ["Portuguese"],
     "currencies": {"BRL": "Brazilian real"}, "region": "Americas", "subregion": "South America"},
    {"cca2": "GD", "name": "Grenada", "capital": ["St. George's"], "languages": ["English"],
     "currencies": {"XCD": "Eastern Caribbean dollar"}, "region": "Americas", "subregion": "Caribbean"},
    {"cca2": "US", "name": "United States", "capital": ["Washington D.C."], "languages": ["English"],
     "currencies": {"USD": "United States dollar"}, "region": "Americas", "subregion": "North America"},
    {"cca2": "AQ", "name": "Antarctica", "capital": [], "languages": [], "currencies": {}, "region": "Antarctic"},
]  # fmt: skip


def made_world(size: int = 250) -> list[Entry]:
    """Return entries as the package has them: the known ones, then places with a town, tongue and coin of their own."""
    codes = ["".join(pair) for pair in product(ascii_uppercase, repeat=2)]
    taken = {country["cca2"] for country in KNOWN}
    rest = [
        {"cca2": code, "name": f"Land {code}", "capital": [f"Town {code}"], "languages": [f"Tongue{code.lower()}"],
         "currencies": {f"{code}X": f"Landish coin{code.lower()}"}, "region": "Oceania"}
        for code in codes
        if code not in taken
    ]  # fmt: skip
    return [_as_stored(country) for country in [*KNOWN, *rest][:size]]


def put_world(monkeypatch: pytest.MonkeyPatch, folder: Path, entries: list[Entry]) -> Path:
    """Make the tasks read these entries instead of the fetched package; return the archive."""
    content = json.dumps(entries, ensure_ascii=False).encode()
    archive = write_archive(folder / "world-countries-5.1.0.tgz", {countries.MEMBER: content})
    package = read_manifest()[countries.PACKAGE]
    changed = Package(**{**vars(package), "counts": {"countries": len(made_world())}})
    monkeypatch.setattr(countries, "read_manifest", lambda: {countries.PACKAGE: changed})
    monkeypatch.setattr(countries, "fetch_package", lambda name, cache=None, *, download: archive)
    return archive


def _as_stored(country: Entry) -> Entry:
    return {
        "landlocked": False,
        "subregion": "",
        "unMember": True,
        **country,
        "name": {"common": country["name"], "official": f"Realm of {country['name']}"},
        "languages": {f"l{index}": name for index, name in enumerate(country["languages"])},
        "currencies": {code: {"name": name, "symbol": "¤"} for code, name in country["currencies"].items()},
    }
