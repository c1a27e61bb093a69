"""The one tolerance of the tests: computed from a reference's own rounding error, never typed in."""

from __future__ import annotations

import torch
from torch import Tensor

MARGIN = 8.0
"""How many times its own rounding error a computation may move when only the order of its sums changes."""


def rounding_budget(single: Tensor, double: Tensor, margin: float = MARGIN) -> float:
    """Return the largest difference that rounding explains.

    Args:
        single: What a reference gives in its working precision.
        double: What the same reference gives in float64, same shape.
        margin: Factor on the error of the reference.

    Returns:
        ``margin`` times (the largest error of ``single`` + one rounding step of its largest entry).

    Raises:
        ValueError: The shapes differ, or an entry is not finite: such a reference bounds nothing.
    """
    if single.shape != double.shape:
        raise ValueError(f"the reference has shape {tuple(single.shape)} and {tuple(double.shape)} in float64")
    if not (torch.isfinite(single).all() and torch.isfinite(double).all()):
        raise ValueError("the reference is not finite everywhere: it gives no budget")
    error = (single.double() - double.double()).abs().max().item()
    return margin * (error + torch.finfo(single.dtype).eps * double.abs().max().item())


def deviation(actual: Tensor, expected: Tensor) -> float:
    """Return the largest absolute difference; infinite where only one of the two is finite or both disagree on NaN."""
    return _distances(actual, expected).max().item() if actual.numel() else 0.0


def assert_close(actual: Tensor, expected: Tensor, budget: float, what: str = "values") -> None:
    """Fail unless every element of ``actual`` is within ``budget`` of ``expected``.

    Raises:
        AssertionError: Shapes differ, or an element is further off. The message has the worst element, its index, both
            values, the difference and the budget.
    """
    if actual.shape != expected.shape:
        raise AssertionError(f"{what}: shape {tuple(actual.shape)}, expected {tuple(expected.shape)}")
    if not actual.numel():
        return
    distances = _distances(actual, expected)
    worst = int(distances.argmax())
    if not distances.flatten()[worst] <= budget:
        index = tuple(int(i) for i in torch.unravel_index(torch.tensor(worst), actual.shape))
        beyond = int((distances > budget).sum())
        raise AssertionError(
            f"{what}: {beyond} of {actual.numel()} elements beyond the budget; worst at {index}: "
            f"{actual[index].item()!r}, expected {expected[index].item()!r}, "
            f"off by {distances[index].item():.3e} with a budget of {budget:.3e}"
        )


def assert_same(actual: Tensor, expected: Tensor, what: str = "values") -> None:
    """Fail unless both tensors are equal to the bit."""
    if actual.dtype != expected.dtype:
        raise AssertionError(f"{what}: dtype {actual.dtype}, expected {expected.dtype}")
    assert_close(actual, expected, 0.0, what)


def _distances(actual: Tensor, expected: Tensor) -> Tensor:
    """Return elementwise distances in float64: 0 for equal entries, infinities included; NaN is far from everything."""
    left, right = actual.detach().double(), expected.detach().double()
    distances = (left - right).abs()
    return torch.where(left == right, 0.0, distances.nan_to_num(nan=torch.inf, posinf=torch.inf))
