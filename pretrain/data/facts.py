"""Facts in plain words for text rounds: countries, and emoji names in several languages."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from hificl.data.packages import fetch_package, read_manifest, read_members
from hificl.errors import InputError
from hificl.tasks.countries import PACKAGE, is_query_country, read_countries, spellings
from pretrain.data.emoji import SKIPPED_CATEGORIES, emoji_name, read_drawings

LOCALES = ("da", "de", "es", "fr", "it", "nl", "pt", "sv")
MOST_WORDS = 3  # of a name in a row of emoji names
COMMON = {"Austro-Bavarian German": "German"}  # what people say, for what the source says


@dataclass(frozen=True)
class Fact:
    """One row: the `relation` (capital, continent, language, currency or a locale) of `subject` is `object`."""

    relation: str
    subject: str
    object: str


@dataclass(frozen=True)
class CountryFacts:
    """One country in plain lower-case words; None where it has no such fact, or none that is plain.

    language, currency: only of countries that have exactly one.
    is_query: whether the tasks on countries ask about it, instead of showing it as an example.
    """

    code: str
    name: str
    capital: str | None
    continent: str | None
    language: str | None
    currency: str | None
    is_query: bool


def plain_words(name: str) -> str | None:
    """Return a name as lower-case letters and spaces, or None where no accepted spelling is that plain."""
    for spelling in spellings(COMMON.get(name, name)):
        words = spelling.lower().replace("-", " ")
        if re.fullmatch(r"[a-z]+( [a-z]+)*", words):
            return words
    return None


def _sole(names: tuple[str, ...]) -> str | None:
    return plain_words(names[0]) if len(names) == 1 else None


def read_country_facts(cache: Path) -> list[CountryFacts]:
    """Return the countries with a plain name, fetched into `cache` if need be.

    Raises InputError when the package is missing or differs from the manifest.
    """
    fetch_package(PACKAGE, cache)
    return [
        CountryFacts(
            code=country.code,
            name=name,
            capital=_sole(country.capitals[:1]),
            continent=plain_words(country.continent),
            language=_sole(country.languages),
            currency=_sole(tuple(country.currencies.values())),
            is_query=is_query_country(country.code),
        )
        for country in read_countries("pretraining", cache)
        if (name := plain_words(country.name)) is not None
    ]


def country_rows(cache: Path) -> list[Fact]:
    """Return capital, continent, language and currency of every country that has the fact in plain words."""
    return [
        Fact(relation, country.name, value)
        for country in read_country_facts(cache)
        for relation in ("capital", "continent", "language", "currency")
        if (value := getattr(country, relation)) is not None
    ]


def _code(unified: str) -> str:
    """Return a code without the variation selector, which only one of the packages writes."""
    return "-".join(part for part in unified.upper().split("-") if part != "FE0F")


def _ascii(label: str) -> str | None:
    letters = unicodedata.normalize("NFKD", label.casefold().replace("-", " ").replace("ø", "o").replace("æ", "ae"))
    words = "".join(letter for letter in letters if not unicodedata.combining(letter))
    short = len(words.split()) <= MOST_WORDS
    return words if short and re.fullmatch(r"[a-z]+( [a-z]+)*", words) else None


def emoji_rows(cache: Path) -> list[Fact]:
    """Return the names of emoji in other languages; relation: a locale, subject: the name as `emoji_name` has it.

    Names of more than three words, and those with other characters than letters, are left out.
    Raises InputError when a package is missing or differs from the manifest.
    """
    package = "emojibase-data"
    wanted = read_manifest()[package].counts["entries"]
    files = read_members(fetch_package(package, cache), "package/")
    labels = {}
    for locale in LOCALES:
        entries = json.loads(files[f"{locale}/compact.json"])
        if len(entries) != wanted:
            raise InputError(f"{package}: {locale} holds {len(entries)} entries, the manifest says {wanted}")
        labels[locale] = {_code(entry["hexcode"]): _ascii(entry["label"]) for entry in entries}
    rows = []
    for entry, _ in read_drawings("twitter", cache):
        name = emoji_name(entry)
        if entry["category"] in SKIPPED_CATEGORIES or _ascii(name) != name:
            continue
        for locale in LOCALES:
            label = labels[locale].get(_code(entry["unified"]))
            if label is not None:
                rows.append(Fact(locale, name, label))
    return rows
