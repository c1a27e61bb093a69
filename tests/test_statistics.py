"""Intervals and tests against brute force, closed forms and constructed cases."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hificl import statistics
from hificl.errors import InputError
from hificl.statistics import (
    bootstrap_mean,
    holm,
    paired_bootstrap,
    paired_permutation_test,
    paired_test,
    percentile_interval,
    resampled_counts,
    t_interval,
    t_quantile,
)

RANDOM = np.random.default_rng(17)
FEW_LEVELS = (28.0, 37.0)
MANY_LEVELS = (33.33999812693087, 39.74843563724009)


def exact_bootstrap(values: list[float], confidence: float) -> tuple[float, float]:
    """Quantiles over all n ** n resamples."""
    means = np.array(list(product(values, repeat=len(values)))).mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def test_bootstrap_equals_the_full_enumeration() -> None:
    values = [0.0, 1.0, 2.5, 7.0, 7.5, 11.0]
    for confidence in (0.5, 0.8, 0.95):
        interval = bootstrap_mean(values, confidence=confidence, resamples=100_000)
        assert interval == pytest.approx(exact_bootstrap(values, confidence), abs=0.17)


def test_bootstrap_of_right_and_wrong_equals_the_binomial() -> None:
    """With 130 of 400 right, a resampled count is binomial(400, 0.325)."""
    interval = bootstrap_mean([1.0] * 130 + [0.0] * 270, resamples=100_000)
    counts = np.random.default_rng(5).binomial(400, 0.325, size=400_000) / 400
    assert interval == pytest.approx(tuple(np.quantile(counts, [0.025, 0.975])), abs=0.0026)


def test_both_ways_of_resampling_agree() -> None:
    """Few levels are drawn by counts, many by items: a tiny jitter switches the way and must not move the interval."""
    levels = RANDOM.choice([0.0, 0.3, 0.6, 1.0], size=300)
    jittered = levels + 1e-9 * RANDOM.random(300)
    assert bootstrap_mean(levels) == pytest.approx(bootstrap_mean(jittered), abs=0.005)


def test_bootstrap_covers_the_true_mean_about_as_often_as_promised() -> None:
    generator = np.random.default_rng(11)
    hits = 0
    for _ in range(300):
        low, high = bootstrap_mean(generator.normal(2.0, 3.0, size=61), confidence=0.8, resamples=800)
        hits += low <= 2.0 <= high
    assert 0.72 < hits / 300 < 0.87


def test_bootstrap_is_repeatable_and_blind_to_the_order() -> None:
    values = RANDOM.random(53)
    assert bootstrap_mean(values) == bootstrap_mean(list(values))
    assert bootstrap_mean(values) == bootstrap_mean(values[::-1])
    assert bootstrap_mean(values) != bootstrap_mean(values, seed=1)
    assert bootstrap_mean(values, confidence=0.5)[0] > bootstrap_mean(values)[0]


def test_equal_values_have_no_width() -> None:
    for size in (1, 3, 47):
        assert bootstrap_mean([0.1] * size) == (0.1, 0.1)


def test_memory_stays_within_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chunk size bounds every array of random numbers and does not change the result's quality."""
    sizes = []
    integers = np.random.Generator.integers

    class Spy:
        def __init__(self, seed: int) -> None:
            self.generator = np.random.Generator(np.random.PCG64(seed))

        def integers(self, high: int, size: tuple[int, int]) -> np.ndarray:
            sizes.append(size)
            return integers(self.generator, high, size=size)

    monkeypatch.setattr(np.random, "default_rng", Spy)
    monkeypatch.setattr(statistics, "_CHUNK_NUMBERS", 1000)
    bootstrap_mean(RANDOM.random(130), resamples=95)
    assert [rows for rows, _ in sizes] == [7] * 13 + [4]
    sizes.clear()
    bootstrap_mean(RANDOM.random(3001), resamples=2)
    assert sizes == [(1, 3001)] * 2


