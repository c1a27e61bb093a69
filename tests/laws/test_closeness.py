"""The tolerance itself: it accepts another order of summation and rejects a wrong answer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from closeness import assert_close, assert_same, deviation, rounding_budget


def products() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(37, 211, generator=generator), torch.randn(211, 29, generator=generator)


def test_accepts_another_order_of_the_same_sums() -> None:
    left, right = products()
    budget = rounding_budget(left @ right, left.double() @ right.double())
    order = torch.randperm(211, generator=torch.Generator().manual_seed(1))
    assert_close(left[:, order] @ right[order], left @ right, budget)
    assert budget < 1e-3


def test_rejects_one_wrong_element_and_names_it() -> None:
    left, right = products()
    expected = left @ right
    budget = rounding_budget(expected, left.double() @ right.double())
    wrong = expected.clone()
    wrong[5, 17] += 3 * budget
    with pytest.raises(AssertionError, match=r"product: 1 of 1073 elements .* worst at \(5, 17\): .* budget of"):
        assert_close(wrong, expected, budget, "product")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_rejects_an_element_that_is_not_finite(bad: float) -> None:
    wrong = torch.zeros(3)
    wrong[1] = bad
    with pytest.raises(AssertionError, match=r"worst at \(1,\)"):
        assert_close(wrong, torch.zeros(3), 1e9)
    with pytest.raises(AssertionError, match=r"worst at \(1,\)"):
        assert_close(torch.zeros(3), wrong, 1e9)
    assert deviation(wrong, torch.zeros(3)) == float("inf")


def test_equal_infinities_are_equal() -> None:
    assert_same(torch.tensor([-torch.inf, 1.0]), torch.tensor([-torch.inf, 1.0]))


def test_same_rejects_the_last_bit_another_shape_and_another_dtype() -> None:
    one = torch.ones(2)
    with pytest.raises(AssertionError, match="worst"):
        assert_same(torch.nextafter(one, 2 * one), one)
    with pytest.raises(AssertionError, match=r"shape \(2, 1\), expected \(2,\)"):
        assert_same(one[:, None], one)
    with pytest.raises(AssertionError, match="dtype"):
        assert_same(one.double(), one)


def test_a_reference_that_is_not_finite_gives_no_budget() -> None:
    with pytest.raises(ValueError, match="not finite"):
        rounding_budget(torch.tensor([torch.nan]), torch.tensor([0.0]))
    with pytest.raises(ValueError, match="shape"):
        rounding_budget(torch.zeros(2), torch.zeros(3))
