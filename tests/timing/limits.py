"""How a guard judges: the better quartile of the ratios within rounds, with room for a machine that is not quiet."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from benchmarks.measure import Call, Effort, ProcessorClock, Spread, in_turns
from benchmarks.rows import Target

CPU = torch.device("cpu")
CLOCK = ProcessorClock()

SLACK = 0.1
"""Share by which a guard may miss the target of its row: on shared processors the median of the same code moves by
half of that from one machine to the next. What they are to find, a second product, costs more: see
:func:`told_apart`. Pairs in front of the keys cost less in short prompts and under masks; their notice tells."""

TRIES = 3


def held(measure: Callable[[], Spread], target: Target, *, slack: float = SLACK) -> None:
    """Fail where three quarters of the rounds are beyond the target and its slack, in each of three tries.

    The rows of ``benchmarks`` are judged by their medians against the target itself, on a quiet machine. A guard also
    runs beside other work, which only ever adds to a ratio: it is to find code that got slower.
    """
    limit = target.bound * (1 - slack if target.at_least else 1 + slack)
    seen = []
    for _ in range(TRIES):
        value = measure()
        seen.append(f"{value.median:.3f} [{value.low:.3f}, {value.high:.3f}] of {value.count}")
        print(seen[-1])
        if value.high >= limit if target.at_least else value.low <= limit:
            return
    raise AssertionError(f"beyond {limit:.3f} in every try: {', '.join(seen)}")


def against_plain(calls: Mapping[str, Call]) -> Spread:
    """Time ``hificl`` and ``plain`` in turns for about four seconds; return the ratios within rounds."""
    pair = {name: calls[name] for name in ("hificl", "plain")}
    return in_turns(pair, clock=CLOCK, effort=Effort(7, 31, 4.0)).ratio("hificl", "plain")


def told_apart(calls: Mapping[str, Call], target: Target) -> None:
    """Fail where the published form, with its second product, would pass: such a guard could not fail for it."""
    pair = {name: calls[name] for name in ("published", "plain")}
    found = in_turns(pair, clock=CLOCK, effort=Effort(3, 3, 0.0)).ratio("published", "plain")
    assert found.median > target.bound * (1 + SLACK), "the guard does not see a second product; take longer prompts"