def test_many_items_are_drawn_by_neighbourhoods(monkeypatch: pytest.MonkeyPatch) -> None:
    """The quick way for many values must give the interval of the plain way, also where few values are far away."""
    values = np.concatenate([RANDOM.normal(3, 1, 1970), RANDOM.normal(300, 9, 31)])
    plain = bootstrap_mean(values, resamples=3000)
    monkeypatch.setattr(statistics, "_MOST_DRAWN", 2000)
    monkeypatch.setattr(statistics, "_PARTS", 150)
    assert bootstrap_mean(values, resamples=3000) == pytest.approx(plain, rel=0.05)
    assert bootstrap_mean(values, resamples=3000) != plain
    assert bootstrap_mean(values, resamples=30) == bootstrap_mean(values[::-1], resamples=30)


def test_intervals_of_committed_records_do_not_move() -> None:
    """The first release gave these; records in the repository hold such numbers."""
    assert bootstrap_mean([100.0] * 130 + [0.0] * 270) == FEW_LEVELS
    assert bootstrap_mean([0.1 * (number % 97) ** 1.5 for number in range(301)]) == MANY_LEVELS


def test_resampled_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "_CHUNK_NUMBERS", 30)
    counts = np.array([7, 0, 13])
    parts = list(resampled_counts(counts, 2005, np.random.default_rng(4)))
    assert [len(part) for part in parts] == [10] * 200 + [5]
    drawn = np.concatenate(parts)
    assert set(drawn.sum(axis=1)) == {20}
    assert drawn.mean(axis=0) == pytest.approx([7, 0, 13], abs=0.2)
    assert percentile_interval(drawn[:, 0].astype(float), 0.5) == (6.0, 8.0)


def test_paired_bootstrap_is_the_interval_of_the_differences() -> None:
    first, second = RANDOM.random(41), RANDOM.random(41)
    assert paired_bootstrap(first, second) == bootstrap_mean(first - second)
    shifted = paired_bootstrap(first + 0.25, first)
    assert shifted == pytest.approx((0.25, 0.25))


def sign_flips(first: list[float], second: list[float]) -> float:
    differences = np.subtract(first, second)
    observed = abs(differences.sum())
    flips = [abs(np.dot(signs, differences)) for signs in product([1, -1], repeat=len(differences))]
    return float(np.mean([flip >= observed - 1e-9 for flip in flips]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 6).map(lambda n: n / 3)] * 2), min_size=1, max_size=8))
def test_exact_permutation_test_equals_brute_force(pairs: list[tuple[float, float]]) -> None:
    first, second = map(list, zip(*pairs, strict=True))
    assert paired_permutation_test(first, second) == pytest.approx(sign_flips(first, second), abs=1e-12)


def test_drawn_permutations_approach_the_exact_value() -> None:
    first, second = list(RANDOM.normal(0.4, 1, 12)), list(RANDOM.normal(0, 1, 12))
    exact = sign_flips(first, second)
    assert paired_permutation_test(first, second, permutations=4096) == pytest.approx(exact)
    drawn = paired_permutation_test(first, second, permutations=4095)
    assert drawn != exact
    assert drawn == pytest.approx(exact, abs=0.03)


def test_permutation_test_of_right_and_wrong_is_the_sign_test() -> None:
    """40 against 20 discordant items: twice the binomial tail, whatever the number of ties."""
    first = [1.0] * 40 + [0.0] * 20 + [1.0] * 500
    second = [0.0] * 40 + [1.0] * 20 + [1.0] * 500
    draws = np.random.default_rng(2).binomial(60, 0.5, size=400_000)
    tail = np.mean((draws >= 40) | (draws <= 20))
    assert paired_permutation_test(first, second, permutations=100_000) == pytest.approx(tail, abs=0.002)


def test_permutation_test_at_its_ends() -> None:
    same = RANDOM.random(30)
    assert paired_permutation_test(same, same) == 1.0
    assert paired_permutation_test(same + 1, same, permutations=999) == 1 / 1000
    assert paired_permutation_test([1.0, 2.0, 3.0], [0.0, 0.0, 0.0]) == 2 / 8
    assert paired_permutation_test([0.1] * 3, [0.0] * 3) == 2 / 8


def test_p_values_are_uniform_when_nothing_differs() -> None:
    generator = np.random.default_rng(23)
    values = [paired_permutation_test(generator.random(25), generator.random(25), permutations=199) for _ in range(400)]
    assert 0.02 < np.mean(np.array(values) <= 0.05) < 0.085


