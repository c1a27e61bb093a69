"""The ids and hash of a protocol's rows, so that two people can know that they used the same."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from hificl.data import Example
from hificl.records import content_hash
from hificl.tasks.benchmarks.benchmark import Benchmark
from hificl.tasks.benchmarks.loading import Folder, load_benchmark
from hificl.tasks.task import TaskWarning


def protocol_ids(
    benchmark: Benchmark, root: Folder, protocol: str = "hificl", seed: int | None = None, **options: Any
) -> dict[str, Any]:
    """Return which rows a protocol takes, as JSON values.

    Args:
        benchmark: The benchmark.
        root: Folder of the data set.
        protocol: Key of ``Task.protocols``.
        seed: Seed of the support draw; None takes the first of the protocol.
        options: Those of :func:`~hificl.tasks.benchmarks.load_benchmark`.

    Returns:
        ``task``, ``protocol``, ``seed``, ``query_seed``, ``support_ids``, ``query_ids``, ``support_hash``,
        ``query_hash``, ``skipped`` and ``warnings``. The hashes are those of :func:`rows_hash`.

    Raises:
        InputError: See :func:`~hificl.tasks.benchmarks.load_benchmark`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TaskWarning)  # they stand in the result
        data = load_benchmark(benchmark, root, protocol=protocol, seed=seed, **options)
    chosen = benchmark.protocols[protocol]
    return {
        "task": benchmark.name,
        "protocol": protocol,
        "seed": chosen.seeds[0] if seed is None else seed,
        "query_seed": chosen.query_seed,
        "support_ids": [example.id for example in data.support],
        "query_ids": [example.id for example in data.queries],
        "support_hash": rows_hash(data.support),
        "query_hash": rows_hash(data.queries),
        "skipped": [asdict(one) for one in data.skipped],
        "warnings": list(data.warnings),
    }


def rows_hash(examples: Sequence[Example]) -> str:
    """Hash the id, question and answers of examples in their order.

    Images are left out: mirrors encode them anew, so equal rows would get different hashes.
    """
    return content_hash([[one.id, one.question, list(one.answers)] for one in examples])
