"""Facts about countries from the npm package ``world-countries``, and the one split by country that tasks share."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hificl.data.packages import fetch_package, read_manifest, read_member
from hificl.errors import InputError

PACKAGE = "world-countries"
MEMBER = "package/countries.json"
QUERY_SHARE = 0.58
"""Share of the countries that only queries ask about; it leaves 100 countries with a capital to learn from."""


# Tried in this order, each on all that the earlier ones gave.
_SPELLINGS = (
    (r"^City of ", ""),
    (r" D\.C\.$", ", D.C."),
    (r",? D\.C\.$", ""),
    (r"\bUnited States\b", "US"),
    (r"^St\. ", "Saint "),
    (r"^Saint ", "St. "),
    (r"^St\. ", "St "),
    ("[\u02bb\u02bc\u2019]", "'"),
    ("'", ""),
)


@dataclass(frozen=True)
class Country:
    """What is known about one country or territory."""

    code: str
    """ISO 3166-1 alpha-2, in capitals."""

    name: str
    """Common English name."""

    official_name: str
    """Official English name."""

    capitals: tuple[str, ...]
    """Usually one; none for five territories, three for South Africa and the Caribbean Netherlands."""

    continent: str
    """Africa, Antarctica, Asia, Europe, North America, Oceania or South America; Central America and the Caribbean
    count as North America."""

    languages: tuple[str, ...]
    """English names of the official languages, in the order of their codes; none for Antarctica."""

    currencies: Mapping[str, str]
    """Names of the currencies by ISO 4217 code; none for four territories."""

    landlocked: bool
    """Without a coast."""

    un_member: bool
    """A member state of the United Nations."""


def read_countries(task: str, cache: Path | None = None) -> list[Country]:
    """Read all countries from the fetched package, in the order of its file.

    Args:
        task: Name of the task that asks; it opens every error message and names the command that fetches.
        cache: The folder that keeps fetched packages; default: hificl's own.

    Raises:
        InputError: The package has not been fetched, or its file is not that of the pinned release.
    """
    try:
        archive = fetch_package(PACKAGE, cache, download=False)
        countries = [_country(entry) for entry in json.loads(read_member(archive, MEMBER))]
        expected = read_manifest()[PACKAGE].counts["countries"]
        if len(countries) != expected:
            raise InputError(f"{archive} holds {len(countries)} countries, the manifest says {expected}")
    except InputError as error:
        raise InputError(f"{task}: no facts about countries: {error}. Run: hificl data fetch {task}") from error
    return countries


def is_query_country(code: str) -> bool:
    """Whether only queries may ask about a country.

    The checksum of its code decides, the same for every task on countries, so that what one of them teaches is never
    the answer to a query of another.
    """
    digest = hashlib.sha256(f"countries/{code}".encode()).digest()
    return int.from_bytes(digest[:4], "big") < QUERY_SHARE * 2**32


def spellings(name: str) -> list[str]:
    """Return a name and its accepted other spellings, the name first, none twice.

    Added are the form without diacritics, with plain apostrophes and without them, "St." and "Saint" for each other,
    "Washington" for "Washington D.C.", "US" for "United States", what follows "City of", and the parts of
    "Persian (Farsi)".
    """
    found = [name]
    if parts := re.fullmatch(r"(.+) \((.+)\)", name):
        found += parts.groups()
    for pattern, other in _SPELLINGS:
        # None twice at any step, or the list would double with each.
        found = list(dict.fromkeys([*found, *(re.sub(pattern, other, text) for text in found)]))
    return list(dict.fromkeys([*found, *map(_plain, found)]))


def _country(entry: Mapping[str, Any]) -> Country:
    return Country(
        code=str(entry["cca2"]),
        name=str(entry["name"]["common"]),
        official_name=str(entry["name"]["official"]),
        capitals=tuple(str(capital) for capital in entry["capital"]),
        continent=_continent(entry["region"], entry["subregion"]),
        languages=tuple(str(language) for language in entry["languages"].values()),
        currencies={str(code): str(currency["name"]) for code, currency in entry["currencies"].items()},
        landlocked=bool(entry["landlocked"]),
        un_member=bool(entry["unMember"]),
    )


def _continent(region: str, subregion: str) -> str:
    if region == "Americas":
        return "South America" if subregion == "South America" else "North America"
    return "Antarctica" if region == "Antarctic" else region


def _plain(text: str) -> str:
    """Without diacritics; the Polish l and the Vietnamese d are letters of their own and have no decomposition."""
    letters = unicodedata.normalize("NFKD", text.translate(str.maketrans("łŁđĐ", "lLdD")))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
