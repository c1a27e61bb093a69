"""Questions in plain text about countries: capital, currency, language. They need a language model, and no image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from hificl.data import Example
from hificl.tasks.countries import Country, is_query_country, read_countries, spellings
from hificl.tasks.split import split
from hificl.tasks.task import Task, TaskData, text_task

SUPPORT_SIZE, QUERY_SIZE = 100, 145
"""The fixed split; with seed 0 it holds every query country that has the fact, or all but one of them."""

Answers = Callable[[Country, Sequence[Country]], list[str]]
"""The accepted answers for a country among all countries, the training target first; empty where there is no fact."""


def load(
    task: str, question: str, answers: Answers, *, support_size: int = SUPPORT_SIZE, query_size: int = QUERY_SIZE,
    seed: int = 0,
) -> TaskData:  # fmt: skip
    """Select the fixed support and query sets, split by country as :func:`is_query_country` says.

    The order is a seeded hash of the codes: the same in every process, and a smaller set is the beginning of a larger
    one. The split by country is the same under every seed.

    Args:
        task: Name of the task; it opens the ids.
        question: The question, with ``{country}``.
        answers: The accepted answers.
        support_size: Number of questions to learn from.
        query_size: Number of questions to score.
        seed: Seed of both orders; 0 is the fixed split.

    Returns:
        Examples without images, with ids such as ``capitals/CH`` and in ``meta`` the keys ``country`` (its code) and
        ``continent``.

    Raises:
        InputError: The facts have not been fetched, or a size is out of range.
    """
    countries = read_countries(task)
    examples = [
        Example(
            id=f"{task}/{country.code}",
            images=[],
            question=question.replace("{country}", country.name),
            answers=accepted,
            meta={"country": country.code, "continent": country.continent},
        )
        for country in countries
        if (accepted := answers(country, countries))
    ]
    return split(
        task, examples, lambda example: is_query_country(example.meta["country"]), support_size=support_size,
        query_size=query_size, seed=seed,
    )  # fmt: skip


def _capital(country: Country, countries: Sequence[Country]) -> list[str]:
    return _spelled(country.capitals)


def _language(country: Country, countries: Sequence[Country]) -> list[str]:
    """Names, and of a variety also the language where it is one of the world: "German" for "Swiss German"."""
    known = {language for other in countries for language in other.languages}
    wider = [word for name in country.languages for word in name.split() if word in known]
    return _spelled([*country.languages, *wider])


def _currency(country: Country, countries: Sequence[Country]) -> list[str]:
    """Names and codes, and the unit alone ("yen") where only one currency of the world is called so."""
    units = Counter(_unit(name) for name in {name for other in countries for name in other.currencies.values()})
    names = list(country.currencies.values())
    alone = [_unit(name) for name in names if units[_unit(name)] == 1]
    return _spelled([*names, *alone, *country.currencies])


def _unit(currency: str) -> str:
    return currency.split()[-1]


def _spelled(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(spelling for name in names for spelling in spellings(name)))


def _task(name: str, description: str, question: str, answers: Answers) -> Task:
    return text_task(
        name, description, partial(load, name, question, answers), license="ODbL 1.0",
        source="npm package world-countries (release 5.1.0, mledoze/countries)", support_size=SUPPORT_SIZE,
        query_size=QUERY_SIZE,
    )  # fmt: skip


CAPITALS = _task(
    "capitals", "the capital of a country, split by country", "What is the capital of {country}?", _capital
)
CURRENCIES = _task(
    "currencies",
    "the currency of a country, split by country",
    "What is the currency of {country}?",
    _currency,
)
LANGUAGES = _task(
    "languages",
    "an official language of a country, split by country",
    "What is an official language of {country}?",
    _language,
)
