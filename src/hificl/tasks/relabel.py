"""Binding in context: made-up words label images, and only the query's own demonstrations tell which word is which."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping, Sequence

from hificl.data import EPISODE, Example
from hificl.errors import InputError
from hificl.tasks.relabel_images import FAMILIES, Images, Pictures
from hificl.tasks.relabel_words import WORDS, is_unseen_label
from hificl.tasks.task import Task, TaskData

QUESTION = "?"
"""The question of every example. It says nothing, so that nothing but the demonstrations can."""

FAMILY, WAYS, SHOTS, QUERY_SIZE = "colour", 2, 16, 200
WAYS_RANGE = range(2, 9)


def load(
    *, family: str = FAMILY, ways: int = WAYS, shots: int = SHOTS, query_size: int = QUERY_SIZE, seed: int = 0
) -> TaskData:
    """Build episodes: per query a few classes, a new made-up word for each, and demonstrations of them.

    A word means something else in every episode, and no class bears a word here that pretraining gave it. So an
    answer can be right only by finding the demonstration of the query's class; whoever copies some label that is
    shown is right in one of ``ways``. This probes in-context learning alone: adapting to it makes no sense, as the
    support set contradicts itself.

    The demonstrations of a query are marked as its episode: :func:`hificl.data.choose_demonstrations` draws them for
    it and for no other, evenly spread over the classes and in a seeded order. With at least ``ways`` of them the
    class of the query is among them. The query's image never is.

    Args:
        family: "colour" (8 classes), "shape" (3) or "colour-shape" (24) of easy-VQA images, queries from its test
            split, or "garment" (10) of Fashion-MNIST test images, which pretraining shows under their own names only.
        ways: Classes per episode, 2 to 8, at most those of the family.
        shots: Most demonstrations that a query will be shown, at least ``ways``. An episode holds as many of every
            class, so up to ``ways - 1`` more.
        query_size: Number of queries; the classes take turns.
        seed: Seed of images, classes and words; 0 is the fixed set. A smaller ``query_size`` is a beginning of a
            larger one.

    Returns:
        Queries with ids such as ``relabel/colour/2-way/test-417``; the ids of their demonstrations begin with that.
        ``meta`` holds ``class`` (its own name), ``family`` and the episode.

    Raises:
        InputError: An option is out of range, or the easy-VQA package is missing or has other data.
    """
    pictures = _checked_pictures(family, ways, shots)
    data = TaskData([], [])
    for concept, name in _queries(pictures.asked, query_size, seed):
        episode, place = f"relabel/{family}/{ways}-way/{name}", f"{seed}/{family}/{name}"
        others = [other for other in pictures.shown if other != concept]
        chosen = [concept, *_drawn(others, ways - 1, place)]
        labels = _labels(_drawn(chosen, ways, f"{place}/labels"), place)
        for one in chosen:
            candidates = [other for other in pictures.shown[one] if other != name]
            for shown in _drawn(candidates, math.ceil(shots / ways), f"{place}/{one}"):
                image, meta = pictures.shown[one][shown], {"class": one, "family": family, EPISODE: episode}
                data.support.append(Example(f"{episode}/{shown}", [image], QUESTION, [labels[one]], meta))
        image, meta = pictures.asked[concept][name], {"class": concept, "family": family, EPISODE: episode}
        data.queries.append(Example(episode, [image], QUESTION, [labels[concept]], meta))
    return data


def _checked_pictures(family: str, ways: int, shots: int) -> Pictures:
    if family not in FAMILIES:
        raise InputError(f"relabel: no family {family!r}; choose one of {', '.join(FAMILIES)}")
    pictures = FAMILIES[family]()
    most_ways = min(WAYS_RANGE[-1], len(pictures.shown))
    _check_integer("ways", ways, WAYS_RANGE[0], most_ways)
    fewest = min(len(images) for images in pictures.shown.values())
    _check_integer("shots", shots, ways, ways * (fewest - 1))
    return pictures


def _check_integer(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(f"relabel: {name} is {value!r}; give an integer from {low} to {high}")


def _queries(asked: Mapping[str, Images], size: int, seed: int) -> list[tuple[str, str]]:
    """Class and image of every query: the classes take turns as long as each has an image left."""
    orders = [
        [(concept, name) for name in _drawn(list(images), len(images), f"{seed}/{concept}")]
        for concept, images in asked.items()
    ]
    turns = [pair for turn in zip(*orders, strict=False) for pair in turn]
    _check_integer("query_size", size, 1, len(turns))
    return turns[:size]


def _labels(concepts: Sequence[str], place: str) -> dict[str, str]:
    """A different word for every class, none that pretraining gave it."""
    labels: dict[str, str] = {}
    for concept in concepts:
        words = [word for word in WORDS if word not in labels.values() and is_unseen_label(concept, word)]
        labels[concept] = _drawn(words, 1, f"{place}/{concept}/label")[0]
    return labels


def _drawn(names: Sequence[str], count: int, place: str) -> list[str]:
    """Draw different names in an order that the place seeds, the same in every process."""
    digest = hashlib.sha256(place.encode()).digest()
    # Of all the methods of random.Random only random() is promised to stay the same in later Python versions.
    draw = random.Random(int.from_bytes(digest, "big")).random
    left = list(names)
    return [left.pop(int(draw() * len(left))) for _ in range(count)]


RELABEL = Task(
    name="relabel",
    description="Made-up words as labels of images, a new meaning in every query: in-context binding, 2- to 8-way",
    license="MIT (easy-VQA; Fashion-MNIST for the family of garments)",
    source="PyPI package easy-vqa (release 1.0), "
    "Debian package dataset-fashion-mnist (240 test images inside this package)",
    metric="exact_match",
    load=load,
    support_size=QUERY_SIZE * SHOTS,
    query_size=QUERY_SIZE,
    kind="label",
)
