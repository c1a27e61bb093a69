"""The questions about flags: one split by country, facts of one meaning only, answers in all usual spellings."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path

import pytest

from hificl.data import Example, load_image
from hificl.data.packages import cache_folder
from hificl.errors import InputError
from hificl.metrics import exact_match
from hificl.tasks import TASKS, TaskData, flags
from hificl.tasks.countries import is_query_country
from pretrain import wording

from .made_countries import made_world, put_world
from .made_packages import counting, picture, put_packages

PLACE = f"usr/share/{flags.DRAWINGS}/"
SPLIT_SHA256 = "594c56437942f3cfb8f6bff5c562bb3457f1fb00145d61fcb682fef8cdab3a45"
SIZES = {"support_size": 11, "query_size": 17}


def put_flags(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A flag for every country of the made world but Germany, and two of no country; AB is not in the UN."""
    world = [{**country, "unMember": country["cca2"] != "AB"} for country in made_world()]
    put_world(monkeypatch, folder, world)
    codes = [country["cca2"].lower() for country in world if country["cca2"] != "DE"]
    files = {f"{PLACE}{code}.png": picture(number) for number, code in enumerate(codes)}
    files |= {f"{PLACE}_wales.png": picture(0), f"{PLACE}q1.png": picture(1)}
    put_packages(monkeypatch, folder, {flags.DRAWINGS: files})
    monkeypatch.setattr(flags, "read_manifest", lambda: counting(flags.DRAWINGS, images=251))


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> TaskData:
    put_flags(monkeypatch, tmp_path)
    return flags.load(support_size=1062, query_size=381)


def by_fact(data: TaskData) -> dict[str, Example]:
    """The first example that asks for each fact, by an id without the number of the wording."""
    return {example.id[:-2]: example for example in reversed(data.support + data.queries)}


def test_no_country_is_in_both_sets(data: TaskData) -> None:
    assert all(is_query_country(example.meta["country"]) for example in data.queries)
    assert not any(is_query_country(example.meta["country"]) for example in data.support)


def test_the_kinds_take_turns(data: TaskData) -> None:
    for examples in (data.support, data.queries):
        kinds = [example.meta["type"] for example in examples]
        assert all(kind == list(flags.QUESTIONS)[place % 3] for place, kind in enumerate(kinds))
        assert len({example.id for example in examples}) == len(examples)


def test_facts_to_learn_from_are_asked_in_every_wording_and_queries_in_one(data: TaskData) -> None:
    asked: dict[str, list[str]] = {}
    for example in data.support + data.queries:
        _, country, kind, wording = example.id.split("/")
        assert example.question == flags.QUESTIONS[kind][int(wording)]
        asked.setdefault(f"{country}/{kind}", []).append(wording)
    assert sorted(asked["BR/capital"]) == ["0", "1", "2"]
    assert len(asked["CH/capital"]) == 1
    assert {wordings[0] for fact, wordings in asked.items() if is_query_country(fact[:2])} == {"0", "1", "2"}


def test_facts_that_are_not_clear_are_not_asked(data: TaskData) -> None:
    """Two languages of Switzerland; no capital of Antarctica; no flag of Germany; AB is not in the UN."""
    found = by_fact(data)
    assert "flags/CH/capital" in found
    absent = {"flags/CH/language", "flags/AQ/capital", "flags/AQ/language", "flags/DE/capital", "flags/AB/capital"}
    assert not absent & set(found)


def test_answers_are_lower_case_and_plain_first(data: TaskData) -> None:
    found = by_fact(data)
    assert list(found["flags/BR/capital"].answers) == ["brasilia", "brasília"]
    assert list(found["flags/CH/capital"].answers) == ["bern", "berne"]
    assert list(found["flags/US/continent"].answers) == ["north america", "america", "americas", "the americas"]
    saint = found["flags/GD/capital"].answers
    assert saint[0] == "saint georges"
    assert {"st. george's", "saint george's", "st georges"} <= set(saint)
    assert exact_match(["Bloemfontein", "Oceania."], [found["flags/ZA/capital"].answers, ["oceania"]]).score == 100


def test_the_drawing_is_that_of_the_country(data: TaskData) -> None:
    world = [country["cca2"] for country in made_world() if country["cca2"] != "DE"]
    for name in ("flags/BR/capital", "flags/AC/language"):
        example = by_fact(data)[name]
        red = load_image(example.images[0], place=name).getpixel((3, 2))[0]  # type: ignore[index]
        assert red == world.index(example.meta["country"])


def test_a_smaller_set_begins_a_larger_one_and_a_seed_changes_both(
    data: TaskData, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    small = flags.load(**SIZES)
    assert (small.support, small.queries) == (data.support[:11], data.queries[:17])
    other = flags.load(**SIZES, seed=1)
    assert (other.support != small.support, other.queries != small.queries) == (True, True)


@pytest.mark.parametrize(
    "sizes", [{"support_size": 0}, {"query_size": True}, {"query_size": 4000}, {"support_size": "5"}]
)
def test_wrong_sizes(sizes: dict[str, object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put_flags(monkeypatch, tmp_path)
    with pytest.raises(InputError, match=rf"^flags: {next(iter(sizes))} is .*; give an integer from 1 to \d+$"):
        flags.load(**sizes)  # type: ignore[arg-type]


def test_other_drawings_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put_flags(monkeypatch, tmp_path)
    monkeypatch.setattr(flags, "read_manifest", lambda: counting(flags.DRAWINGS, images=262))
    with pytest.raises(InputError, match="holds 251 drawings, the manifest says 262"):
        flags.load(**SIZES)


def test_what_is_not_fetched_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HIFICL_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"^flags: .* is missing.* Run: hificl data fetch flags$"):
        TASKS["flags"].load()


def test_pretraining_asks_in_other_words() -> None:
    lists = [value for value in vars(wording).values() if isinstance(value, list)]
    taught = {text for texts in lists for text in texts}
    assert "what is it?" in taught
    assert not taught & {question for questions in flags.QUESTIONS.values() for question in questions}
    assert all(
        re.fullmatch(r"[a-z ]+[?.]", question) for questions in flags.QUESTIONS.values() for question in questions
    )


@pytest.mark.slow
def test_the_packages_themselves() -> None:
    if not (cache_folder() / "iso-flags-png-320x240_1.0.2-2_all.deb").is_file():
        pytest.fail("needs the packages: hificl data fetch flags")
    data = TASKS["flags"].load()
    assert (len(data.support), len(data.queries)) == (300, 210)
    assert Counter(example.meta["type"] for example in data.queries) == dict.fromkeys(flags.QUESTIONS, 70)
    names = "\n".join(example.id for example in data.support + data.queries)
    assert hashlib.sha256(names.encode()).hexdigest() == SPLIT_SHA256
    assert load_image(data.queries[3].images[0], place="flags").size == (320, 240)
