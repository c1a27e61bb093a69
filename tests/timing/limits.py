"""How a guard judges: the median of ratios within rounds, against the limit of the row's target."""

from __future__ import annotations

import torch

from benchmarks.measure import ProcessorClock, Spread
from benchmarks.rows import Target

CPU = torch.device("cpu")
CLOCK = ProcessorClock()


def held(value: Spread, target: Target) -> None:
    """Fail where the median is beyond the limit of the target."""
    limit = target.bound if target.limit is None else target.limit
    print(f"{value.median:.3f} [{value.low:.3f}, {value.high:.3f}] of {value.count}")
    reached = value.median >= limit if target.at_least else value.median <= limit
    assert reached, f"{value.median:.3f} [{value.low:.3f}, {value.high:.3f}] is beyond {limit}, in {value.count} rounds"
