"""What a comparison says at its end: rows, tests, holes with their reasons, and where every number comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hificl.cell import Finished
from hificl.comparison.cells import Conditions
from hificl.comparison.differences import score_differences
from hificl.comparison.values import Values
from hificl.comparison.variants import Variant

BySeed = Mapping[int, Finished]

_UNKNOWN = (
    "trainable_parameters", "stored_parameters", "stored_bytes", "score", "score_ci95", "train_seconds",
    "seconds_per_answer", "peak_memory_bytes", "record",
)  # fmt: skip


def summarise(
    conditions: Conditions,
    variants: Sequence[Variant],
    seeds: Sequence[int],
    finished: Mapping[str, BySeed],
    failed: Sequence[Mapping[str, Any]],
    values: Values,
    own: Mapping[str, Mapping[str, Any]],
    folder: Path,
) -> dict[str, Any]:
    """Return the content of ``summary.json``.

    ``rows`` has one entry per variant, seed and subset, those of failed cells with their ``error`` and nothing known;
    ``comparisons`` one per variant and subset, over the seeds.
    """
    every = [one.id for one in conditions.data.queries]
    subsets = {"all": every, **conditions.subsets}
    errors = {(one["variant"], one["seed"]): one["error"] for one in failed}
    rows = [
        _row(
            variant,
            seed,
            subset,
            finished[variant.name].get(seed),
            errors.get((variant.name, seed)),
            conditions,
            folder,
        )
        for seed in seeds
        for variant in variants
        for subset in subsets
    ]
    return {
        "task": conditions.task,
        "backbone": conditions.backbone.name,
        "revision": conditions.backbone.revision,
        "train_size": len(conditions.data.support),
        "query_size": len(every),
        "seeds": list(seeds),
        "metric": conditions.metric,
        "scale": next((one.record["results"]["scale"] for cells in finished.values() for one in cells.values()), None),
        "headline": conditions.headline,
        "values": {
            "source": values.source,
            "record": values.record,
            "revision": values.revision,
            "options": {one.name: values.options(one, own[one.name]) for one in variants},
        },
        "rows": rows,
        "comparisons": [row for name, ids in subsets.items() for row in score_differences(finished, name, ids)],
        "failed": [dict(one) for one in failed],
    }


def _row(
    variant: Variant,
    seed: int,
    subset: str,
    finished: Finished | None,
    error: str | None,
    conditions: Conditions,
    folder: Path,
) -> dict[str, Any]:
    """One row: the fields of a quickstart, what is stored, and why there is nothing where there is nothing."""
    known = finished.row(subset, folder) if finished is not None else {}
    results = finished.record["results"] if finished is not None else {}
    known |= {name: results.get(name) for name in ("stored_parameters", "stored_bytes")}
    return {
        "method": variant.method,
        "variant": None if variant.is_plain else variant.name,
        "shots": known.get("shots"),
        "subset": subset,
        "seed": seed,
        "control": None,
        "metric": conditions.metric,
        **{name: known.get(name) for name in _UNKNOWN},
        "error": error,
    }