def test_paired_test_joins_both() -> None:
    first, second = RANDOM.random(19), RANDOM.random(19)
    result = paired_test(first, second, seed=3)
    assert result.difference == pytest.approx(first.mean() - second.mean())
    assert result.ci95 == paired_bootstrap(first, second, seed=3)
    assert result.p_value == paired_permutation_test(first, second, seed=3)
    assert result.n == 19


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.2]) == [0.2]
    assert holm([0.6, 0.5, 0.9]) == [1.0, 1.0, 1.0]
    assert holm([0.01, 0.01, 0.02]) == pytest.approx([0.03, 0.03, 0.03])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9), st.floats(0.001, 0.5))
def test_holm_rejects_what_the_step_down_rule_rejects(p_values: list[float], level: float) -> None:
    rejected = set()
    for step, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        if (len(p_values) - step) * p_values[index] > level:
            break
        rejected.add(index)
    adjusted = holm(p_values)
    assert {index for index, value in enumerate(adjusted) if value <= level} == rejected
    assert all(value >= p for value, p in zip(adjusted, p_values, strict=True))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_mean([]), r"values: expected one number per item, got shape \(0,\)"),
        (lambda: bootstrap_mean([[1.0, 2.0]]), r"got shape \(1, 2\)"),  # type: ignore[list-item]
        (lambda: bootstrap_mean([1.0, float("nan"), 2.0]), "values: item 1 is nan"),
        (lambda: bootstrap_mean(["a"]), "values: not a list of numbers"),  # type: ignore[list-item]
        (lambda: bootstrap_mean([1.0], confidence=1.0), "confidence must lie between 0 and 1, got 1.0"),
        (lambda: bootstrap_mean([1.0], resamples=0), "resamples must be an integer of at least 1"),
        (lambda: paired_bootstrap([1.0], [1.0, 2.0]), "1 and 2 items; pass the same items"),
        (lambda: paired_permutation_test([1.0], [float("inf")]), "second: item 0 is inf"),
        (lambda: paired_permutation_test([1.0], [2.0], permutations=True), "permutations must be an integer"),
        (lambda: holm([0.5, 1.5]), r"p values must lie in \[0, 1\], got 0.5 to 1.5"),
        (lambda: holm([float("nan")]), "p_values: item 0 is nan"),
    ],
)
def test_unusable_numbers(call: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    # Tables of Student's distribution, two-sided 95 %.
    [(1, 12.7062047), (2, 4.30265273), (3, 3.18244631), (4, 2.77644511), (10, 2.22813885), (1000, 1.96233908)],
)  # fmt: skip
def test_t_quantiles_are_those_of_the_tables(freedom: int, quantile: float) -> None:
    assert t_quantile(0.975, freedom) == pytest.approx(quantile, rel=1e-8)


def test_t_interval_of_a_worked_example() -> None:
    # Mean 5, standard deviation 2, five values: 5 +- 2.776445 * 2 / sqrt(5).
    low, high = t_interval([3.0, 3.0, 5.0, 7.0, 7.0])
    assert (low, high) == pytest.approx((5 - 2.483327, 5 + 2.483327), rel=1e-6)
    narrow = t_interval([3.0, 3.0, 5.0, 7.0, 7.0], confidence=0.5)
    assert low < narrow[0] < narrow[1] < high
    assert t_interval([4.0, 4.0, 4.0]) == (4.0, 4.0)


def test_t_interval_covers_the_true_mean_as_often_as_promised() -> None:
    generator = np.random.default_rng(3)
    hits = [low < 7.0 < high for low, high in (t_interval(generator.normal(7, 2, 4)) for _ in range(4000))]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.012)


@pytest.mark.parametrize(
    ("values", "confidence"), [([1.0], 0.95), ([], 0.95), ([1.0, 2.0], 1.0), ([1.0, np.nan], 0.95)]
)
def test_t_interval_refuses_what_has_no_spread(values: list[float], confidence: float) -> None:
    with pytest.raises(InputError):
        t_interval(values, confidence=confidence)
