"""Mentions of COCO's objects in captions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hificl.metrics.coco_words import categories, coco_objects


def test_every_category_mentions_itself() -> None:
    assert len(categories()) == 80
    for name in categories():
        assert coco_objects(name) == [name]
        assert coco_objects(f"A {name.upper()}.") == [name]


@pytest.mark.parametrize(
    ("text", "objects"),
    [
        ("", []),
        ("Green hills under a blue sky", []),
        ("Two men, women and children", ["person"] * 3),
        ("a policewoman's dogs", ["person", "dog"]),
        ("mice, knives, sheep, geese, wolves", ["mouse", "knife", "sheep", "bird"]),
        ("buses, benches, puppies", ["bus", "bench", "dog"]),
        ("a hot dog, hot-dogs and a dog", ["hot dog", "hot dog", "dog"]),
        ("a pair of scissors and a pair of skis", ["scissors", "skis"]),
        ("a teddy bear and a bear", ["teddy bear", "bear"]),
        ("a baby elephant with an adult elephant and a baby", ["elephant", "elephant", "person"]),
        ("passenger trains with a passenger", ["train", "person"]),
        ("train tracks beside a train", ["train"]),
        ("at home plate", []),
        ("a man in a bow tie", ["person", "tie"]),
        ("the toilet seat is up", ["toilet"]),
        ("the seat of a toilet", ["toilet"]),
        ("a seat on a train", ["chair", "train"]),
        ("a stop light and stop signs", ["traffic light", "stop sign"]),
        ("a tennis ball hit with a tennis racquet by a tennis player", ["sports ball", "tennis racket", "person"]),
        ("a dog-shaped catalog of carpets and busy humans", ["person"]),
        ("an orange cat", ["orange", "cat"]),
    ],
)  # fmt: skip
def test_mentions(text: str, objects: list[str]) -> None:
    assert coco_objects(text) == objects


@given(st.text(max_size=60))
def test_any_text_has_mentions_of_known_objects(text: str) -> None:
    assert set(coco_objects(text)) <= categories()
