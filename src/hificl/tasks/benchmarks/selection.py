"""Which rows of a split a protocol takes: the order of the published code."""

from __future__ import annotations

import numpy as np

from hificl.errors import InputError


def drawn(rows: int, size: int | None, seed: int) -> list[int]:
    """Return the first ``size`` rows of a seeded permutation; without a size all rows, permuted as well.

    A smaller size gives the beginning of a larger one. A size above ``rows`` gives all.
    """
    order = np.random.default_rng(seed).permutation(rows).tolist()
    return order if size is None else order[:size]


def scored(rows: int, size: int | None, seed: int) -> list[int]:
    """Return the scored rows: all in file order, or with a size the first of a seeded permutation."""
    return list(range(rows)) if size is None else drawn(rows, size, seed)


def parted(rows: int, support_size: int, seed: int) -> tuple[list[int], list[int]]:
    """Part one split: its first rows in file order to learn from, permuted, and all others.

    Returns:
        Support rows and query rows, without a row in both.

    Raises:
        InputError: No row would be left to score.
    """
    if support_size >= rows:
        raise InputError(
            f"has {rows} rows and {support_size} of them are the support set, so none is left to score; "
            "pass a smaller support_size"
        )
    return drawn(support_size, None, seed), list(range(support_size, rows))


def checked_size(value: object, name: str) -> int | None:
    """Return a size of at least 1, or None.

    Raises:
        InputError: It is something else.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise InputError(f"{name} must be an integer of at least 1, got {value!r}")
    return value


def checked_seed(value: object) -> int:
    """Return a seed of at least 0.

    Raises:
        InputError: It is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InputError(f"seed must be an integer of at least 0, got {value!r}")
    return value
