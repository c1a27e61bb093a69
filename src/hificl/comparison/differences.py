"""How far each method is from HiFICL on the same queries: paired intervals and p values, adjusted for their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from hificl.cell import Finished
from hificl.statistics import bootstrap_mean, holm, paired_test, t_interval

REFERENCE = "hificl"

BySeed = Mapping[int, Finished]
"""The finished cells of one variant by seed."""


def score_differences(finished: Mapping[str, BySeed], subset: str, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Score every variant over its seeds and compare it with HiFICL, query by query.

    The scores of a query are averaged over the seeds first, so that queries are the items of intervals and tests. A
    difference takes the seeds that both have.

    Args:
        finished: Cells by variant and seed; one without any is a hole.
        subset: Name of the subset, for the rows.
        ids: Its queries.

    Returns:
        One row per variant: ``score`` and ``score_ci95`` (bootstrap over queries), ``seed_scores`` with their standard
        deviation ``seed_sd`` and the interval ``seed_ci95`` of their mean (Student's t), ``difference`` (variant minus
        HiFICL, in the unit of the score), ``difference_ci95`` (bootstrap over queries), ``difference_seed_ci95`` (t
        over the seeds), ``p_value`` (sign flips) and ``p_holm``, Holm's over the variants of this subset. What is
        not known is None.
    """
    rows = [
        {
            "variant": name,
            "subset": subset,
            "items": len(ids),
            **_scores(cells, ids),
            **_difference(name, finished, ids),
        }
        for name, cells in finished.items()
    ]
    tested = [row for row in rows if row["p_value"] is not None]
    for row, adjusted in zip(tested, holm([row["p_value"] for row in tested]) if tested else [], strict=True):
        row["p_holm"] = adjusted
    return rows


def _scores(cells: BySeed, ids: Sequence[str]) -> dict[str, Any]:
    seeds = sorted(cells)
    if not seeds or not ids:
        unknown = dict.fromkeys(("score", "score_ci95", "seed_sd", "seed_ci95"))
        return {"seeds": seeds, **unknown, "seed_scores": []}
    values = _items(cells, seeds, ids)
    each = [fmean(_items(cells, [seed], ids)) for seed in seeds]
    return {
        "seeds": seeds,
        "score": fmean(values),
        "score_ci95": list(bootstrap_mean(values)),
        "seed_scores": each,
        "seed_sd": stdev(each) if len(each) > 1 else None,
        "seed_ci95": _over_seeds(each),
    }


def _over_seeds(values: Sequence[float]) -> list[float] | None:
    return list(t_interval(values)) if len(values) > 1 else None


def _difference(name: str, finished: Mapping[str, BySeed], ids: Sequence[str]) -> dict[str, Any]:
    shared = sorted(finished[name].keys() & finished.get(REFERENCE, {}).keys())
    if name == REFERENCE or not shared or not ids:
        return dict.fromkeys(("difference", "difference_ci95", "difference_seed_ci95", "p_value", "p_holm"))
    found = paired_test(_items(finished[name], shared, ids), _items(finished[REFERENCE], shared, ids))
    each = [
        fmean(_items(finished[name], [seed], ids)) - fmean(_items(finished[REFERENCE], [seed], ids)) for seed in shared
    ]
    return {
        "difference": found.difference,
        "difference_ci95": list(found.ci95),
        "difference_seed_ci95": _over_seeds(each),
        "p_value": found.p_value,
        "p_holm": None,
    }


def _items(cells: BySeed, seeds: Sequence[int], ids: Sequence[str]) -> list[float]:
    """The score of every query, averaged over the seeds, in the unit of the score."""
    by_seed = []
    for seed in seeds:
        scale = cells[seed].record["results"]["scale"]
        by_seed.append({one["id"]: scale * one["score"] for one in cells[seed].predictions})
    return [fmean(scores[name] for scores in by_seed) for name in ids]
