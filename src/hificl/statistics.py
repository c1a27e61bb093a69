"""Intervals and tests for scores: bootstrap, paired comparisons, many tests. It needs numpy only."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hificl.errors import InputError

Numbers = Sequence[float] | npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_CHUNK_NUMBERS = 4_000_000  # random numbers that are in memory at one time: 32 MB
_MOST_DRAWN = 20_000  # items that are drawn one by one; of more, the number from each of _PARTS neighbourhoods is drawn
_PARTS = 1_000


def bootstrap_mean(
    values: Numbers, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean.

    Args:
        values: One number per item; their order does not matter.
        confidence: Share of the resampled means inside the interval, between 0 and 1.
        resamples: Number of resamples. Of more than 20,000 values that seldom repeat, a resample holds random numbers
            from 1,000 neighbourhoods of values, and what these add to the mean is drawn from a normal distribution
            of the same mean and variance; time and memory then do not grow with resamples x values.
        seed: Seed of the resampling; the same input gives the same interval.

    Returns:
        Low and high end, in the unit of ``values``. Equal values give an interval of width zero.

    Raises:
        InputError: No value, one that is not finite, more than one axis, or an option out of range.
    """
    if not 0 < confidence < 1:
        raise InputError(f"bootstrap: confidence must lie between 0 and 1, got {confidence!r}")
    means = _resampled_means(_numbers(values, "values"), _count(resamples, "resamples"), np.random.default_rng(seed))
    return percentile_interval(means, confidence)


