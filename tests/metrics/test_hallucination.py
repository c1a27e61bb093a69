"""CHAIR: counted by hand, its intervals against plain resampling, bad input."""

from __future__ import annotations

import numpy as np
import pytest

from hificl.errors import InputError
from hificl.metrics import chair

CAPTIONS = [
    "A dog and two cats sit on a couch.",  # 3 mentions, cat is invented
    "A man rides his bike past another man.",  # 3 mentions, all there
    "Green hills.",  # none
    "A pizza on a table next to a table.",  # 3 mentions, pizza is invented
]
OBJECTS = [["dog", "couch", "chair"], ["person", "bicycle"], [], ["dining table"]]


def test_counted_by_hand() -> None:
    result = chair(CAPTIONS, OBJECTS)
    assert result.chair_i == pytest.approx(2 / 9)
    assert result.chair_s == pytest.approx(2 / 4)
    assert result.recall == pytest.approx(5 / 6)
    assert result.per_item == pytest.approx((1 / 3, 0, 0, 1 / 3))
    assert (result.score, result.ci95, result.n) == (result.chair_i, result.intervals["chair_i"], 4)
    assert result.unit == ""


def test_reference_captions_add_objects() -> None:
    references = [["A kitten."], ["A street", "a car"], ["a hill"], ["two pizzas"]]
    result = chair(CAPTIONS, OBJECTS, references)
    assert (result.chair_i, result.chair_s) == (0.0, 0.0)
    assert result.recall == pytest.approx(7 / 9)


def test_shares_of_nothing_are_zero() -> None:
    result = chair(["Hills.", "Sky."], [[], []])
    assert (result.chair_i, result.chair_s, result.recall) == (0.0, 0.0, 0.0)
    assert set(result.intervals.values()) == {(0.0, 0.0)}


def test_intervals_resample_images_and_take_the_ratio_of_sums() -> None:
    captions, objects = CAPTIONS * 9, OBJECTS * 9
    result = chair(captions, objects)
    generator = np.random.default_rng(1)
    counts = np.array([[3, 1, 1, 2, 3], [3, 0, 0, 2, 2], [0, 0, 0, 0, 0], [3, 1, 1, 1, 1]] * 9)
    drawn = counts[generator.integers(36, size=(20_000, 36))].sum(axis=1)
    expected = {"chair_i": drawn[:, 1] / drawn[:, 0], "chair_s": drawn[:, 2] / 36, "recall": drawn[:, 3] / drawn[:, 4]}
    for name, values in expected.items():
        assert result.intervals[name] == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], []), "no item to score; pass at least one caption"),
        ((["a"], []), "1 captions for 0 lists of objects"),
        (("a", [["dog"]]), "captions must be a list"),
        (([1], [["dog"]]), "caption 0 is a int"),
        ((["a"], ["dog"]), "item 0, objects must be a list"),
        ((["a"], [["dog", "wolf"]]), "item 0 has the object 'wolf'"),
        ((["a"], [["dog"]], [[]]), "item 0 needs a list of accepted answers"),
    ],
)
def test_unusable_input(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        chair(*arguments)  # type: ignore[arg-type]
