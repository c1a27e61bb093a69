"""MME: counted by hand, its intervals, bad input."""

from __future__ import annotations

import pytest

from hificl.errors import InputError
from hificl.metrics import METRICS, mme
from hificl.metrics.mme import COGNITION, PERCEPTION

ANSWERS = [["Yes"], ["No"]]


def test_counted_by_hand() -> None:
    # count: images a (both right), b (one); OCR: a (none); code_reasoning: c (both)
    predictions = ["yes", "No.", "Yes", "yes", "no", "maybe", "Yes, it is", "no"]
    images = ["a", "a", "b", "b", "a", "a", "c", "c"]
    categories = ["count"] * 4 + ["OCR"] * 2 + ["code_reasoning"] * 2
    result = mme(predictions, ANSWERS * 4, images, categories)
    assert result.per_item == (1, 1, 1, 0, 0, 0, 1, 1)
    assert result.accuracy == pytest.approx(100 * 5 / 8)
    assert result.accuracy_plus == pytest.approx(100 * 2 / 4)
    assert result.perception == pytest.approx((75 + 50) + 0)
    assert result.cognition == pytest.approx(200)
    assert result.score == pytest.approx(325)
    assert {name: part.score for name, part in result.by_category.items()} == {
        "count": 125.0,
        "OCR": 0.0,
        "code_reasoning": 200.0,
    }
    assert result.intervals["cognition"] == (200.0, 200.0)
    assert result.intervals["perception"] == (50.0, 200.0)
    assert result.ci95 == (250.0, 400.0)
    assert result.unit == ""


def test_all_right_is_2800() -> None:
    names = [name for name in PERCEPTION + COGNITION for _ in range(4)]
    images = ["x", "x", "y", "y"] * 14
    result = mme(["Yes", "No"] * 28, ANSWERS * 28, images, names)
    assert (result.perception, result.cognition, result.score, result.ci95) == (2000, 800, 2800, (2800, 2800))


@pytest.mark.parametrize(
    ("prediction", "says"),
    [
        ("Yes", "yes"), ("NO!", "no"), (" yes\n", "yes"), ("No, it is not", "no"), ("\u201cYes", "yes"),
        ("not", "no"), ("I say no", None), ("Indeed", None), ("", None), ("the yes", None),
    ],
)  # fmt: skip
def test_how_an_answer_is_read(prediction: str, says: str | None) -> None:
    for answer in ("Yes", "No"):
        score = METRICS["yes_no_accuracy"]([prediction], [[answer]])
        assert score.per_item == (float(answer.lower() == says),)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["yes"], [["yes"]], ["a"], ["count"]), "image 'a' of count has 1 questions instead of 2"),
        ((["yes"] * 3, [["yes"]] * 3, ["a"] * 3, ["count"] * 3), "has 3 questions instead of 2"),
        ((["yes"] * 2, [["yes"]] * 2, ["a"] * 2, ["counting"] * 2), "item 0 has the category 'counting'; known are"),
        ((["yes"] * 2, ANSWERS, ["a"], ["count"] * 2), "2 predictions for 1 images"),
        ((["yes"] * 2, ANSWERS, ["a"] * 2, ["count"]), "2 predictions for 1 category names"),
        ((["yes"], [["maybe"]], ["a"], ["count"]), r"item 0 has the right answers \['maybe'\]; give yes or no"),
        (([], [], [], []), "no item to score"),
    ],
)
def test_unusable_input(arguments: tuple[list[str], ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        mme(*arguments)