def t_interval(values: Numbers, *, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of the mean of a few independent values, such as scores of seeds, by Student's t distribution.

    Args:
        values: Two or more numbers.
        confidence: Share of such intervals that hold the true mean, where the values are normal, between 0 and 1.

    Returns:
        Low and high end, in the unit of ``values``.

    Raises:
        InputError: Fewer than two values, one that is not finite, more than one axis, or an option out of range.
    """
    if not 0 < confidence < 1:
        raise InputError(f"t interval: confidence must lie between 0 and 1, got {confidence!r}")
    numbers = _numbers(values, "values")
    if numbers.size < 2:
        raise InputError("t interval: one value has no spread; pass two or more")
    mean, half = float(numbers.mean()), float(numbers.std(ddof=1)) / numbers.size**0.5
    half *= t_quantile((1 + confidence) / 2, numbers.size - 1)
    return mean - half, mean + half


def t_quantile(share: float, freedom: int) -> float:
    """Value below which a share above one half of Student's t distribution lies, for a whole number of freedoms."""
    low, high = 0.0, math.pi / 2
    # The angle whose tangent is t / sqrt(freedom) makes the distribution a finite sum.
    for _ in range(100):
        angle = (low + high) / 2
        low, high = (low, angle) if _share_within(angle, freedom) > 2 * share - 1 else (angle, high)
    return math.tan(low) * freedom**0.5


def _share_within(angle: float, freedom: int) -> float:
    """Share of the t distribution between -t and t (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = term if freedom > 1 or not odd else 0.0
    for number in range(2 + odd, freedom - 1, 2):
        term *= cosine**2 * (number - 1) / number
        total += term
    return (angle + sine * total) * 2 / math.pi if odd else sine * total


def percentile_interval(statistics: Floats, confidence: float = 0.95) -> tuple[float, float]:
    """Low and high end between which the middle ``confidence`` of resampled statistics lies."""
    low, high = np.quantile(statistics, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def resampled_counts(counts: Counts, resamples: int, generator: np.random.Generator) -> Iterator[Counts]:
    """Resample items with replacement and say how often each kind of item was drawn.

    For statistics that are no mean (a ratio, a rank): items that count alike are one kind, and the statistic is
    computed from the numbers of each kind.

    Args:
        counts: How many items there are of each kind, [kinds].
        resamples: Number of resamples.
        generator: Source of the draws.

    Yields:
        Parts of the resamples, [rows, kinds], small enough for the memory; each row sums to the number of items.
    """
    items = int(counts.sum())
    for rows in _chunks(resamples, counts.size):
        yield generator.multinomial(items, counts / items, size=rows)


def paired_bootstrap(
    first: Numbers, second: Numbers, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean difference ``first - second`` over paired items.

    Item i of both must be the same query. Options, result and errors are those of :func:`bootstrap_mean`.
    """
    return bootstrap_mean(_differences(first, second), confidence=confidence, resamples=resamples, seed=seed)


def paired_permutation_test(first: Numbers, second: Numbers, *, permutations: int = 10_000, seed: int = 0) -> float:
    """Two-sided sign-flip test of the mean difference of paired items.

    Under the hypothesis that the two columns are exchangeable within each item, every difference may change
    its sign. The result is exact (all sign patterns are counted) when there are at most ``permutations`` of
    them; otherwise that many are drawn and the observed pattern is counted with them, so that it is never
    zero.

    Args:
        first: One number per item.
        second: The number of the same item under the other condition.
        permutations: Largest number of sign patterns.
        seed: Seed of the draw.

    Returns:
        The probability of a mean difference at least as far from zero as the observed one; 1.0 when no item
        differs.

    Raises:
        InputError: The lengths differ, there is no item, or a number is not finite.
    """
    permutations = _count(permutations, "permutations")
    differences = _differences(first, second)
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    if not sizes.size:
        return 1.0
    # Sums in another order differ by rounding; patterns that tie with the observed one must count.
    threshold = abs(differences.sum()) - 1e-9 * np.abs(differences).sum()
    items = int(counts.sum())
    if items < permutations.bit_length():
        signs = 1 - 2 * (np.arange(2**items)[:, None] >> np.arange(items) & 1)
        return float(np.mean(np.abs(signs @ np.repeat(sizes, counts)) >= threshold))
    generator = np.random.default_rng(seed)
    extreme = 0
    for rows in _chunks(permutations, sizes.size):
        positive = generator.binomial(counts, 0.5, size=(rows, sizes.size))
        extreme += int(np.count_nonzero(np.abs((2 * positive - counts) @ sizes) >= threshold))
    return (1 + extreme) / (1 + permutations)


@dataclass(frozen=True)
class PairedResult:
    """A paired comparison: mean difference, its 95 % interval, the p value, the number of items."""

    difference: float
    ci95: tuple[float, float]
    p_value: float
    n: int


def paired_test(first: Numbers, second: Numbers, *, seed: int = 0) -> PairedResult:
    """Compare paired items: :func:`paired_bootstrap` and :func:`paired_permutation_test` in one call."""
    differences = _differences(first, second)
    return PairedResult(
        difference=float(differences.mean()),
        ci95=paired_bootstrap(first, second, seed=seed),
        p_value=paired_permutation_test(first, second, seed=seed),
        n=differences.size,
    )


def holm(p_values: Numbers) -> list[float]:
    """Adjust p values for the number of tests by Holm's step-down method (family-wise error).

    Args:
        p_values: The p values of one family of tests.

    Returns:
        The adjusted p values in the order of the input; each is at least its p value and at most 1.

    Raises:
        InputError: There is no p value, or one lies outside [0, 1].
    """
    values = _numbers(p_values, "p_values")
    if values.min() < 0 or values.max() > 1:
        raise InputError(f"holm: p values must lie in [0, 1], got {values.min():g} to {values.max():g}")
    order = np.argsort(values, kind="stable")
    factors = np.arange(values.size, 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(factors * values[order]))
    return [float(value) for value in adjusted]


def _resampled_means(values: Floats, resamples: int, generator: np.random.Generator) -> Floats:
    """Means of samples with replacement, [resamples]."""
    levels, counts = np.unique(values, return_counts=True)
    # A resample is described by how often it holds each level. With few levels (right or wrong) drawing these
    # numbers is far cheaper than drawing items; with many it is the other way round.
    if 20 * levels.size <= values.size:
        means = [drawn @ levels / values.size for drawn in resampled_counts(counts, resamples, generator)]
    elif values.size <= _MOST_DRAWN:
        ordered = np.sort(values)
        means = [
            ordered[generator.integers(values.size, size=(rows, values.size))].mean(axis=1)
            for rows in _chunks(resamples, values.size)
        ]
    else:
        means = _means_by_parts(np.sort(values), resamples, generator)
    # Rounding must not carry a mean outside of the values: the interval of equal values has no width.
    return np.clip(np.concatenate(means), levels[0], levels[-1])


def _means_by_parts(ordered: Floats, resamples: int, generator: np.random.Generator) -> list[Floats]:
    """Means of resamples of many values: numbers from each part of neighbours, and a normal sum within the parts."""
    parts = np.array_split(ordered, _PARTS)
    sizes = np.array([part.size for part in parts])
    centres = np.array([part.mean() for part in parts])
    variances = np.array([part.var() for part in parts])
    means = []
    for drawn in resampled_counts(sizes, resamples, generator):
        within = np.sqrt(drawn @ variances) * generator.standard_normal(len(drawn))
        means.append((drawn @ centres + within) / ordered.size)
    return means


def _chunks(rows: int, row_size: int) -> Iterator[int]:
    """Split ``rows`` so that each part times ``row_size`` stays near the memory budget."""
    step = max(1, _CHUNK_NUMBERS // row_size)
    for start in range(0, rows, step):
        yield min(step, rows - start)


def _differences(first: Numbers, second: Numbers) -> Floats:
    left, right = _numbers(first, "first"), _numbers(second, "second")
    if left.size != right.size:
        raise InputError(
            f"paired comparison: {left.size} and {right.size} items; pass the same items in the same order"
        )
    return left - right


def _numbers(values: Numbers, name: str) -> Floats:
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: not a list of numbers ({error}); pass one number per item") from error
    if numbers.ndim != 1 or not numbers.size:
        raise InputError(f"{name}: expected one number per item, got shape {numbers.shape}; pass at least one item")
    if not np.isfinite(numbers).all():
        position = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise InputError(f"{name}: item {position} is {numbers[position]}; leave out items without a value")
    return numbers


def _count(value: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{name} must be an integer of at least 1, got {value!r}")
    return value
