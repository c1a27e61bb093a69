"""Accuracy of chosen letters."""

from __future__ import annotations

import pytest

from hificl.errors import InputError
from hificl.metrics import METRICS, choice_accuracy


@pytest.mark.parametrize(
    ("prediction", "right"),
    [
        ("B", True), ("b", True), (" B.\n", True), ("(B)", True), ("B. a red bus", True), ("B\nA", True),
        ("A", False), ("AB", False), ("a red bus", False), ("", False), (".B", False), ("answer: B", False),
    ],
)  # fmt: skip
def test_how_a_letter_is_read(prediction: str, right: bool) -> None:
    assert METRICS["choice_accuracy"]([prediction], [["B"]]).per_item == (float(right),)


def test_by_dimension() -> None:
    result = choice_accuracy(["A", "B", "c", "D"], [["A"], ["A"], ["C"], ["C"]], ["scene", "scene", "count", "scene"])
    assert result.score == 50.0
    assert {name: part.score for name, part in result.by_dimension.items()} == pytest.approx(
        {"count": 100.0, "scene": 100 / 3}
    )
    assert list(result.by_dimension) == ["count", "scene"]
    assert not choice_accuracy(["A"], [["A"]]).by_dimension


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: choice_accuracy(["A"], [["E"]]), "item 0 has the right answer 'E'; give A, B, C or D"),
        (lambda: choice_accuracy(["A"], [["a"]]), "right answer 'a'"),
        (lambda: choice_accuracy(["A"], [["A"]], []), "1 predictions for 0 dimensions"),
        (lambda: choice_accuracy([], []), "no item to score"),
    ],
)
def test_unusable_input(call: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()  # type: ignore[operator]
