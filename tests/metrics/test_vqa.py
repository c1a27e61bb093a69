"""VQA accuracy: the formula by hand and by enumeration, both modes, the parts, bad input."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hificl.errors import InputError
from hificl.metrics import METRICS, vqa_accuracy
from hificl.metrics.vqa_answers import normalise_answer

YES = ["yes"] * 10


def answers(*counted: tuple[str, int]) -> list[str]:
    return [answer for answer, count in counted for _ in range(count)]


@pytest.mark.parametrize(("matches", "accuracy"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (9, 1.0)])
def test_accuracy_by_number_of_matches(matches: int, accuracy: float) -> None:
    result = vqa_accuracy(["red"], [answers(("red", matches), ("blue", 10 - matches))])
    assert result.per_item[0] == pytest.approx(accuracy, abs=1e-15)
    assert result.score == pytest.approx(100 * accuracy, abs=1e-12)


def test_accuracy_is_the_mean_over_subsets_of_nine() -> None:
    """The definition: average over the ten sets of nine answers of min(1, matches / 3)."""
    given_answers = ["Red.", "red", "the red", "blue", "RED", "blue", "green", "4", "four", "blue"]
    for prediction in ("red", "blue", "4", "a green", "pink"):
        wanted = normalise_answer(prediction)
        means = [
            min(1.0, sum(normalise_answer(answer) == wanted for answer in nine) / 3)
            for nine in combinations(given_answers, 9)
        ]
        assert vqa_accuracy([prediction], [given_answers]).score == pytest.approx(100 * sum(means) / 10)


@pytest.mark.parametrize(
    ("prediction", "reference", "official", "always"),
    [
        ("Yes.", YES, 0.0, 1.0),  # ten equal answers: the evaluator compares as they are
        ("yes\n", YES, 1.0, 1.0),
        ("the yes", YES, 0.0, 1.0),
        ("2", ["two"] * 10, 0.0, 1.0),
        ("two", [" two", "two\t"] * 5, 1.0, 1.0),  # equal once stripped
        ("Yes.", ["yes"] * 9 + ["no"], 1.0, 1.0),
        ("2", ["two"] * 9 + ["Two"], 1.0, 1.0),
        ("", [""] * 10, 1.0, 1.0),
        ("the", ["a"] * 9 + ["an"], 1.0, 1.0),  # both are nothing once normalised
        ("", ["a"] * 10, 0.0, 1.0),
    ],
)
def test_modes(prediction: str, reference: list[str], official: float, always: float) -> None:
    assert vqa_accuracy([prediction], [reference]).per_item == (official,)
    assert vqa_accuracy([prediction], [reference], mode="always_normalise").per_item == (always,)
    assert METRICS["vqa_accuracy"]([prediction], [reference]).per_item == (official,)
    assert METRICS["vqa_accuracy_normalised"]([prediction], [reference]).per_item == (always,)


def test_parts_by_type() -> None:
    result = vqa_accuracy(
        ["yes", "no", "2", "red", "x"],
        [YES, YES, ["2"] * 10, answers(("red", 2), ("blue", 8)), ["x"] * 10],
        question_types=["is the", "is the", "how many", "what color", "what color"],
        answer_types=["yes/no", "yes/no", "number", "other", "other"],
    )
    assert list(result.by_question_type) == ["how many", "is the", "what color"]
    assert {name: part.score for name, part in result.by_answer_type.items()} == pytest.approx(
        {"number": 100.0, "other": 80.0, "yes/no": 50.0}
    )
    assert result.by_question_type["is the"].n == 2
    assert result.by_question_type["is the"].ci95 == (0.0, 100.0)
    assert result.score == pytest.approx(72.0)
    assert result.unit == "%"
    assert not vqa_accuracy(["a"], [YES]).by_answer_type


WORDS = st.sampled_from(["yes", "Yes.", "the yes", "two", "2", "t-shirt", "t shirt", "dont", "don't", "", "1,000"])


@settings(max_examples=60)
@given(WORDS, st.lists(WORDS, min_size=10, max_size=10), st.randoms(use_true_random=False))
def test_order_of_answers_does_not_matter(prediction: str, reference: list[str], random: object) -> None:
    shuffled = list(reference)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for mode in ("official", "always_normalise"):
        first = vqa_accuracy([prediction], [reference], mode).score
        assert vqa_accuracy([prediction], [shuffled], mode).score == pytest.approx(first)
    if len({answer.strip() for answer in reference}) > 1:
        assert vqa_accuracy([prediction], [reference]) == vqa_accuracy([prediction], [reference], "always_normalise")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vqa_accuracy(["a", "b"], [YES, ["a"] * 9]), "item 1 has 9 answers instead of 10"),
        (lambda: vqa_accuracy(["a"], [["a"] * 11]), "item 0 has 11 answers instead of 10"),
        (lambda: vqa_accuracy([], []), "no item to score"),
        (lambda: vqa_accuracy(["a"], [YES, YES]), "1 predictions for 2 references"),
        (lambda: vqa_accuracy(["a"], [YES], mode="vqa"), "mode must be one of official, always_normalise, got 'vqa'"),  # type: ignore[arg-type]
        (lambda: vqa_accuracy(["a"], [YES], answer_types=[]), "1 predictions for 0 answer types"),
        (lambda: vqa_accuracy(["a"], [YES], question_types=[3]), "question type 0 is a int"),  # type: ignore[list-item]
    ],
)
def test_unusable_input(call: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()  # type: ignore[operator]
