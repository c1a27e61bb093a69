"""Numbers as texts: digits by unit, intervals, a true minus sign, thousands apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"

Spread = tuple[float, float | None, float | None]
"""A number, and the ends of its interval or the least and the greatest of several; None where there are none."""


def plain(value: float, digits: int, sign: str = "") -> str:
    """A number with a fixed count of digits after the point; what rounds to zero has no sign."""
    text = f"{value:{sign},.{digits}f}"
    if not text.strip("+-0.,"):
        text = f"{0:.{digits}f}"
    return text.replace("-", MINUS)


def score_digits(scale: float | None) -> int:
    """Digits of a score: one for a percentage, three for a raw one such as CIDEr."""
    return 1 if scale == 100.0 else 3


def interval(ends: Sequence[float], digits: int) -> str:
    """An interval in brackets."""
    return f"[{plain(ends[0], digits)}, {plain(ends[1], digits)}]"


def with_interval(value: float, ends: Sequence[float] | None, digits: int, sign: str = "") -> str:
    """A number and its interval, where it has one."""
    return plain(value, digits, sign) + (f" {interval(ends, digits)}" if ends is not None else "")


def with_spread(spread: Spread, seeds: int, show: Callable[[float], str]) -> str:
    """A number of one seed with its interval in square brackets, a mean of several with their range in round ones."""
    value, low, high = spread
    if low is None or high is None:
        return show(value)
    left, between, right = ("[", ", ", "]") if seeds < 2 else ("(", " to ", ")")
    return f"{show(value)} {left}{show(low)}{between}{show(high)}{right}"


def is_above(one: float, other: float) -> bool:
    """Whether a score is higher; the same answers may give other last bits in another order of sums."""
    return one > other and not math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)


def p_value(value: float) -> str:
    """A p value, never shown as zero."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def count(value: float) -> str:
    """A whole number."""
    return plain(value, 0)


def seconds(value: float) -> str:
    """A time with its unit, three figures at most."""
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (600.0, 1.0, "s"), (36000.0, 1 / 60, "min")):
        if value < limit:
            return f"{_three(value * factor)} {unit}"
    return f"{_three(value / 3600)} h"


def size(value: float) -> str:
    """A number of bytes with its unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{_three(value)} {unit}"
        value /= 1000
    return f"{_three(value)} TB"


def large(value: float) -> str:
    """A count such as FLOPs with its power of ten in words."""
    for unit in ("", " thousand", " million", " billion"):
        if value < 1000:
            return f"{_three(value)}{unit}"
        value /= 1000
    return f"{_three(value)} trillion"


def ratio(value: float) -> str:
    """A ratio, three figures."""
    return f"{_three(value)}{TIMES}"


def _three(value: float) -> str:
    """Three figures: 0.123, 1.23, 12.3, 123."""
    if value == 0 or value >= 100:
        return plain(value, 0)
    return plain(value, 1 if value >= 10 else 2 if value >= 1 else 3)
