"""Ticks of logarithmic axes: 1, 2, 5 times powers of ten, written out."""

from __future__ import annotations

import math
from collections.abc import Sequence

MOST = 7
"""Ticks on one axis."""

ROOM = 1.15
"""Factor by which an axis reaches beyond its values."""


def log_ticks(values: Sequence[float]) -> tuple[float, float, list[float]]:
    """Return both ends of an axis and its ticks, for values above zero."""
    low, high = min(values) / ROOM, max(values) * ROOM
    found = [
        base * 10.0**power
        for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for base in (1, 2, 5)
        if low <= base * 10.0**power <= high
    ]
    return low, high, found[:: max(1, -(-len(found) // MOST))]
