"""Captions of emoji: which concepts are queries, which names become references, and what is left out."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hificl.data import load_image
from hificl.data.packages import cache_folder
from hificl.errors import InputError
from hificl.evaluation import DETAILS
from hificl.metrics import cider_d
from hificl.tasks import TASKS, TaskData, captions, majority_answers
from hificl.tasks.captions import is_query_concept, references
from hificl.tasks.fetch import read_files, read_json

from .made_packages import as_json, picture, put_packages

SPLIT_SHA256 = "c93763501f02b262cfe0a377f9c043ac9112d05cc9e3b66a90e5b910618b7390"
CODES = [f"{0x1F400 + number:X}" for number in range(61)]


def drawing(code: str, **changed: Any) -> dict[str, Any]:
    name = f"ODD THING {code}"
    entry = {"unified": code, "image": f"{code.lower()}.png", "name": name, "short_names": [f"thing-{code.lower()}"]}
    return {"category": "Objects", **entry, **changed}


def put_emoji(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """61 things; a flag, a skin tone, one without its drawing, one without names, one with two captions only."""
    drawings = [drawing(code) for code in CODES]
    drawings += [drawing("1F1E6-1F1E8", category="Flags"), drawing("1F3FB", category="Component")]
    drawings += [drawing("1F500", image="lost.png"), drawing("1F501"), drawing("1F502", name="Alone", short_names=[])]
    drawings += [drawing("2764-FE0F", name="Heavy Heart", short_names=["heart2"])]
    labels: list[dict[str, Any]] = [
        {"hexcode": one["unified"], "label": f"thing of {one['unified']}", "tags": ["tool", f"slang {one['unified']}"]}
        for one in drawings
        if one["unified"] not in ("1F501", "1F502", "2764-FE0F")
    ]
    labels += [{"hexcode": "1F502", "label": "alone", "tags": ["alone"]}]
    labels += [{"hexcode": "2764", "label": "Red heart", "tags": ["143", "affection", "love", "red", "tool"]}]
    codes = {"2764-1F3FB": "pale_heart", "2764": ["red_heart", "amour"], CODES[3]: "spare_thing"}
    files = {"package/emoji.json": as_json(drawings)}
    pictures = [one["image"] for one in drawings if one["image"] != "lost.png"]
    files |= {f"package/img/google/64/{name}": picture(place) for place, name in enumerate(pictures)}
    names = {"package/en/data.json": as_json(labels), "package/en/data.json.d.ts": b"no json"}
    names |= {f"package/en/shortcodes/{vendor}.json": as_json(codes) for vendor in captions.SHORTCODES}
    put_packages(monkeypatch, folder, {captions.DRAWINGS: files, captions.NAMES: names})


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> TaskData:
    put_emoji(monkeypatch, tmp_path)
    return captions.load(support_size=49, query_size=13)


def test_one_concept_in_five_is_a_query() -> None:
    chosen = sum(is_query_concept(f"{code:X}") for code in range(0x1F300, 0x1F700))
    assert chosen == 203
    assert [is_query_concept(code) for code in ("1F397", "1F49E", "1F34E", "2764")] == [False, False, True, True]


def test_all_drawings_of_a_concept_are_on_the_same_side() -> None:
    for code in CODES:
        for drawn in (code.lower(), f"{code}-FE0F", f"{code}-1F3FD"):
            assert is_query_concept(drawn) == is_query_concept(code)
    assert len({is_query_concept(tone) for tone in ("1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF")}) == 2


def test_no_concept_is_in_both_sets_and_what_is_no_picture_of_a_thing_in_none(data: TaskData) -> None:
    support, queries = ({one.id.removeprefix("captions/") for one in part} for part in (data.support, data.queries))
    assert all(map(is_query_concept, queries))
    assert not any(map(is_query_concept, support))
    assert support | queries == {*CODES, "2764"}
    assert {one.question for one in data.support + data.queries} == {"caption?"}


def test_what_is_drawn_like_something_that_is_no_query_is_left_out(
    data: TaskData, monkeypatch: pytest.MonkeyPatch
) -> None:
    query, other = data.queries[0].id.removeprefix("captions/"), data.support[0]
    image = f"{query.lower()}.png"

    def alike(task: str, package: str, prefix: str) -> dict[str, bytes]:
        return read_files(task, package, prefix) | {image: bytes(other.images[0])}  # type: ignore[arg-type]

    monkeypatch.setattr("hificl.tasks.captions.read_files", alike)
    changed = captions.load(support_size=49, query_size=12)
    assert (changed.support, changed.queries) == (data.support, data.queries[1:])


def test_names_and_keywords_become_references(data: TaskData) -> None:
    found = {one.id: list(one.answers) for one in data.support + data.queries}
    # A keyword that many emoji have comes before a rarer one; "143" and "heart2" say nothing.
    assert found["captions/2764"] == [
        "red heart", "heavy heart", "amour", "red heart tool affection love", "tool affection love",
    ]  # fmt: skip
    code = CODES[3].lower()
    assert found[f"captions/{CODES[3]}"] == [
        f"thing of {code}", f"odd thing {code}", f"thing {code}", f"thing of {code} tool slang {code}",
        f"tool slang {code}",
    ]  # fmt: skip


def test_every_name_is_that_of_an_object(data: TaskData) -> None:
    """Of support and queries alike, so that a caption that names what is only in the other set is not overlooked."""
    names = captions.object_names()
    assert {example.answers[0] for example in data.support + data.queries} <= set(names)
    assert names["red heart"] == names["heavy heart"] == names["amour"] == "red heart"
    code = CODES[3].lower()
    assert names[f"odd thing {code}"] == f"thing of {code}"
    assert f"tool slang {code}" not in names


def test_captions_are_scored_for_objects_that_are_not_there(data: TaskData) -> None:
    told = [example.answers[0] for example in data.queries]
    score = cider_d(told, [list(example.answers) for example in data.queries])
    right = DETAILS["captions"](data.queries, told, score)
    assert (right["chair_i"], right["chair_s"], right["times_100"]) == (0.0, 0.0, 100 * score.score)
    assert right["recall"] > 0
    wrong = DETAILS["captions"](data.queries, [told[1], *told[1:]], score)
    assert wrong["chair_s"] == 1 / len(told)
    assert wrong["chair_ci95"]["chair_s"][1] > 0


@pytest.mark.parametrize(
    "label, others, keywords, found",
    [
        ("gorilla", ["GORILLA"], ["animal"], ["gorilla", "gorilla animal", "animal"]),
        ("Woman’s hat", ["womans_hat"], ["hat", "woman’s"], ["womans hat"]),
        ("9 o'clock", ["clock9"], ["time"], ["9 oclock", "clock9", "9 oclock time", "time"]),
        ("piñata", ["a", "b", "c"], ["w", "x", "y", "z"], ["pinata", "a", "b", "pinata w x y", "w x y"]),
        ("sos", ["🆘", ""], ["red hair"], ["sos", "sos red hair", "red hair"]),
    ],
)
def test_references_are_plain_words_and_none_comes_twice(
    label: str, others: list[str], keywords: list[str], found: list[str]
) -> None:
    assert references(label, others, keywords) == found


def test_the_drawing_is_that_of_the_emoji(data: TaskData) -> None:
    for example in (data.support[5], data.queries[2]):
        code = example.id.removeprefix("captions/")
        red = load_image(example.images[0], place=code).getpixel((6, 4))[0]  # type: ignore[index]
        assert red == (CODES.index(code) if code in CODES else 65)


def test_a_smaller_set_begins_a_larger_one_and_a_seed_changes_both(data: TaskData) -> None:
    small = captions.load(support_size=7, query_size=5)
    assert (small.support, small.queries) == (data.support[:7], data.queries[:5])
    other = captions.load(support_size=7, query_size=5, seed=1)
    assert (other.support != small.support, other.queries != small.queries) == (True, True)


@pytest.mark.parametrize("sizes", [{"support_size": 50}, {"query_size": 14}, {"query_size": 0}, {"query_size": True}])
def test_wrong_sizes(sizes: dict[str, int], data: TaskData) -> None:
    most = {"support_size": 49, "query_size": 13}
    name = next(iter(sizes))
    with pytest.raises(InputError, match=rf"^captions: {name} is .*; give an integer from 1 to {most[name]}$"):
        captions.load(**{**most, **sizes})


def test_what_is_not_fetched_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HIFICL_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"^captions: .* is missing.* Run: hificl data fetch captions$"):
        TASKS["captions"].load()


@pytest.mark.parametrize("entry", [["no object"], {"unified": 7}, {"unified": "1F400"}, 3])
def test_other_fields_are_one_clear_error(entry: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put_emoji(monkeypatch, tmp_path)
    broken = {captions.DRAWINGS: [entry]}
    monkeypatch.setattr(captions, "read_json", lambda task, name, path: broken.get(name) or read_json(task, name, path))
    with pytest.raises(InputError, match=r"^captions: .* has other fields than its pinned release \("):
        captions.load(support_size=7, query_size=5)


@pytest.mark.slow
def test_the_packages_themselves() -> None:
    if not (cache_folder() / "emoji-datasource-google-16.0.0.tgz").is_file():
        pytest.fail("needs the packages: hificl data fetch captions")
    data = TASKS["captions"].load()
    assert (len(data.support), len(data.queries)) == (300, 200)
    assert {len(example.answers) for example in data.queries} == {3, 4, 5}
    assert max(Counter(example.answers[0] for example in data.support + data.queries).values()) == 1
    names = "\n".join(example.id for example in data.support + data.queries)
    assert hashlib.sha256(names.encode()).hexdigest() == SPLIT_SHA256
    assert load_image(data.queries[3].images[0], place="captions").size == (64, 64)
    answers = [list(example.answers) for example in data.queries]
    assert round(cider_d([texts[0] for texts in answers], answers).score, 2) == 2.57
    assert cider_d(majority_answers(data.support, data.queries), answers).score < 0.1
