"""Outside knowledge about flags, in the style of OK-VQA: capital, continent, official language; split by country."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

from hificl.data import Example
from hificl.data.packages import read_manifest
from hificl.errors import InputError
from hificl.tasks.countries import Country, is_query_country, read_countries, spellings
from hificl.tasks.fetch import read_files
from hificl.tasks.split import first, seeded
from hificl.tasks.task import Task, TaskData

DRAWINGS = "iso-flags-png-320x240"
SUPPORT_SIZE, QUERY_SIZE = 300, 210

QUESTIONS = {
    "capital": (
        "which city is the capital of the country with this flag?",
        "this flag belongs to a country with which capital?",
        "name the capital city that goes with this flag.",
    ),
    "continent": (
        "on which continent is the country with this flag?",
        "this flag belongs to a country on which continent?",
        "in which part of the world does this flag fly?",
    ),
    "language": (
        "which official language does the country with this flag have?",
        "this flag belongs to a country with which official language?",
        "what do people officially speak under this flag?",
    ),
}
"""Three wordings of each kind of question; pretraining asks in other words."""

# Names in use beside those of the facts: older or local ones, and second capitals.
OTHER_NAMES = {
    "Astana": ("Nur-Sultan",),
    "Austro-Bavarian German": ("German",),
    "Bengali": ("Bangla",),
    "Bern": ("Berne",),
    "Chinese": ("Mandarin",),
    "Chișinău": ("Kishinev",),
    "Colombo": ("Sri Jayawardenepura Kotte", "Kotte"),
    "Kyiv": ("Kiev",),
    "Lobamba": ("Mbabane",),
    "Maldivian": ("Dhivehi", "Divehi"),
    "Moldavian": ("Moldovan", "Romanian"),
    "Naypyidaw": ("Nay Pyi Taw",),
    "Slovene": ("Slovenian",),
    "South Tarawa": ("Tarawa",),
    "Sucre": ("La Paz",),
    "Ulan Bator": ("Ulaanbaatar",),
    "North America": ("America", "Americas", "the Americas"),
    "South America": ("America", "Americas", "the Americas"),
}


def load(*, support_size: int = SUPPORT_SIZE, query_size: int = QUERY_SIZE, seed: int = 0) -> TaskData:
    """Select the fixed support and query sets: drawings of the flags of states, with questions of three kinds.

    The states are the members of the United Nations as the facts have them; the language is asked of those with a
    single official one. No country is in both sets: :func:`hificl.tasks.countries.is_query_country` decides, as for
    all tasks on countries. A fact to learn from is asked in every wording, one to score in a single one. The kinds
    take turns, so that any first part is balanced. Within a kind the order is a seeded hash of the ids: the same in
    every process, and a smaller set is the beginning of a larger one.

    Args:
        support_size: Number of questions to learn from.
        query_size: Number of questions to score.
        seed: Seed of both orders; 0 is the fixed split.

    Returns:
        Examples with ids such as ``flags/CH/capital/2`` (the number of the wording), a PNG of 320 x 240 pixels,
        lower-case answers, and in ``meta`` the keys ``type`` ("capital", "continent" or "language") and ``country``.
        All capitals of a country and all usual spellings are accepted; the first answer is in plain letters where
        there is such a spelling. Continents are those of the United Nations, with the Americas in two: Central
        America and the Caribbean count as North America, and "america" is accepted for both.

    Raises:
        InputError: The packages have not been fetched or hold other data, or a size is out of range.
    """
    drawings = _drawings()
    examples = [
        Example(
            id=f"flags/{country.code}/{kind}/{wording}",
            images=[drawings[country.code]],
            question=QUESTIONS[kind][wording],
            answers=_spelled(names),
            meta={"type": kind, "country": country.code},
        )
        for country in read_countries("flags")
        if country.un_member and country.code in drawings
        for kind, names in _facts(country).items()
        for wording in _wordings(country, kind)
    ]
    ordered = seeded(examples, seed)
    support = [example for example in ordered if not is_query_country(example.meta["country"])]
    queries = [example for example in ordered if is_query_country(example.meta["country"])]
    return TaskData(
        first("flags", _in_turns(support), support_size, "support_size"),
        first("flags", _in_turns(queries), query_size, "query_size"),
    )


def _drawings() -> dict[str, bytes]:
    """PNG files by ISO code in capitals; other flags of the package, such as that of Wales, are no countries."""
    files = read_files("flags", DRAWINGS, f"usr/share/{DRAWINGS}/")
    expected = read_manifest()[DRAWINGS].counts["images"]
    if len(files) != expected:
        raise InputError(f"flags: {DRAWINGS} holds {len(files)} drawings, the manifest says {expected}; fetch it anew")
    return {name[:2].upper(): content for name, content in files.items() if re.fullmatch(r"[a-z]{2}\.png", name)}


def _wordings(country: Country, kind: str) -> Sequence[int]:
    every = range(len(QUESTIONS[kind]))
    if is_query_country(country.code):
        return [zlib.crc32(f"{country.code}/{kind}".encode()) % len(every)]
    return every


def _facts(country: Country) -> dict[str, Sequence[str]]:
    """The names that answer each kind of question, without the kinds that have no clear answer."""
    language = country.languages if len(country.languages) == 1 else ()
    facts = {"capital": country.capitals, "continent": (country.continent,), "language": language}
    return {kind: names for kind, names in facts.items() if names}


def _spelled(names: Sequence[str]) -> list[str]:
    """Lower-case spellings of every name; those of plain letters and spaces stand first among those of their name."""
    found: list[str] = []
    for name in names:
        written = [text.lower() for one in (name, *OTHER_NAMES.get(name, ())) for text in spellings(one)]
        written += [text.replace("-", " ") for text in written]
        plain = [text for text in written if re.fullmatch("[a-z ]+", text)]
        found += [*plain, *written]
    return list(dict.fromkeys(found))


def _in_turns(examples: list[Example]) -> list[Example]:
    kinds = [[example for example in examples if example.meta["type"] == kind] for kind in QUESTIONS]
    return [example for turn in zip(*kinds, strict=False) for example in turn]


FLAGS = Task(
    name="flags",
    description="Outside knowledge about flags: capital, continent, official language; split by country",
    license="drawings: public domain; facts: ODbL 1.0",
    source="Debian package iso-flags-png-320x240 (release 1.0.2-2), npm package world-countries (release 5.1.0)",
    metric="exact_match",
    load=load,
    support_size=SUPPORT_SIZE,
    query_size=QUERY_SIZE,
    origin="fetch",
)
