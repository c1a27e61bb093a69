"""How a guard judges: the better quartile of the ratios within rounds, against the limit of the row's target."""

from __future__ import annotations

import torch

from benchmarks.measure import ProcessorClock, Spread
from benchmarks.rows import Target

CPU = torch.device("cpu")
CLOCK = ProcessorClock()


def held(value: Spread, target: Target) -> None:
    """Fail where three quarters of the rounds are beyond the limit of the target.

    The rows of ``benchmarks`` are judged by their medians, on a quiet machine. A guard also runs beside other work,
    which only ever adds to a ratio: it is to find code that got slower, not a machine that is busy.
    """
    limit = target.bound if target.limit is None else target.limit
    print(f"{value.median:.3f} [{value.low:.3f}, {value.high:.3f}] of {value.count}")
    reached = value.high >= limit if target.at_least else value.low <= limit
    assert reached, f"{value.median:.3f} [{value.low:.3f}, {value.high:.3f}] is beyond {limit}, in {value.count} rounds"
