"""Relabelling: every query has demonstrations of its own, made-up words mean nothing outside them, nothing leaks."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from PIL import Image

from hificl.backbones import load_backbone
from hificl.data import EPISODE, Example, choose_demonstrations
from hificl.errors import InputError
from hificl.metrics import exact_match
from hificl.tasks import TASKS, TaskData, blind_answers, easy_vqa, majority_answers, relabel, relabel_images
from hificl.tasks.relabel_words import WORDS, is_unseen_label
from pretrain import wording

SPLIT_SHA256 = "d223ccaf96aeda2cc020a0247aac0318a4749b29c1405378f0fc91544e5131d5"
SETTINGS = [("colour", 2), ("colour", 8), ("shape", 3), ("colour-shape", 5), ("garment", 4)]


@pytest.fixture(scope="module", params=SETTINGS, ids=lambda setting: f"{setting[0]}-{setting[1]}")
def setting(request: pytest.FixtureRequest) -> tuple[int, TaskData]:
    family, ways = request.param
    return ways, relabel.load(family=family, ways=ways, shots=11, query_size=37)


def episodes(data: TaskData) -> dict[str, list[Example]]:
    found = defaultdict(list)
    for example in data.support:
        found[example.meta[EPISODE]].append(example)
    return found


def test_the_split_is_fixed() -> None:
    data = TASKS["relabel"].load()
    assert (len(data.support), len(data.queries)) == (3_200, 200)
    rows = "\n".join(f"{one.id} {one.answers[0]}" for one in data.support + data.queries)
    assert hashlib.sha256(rows.encode()).hexdigest() == SPLIT_SHA256


def test_every_query_has_as_many_demonstrations_of_every_class(setting: tuple[int, TaskData]) -> None:
    ways, data = setting
    of_class = -(-11 // ways)
    shown = episodes(data)
    assert list(shown) == [query.id for query in data.queries]
    for query in data.queries:
        classes = Counter(one.meta["class"] for one in shown[query.id])
        assert len(classes) == ways
        assert set(classes.values()) == {of_class}
        assert query.meta["class"] in classes


def test_in_an_episode_class_and_word_go_together(setting: tuple[int, TaskData]) -> None:
    _, data = setting
    shown = episodes(data)
    for query in data.queries:
        pairs = {(one.meta["class"], one.answers[0]) for one in [query, *shown[query.id]]}
        assert len(pairs) == len({word for _, word in pairs}) == len({name for name, _ in pairs})
        assert all(word in WORDS and is_unseen_label(name, word) for name, word in pairs)
    assert len({query.answers[0] for query in data.queries}) > 25  # a class gets another word in another episode


def test_the_image_of_a_query_is_never_shown_to_it_and_none_twice(setting: tuple[int, TaskData]) -> None:
    _, data = setting
    shown = episodes(data)
    assert len({one.id for one in data.support + data.queries}) == len(data.support) + len(data.queries)
    for query in data.queries:
        images = [one.images[0] for one in [query, *shown[query.id]]]
        assert all(images[place] not in images[:place] for place in range(len(images)))


def test_queries_take_turns_and_come_from_the_test_split(setting: tuple[int, TaskData]) -> None:
    _, data = setting
    counts = Counter(query.meta["class"] for query in data.queries)
    assert max(counts.values()) - min(counts.values()) <= 1
    if data.queries[0].meta["family"] != "garment":
        assert all(Path(str(query.images[0])).parts[-3] == "test" for query in data.queries)
        assert all(Path(str(one.images[0])).parts[-3] == "train" for one in data.support)


def test_demonstrations_of_a_query_hold_its_class(setting: tuple[int, TaskData]) -> None:
    ways, data = setting
    first = set()
    for query in data.queries:
        chosen = choose_demonstrations(data.support, query, ways, 3)
        assert {one.meta[EPISODE] for one in chosen} == {query.id}
        assert query.answers[0] in {one.answers[0] for one in chosen}
        first.add(chosen[0].answers[0] == query.answers[0])
    assert first == {True, False}


def test_without_looking_a_query_is_a_guess_among_its_words() -> None:
    for ways in (2, 5):
        data = relabel.load(ways=ways, query_size=400)
        for floor in (majority_answers, blind_answers):
            score = exact_match(floor(data.support, data.queries), [query.answers for query in data.queries]).score
            assert abs(score - 100 / ways) < 7.5  # three standard deviations


def test_fewer_queries_are_the_first_ones_and_a_seed_changes_all() -> None:
    data = relabel.load(query_size=37, shots=5)
    small = relabel.load(query_size=11, shots=5)
    assert small.queries == data.queries[:11]
    assert small.support == data.support[: 11 * 6]
    other = relabel.load(query_size=11, shots=5, seed=1)
    assert len({one.id for one in other.queries} - {one.id for one in small.queries}) > 8


def test_easy_vqa_images_are_described_by_their_questions() -> None:
    for split, images, counts in (("train", 4_000, (3_710, 3_793, 3_542)), ("test", 1_000, (920, 944, 880))):
        described = relabel_images._described(split)
        assert len({example.meta["image_id"] for example, _, _ in described}) == images
        colours, shapes = ([row[place] for row in described] for place in (1, 2))
        both = sum(None not in pair for pair in zip(colours, shapes, strict=True))
        assert (images - colours.count(None), images - shapes.count(None), both) == counts
        assert {*colours, *shapes} == {None, *easy_vqa.COLOURS, *easy_vqa.SHAPES}


@pytest.mark.parametrize(
    "question, answer, told",
    [
        ("is there a red shape?", "yes", {"red"}),
        ("is there a red shape?", "no", set()),
        ("is there not a circle in the image?", "no", {"circle"}),
        ("is no teal shape present?", "yes", set()),
        ("does the image not contain a triangle?", "no", {"triangle"}),
        ("what color is the circle?", "blue", {"circle", "blue"}),
        ("what is the gray shape?", "rectangle", {"gray", "rectangle"}),
        ("what shape is present?", "circle", {"circle"}),
    ],
)
def test_what_a_question_tells(question: str, answer: str, told: set[str]) -> None:
    example = Example("x", [], question, [answer], {"open": answer not in ("yes", "no")})
    assert relabel_images._told(example) & (easy_vqa.COLOURS | easy_vqa.SHAPES) == told


@pytest.mark.parametrize(
    "options, problem",
    [
        ({"family": "flags"}, "no family 'flags'; choose one of colour, shape, colour-shape, garment"),
        ({"family": "shape", "ways": 4}, "ways is 4; give an integer from 2 to 3"),
        ({"ways": 9}, "ways is 9; give an integer from 2 to 8"),
        ({"ways": 1}, "ways is 1;"),
        ({"ways": 5, "shots": 4}, "shots is 4; give an integer from 5 to"),
        ({"family": "garment", "shots": 47}, "shots is 47; give an integer from 2 to 46"),
        ({"family": "garment", "query_size": 241}, "query_size is 241; give an integer from 1 to 240"),
        ({"query_size": True}, "query_size is True;"),
    ],
)
def test_wrong_options(options: dict[str, object], problem: str) -> None:
    with pytest.raises(InputError, match=f"^relabel: {problem}"):
        relabel.load(**options)  # type: ignore[arg-type]


def test_another_sheet_of_garments_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Image.new("L", (672, 252)).save(tmp_path / "sheet.png")
    monkeypatch.setattr(relabel_images, "SHEET", tmp_path / "sheet.png")
    with pytest.raises(InputError, match=r"has \(672, 252\) pixels, \(672, 280\) were expected"):
        relabel.load(family="garment")


def test_words_and_held_out_pairs_are_those_of_pretraining() -> None:
    assert list(WORDS) == wording.MADE_UP
    concepts = ["red", "teal circle", "sneaker"]
    held_out = [(name, word) for name in concepts for word in WORDS if wording.is_held_out_pair(name, word)]
    assert held_out == [(name, word) for name in concepts for word in WORDS if is_unseen_label(name, word)]
    assert relabel.QUESTION in wording.GENERIC


def test_the_embedded_model_reads_every_word_as_one_token() -> None:
    tokenizer = load_backbone("embedded").tokenizer
    assert all(len(ids) == 1 for ids in tokenizer([f" {word}" for word in WORDS], add_special_tokens=False).input_ids)
