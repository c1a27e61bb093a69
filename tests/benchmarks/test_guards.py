"""How guards of timing judge: by the better quartile, with slack, three times at most."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.measure import Spread
from benchmarks.rows import Target
from timing.limits import TRIES, held


def readings(*values: float) -> Iterator[Spread]:
    """Each value as a median, a hundredth below it the lower quartile and above it the upper one."""
    return iter([Spread(value, value - 0.01, value + 0.01, 7) for value in values])


@pytest.mark.parametrize(
    ("target", "slack", "values", "holds"),
    [
        (Target(1.0), 0.1, [1.105], True),
        (Target(1.0), 0.1, [1.12, 1.12, 1.12], False),
        (Target(1.0), 0.1, [1.3, 1.2, 1.05], True),
        (Target(1.0), 0.0, [1.02, 1.02, 1.02], False),
        (Target(1.0, at_least=True), 0.1, [0.895], True),
        (Target(1.0, at_least=True), 0.1, [0.88, 0.88, 0.88], False),
    ],
)
def test_a_guard_holds_or_not(target: Target, slack: float, values: list[float], holds: bool) -> None:
    found = readings(*values)
    if holds:
        held(lambda: next(found), target, slack=slack)
    else:
        with pytest.raises(AssertionError, match=r"^beyond [\d.]+ in every try"):
            held(lambda: next(found), target, slack=slack)
    assert list(found) == []
    assert len(values) <= TRIES
