"""Benchmarks: published data sets, read from a folder of the user's in their official files or as parquet mirrors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from hificl.data import Example
from hificl.errors import InputError
from hificl.tasks.benchmarks import loading, mapped_rows, sample_ids, validation
from hificl.tasks.benchmarks.benchmark import Benchmark
from hificl.tasks.benchmarks.chair import CHAIR
from hificl.tasks.benchmarks.coco_captions import COCO_CAPTIONS
from hificl.tasks.benchmarks.flickr30k import FLICKR30K
from hificl.tasks.benchmarks.hateful_memes import HATEFUL_MEMES
from hificl.tasks.benchmarks.loading import Folder, load_benchmark
from hificl.tasks.benchmarks.mme import MME
from hificl.tasks.benchmarks.ocr_vqa import OCR_VQA
from hificl.tasks.benchmarks.ok_vqa import OK_VQA
from hificl.tasks.benchmarks.sample_ids import rows_hash
from hificl.tasks.benchmarks.seed_bench import SEED_BENCH
from hificl.tasks.benchmarks.validation import Report
from hificl.tasks.benchmarks.vqav2 import VQAV2
from hificl.tasks.task import Task, TaskData

BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        benchmark.name: benchmark
        for benchmark in (
            VQAV2,
            OK_VQA,
            COCO_CAPTIONS,
            FLICKR30K,
            OCR_VQA,
            SEED_BENCH,
            MME,
            HATEFUL_MEMES,
            CHAIR,
        )
    }
)
"""Every benchmark by name."""


def as_task(benchmark: Benchmark) -> Task:
    """Return the entry of a benchmark in ``TASKS``; its ``load`` is :func:`load_benchmark`."""
    return Task(
        name=benchmark.name,
        description=benchmark.description,
        license=benchmark.license,
        source=benchmark.source,
        metric=benchmark.metric,
        load=partial(load_benchmark, benchmark),
        origin="root",
        kind=benchmark.kind,
        protocols=dict(benchmark.protocols),
    )


def validate(name: str, root: Folder, **options: Any) -> Report:
    """Check the folder of a benchmark by name; options are ``images``, ``columns`` and ``samples``.

    See :func:`hificl.tasks.benchmarks.validation.validate`. Bad data are reported, not raised.

    Raises:
        InputError: There is no such benchmark, or an option is wrong.
    """
    return validation.validate(benchmark_named(name), root, **options)


def protocol_ids(
    name: str, root: Folder, protocol: str = "hificl", seed: int | None = None, **options: Any
) -> dict[str, Any]:
    """Return the sample ids and hashes of a protocol by the name of its benchmark, as JSON values.

    See :func:`hificl.tasks.benchmarks.sample_ids.protocol_ids`; options are those of :func:`load_benchmark`.

    Raises:
        InputError: There is no such benchmark or protocol, or the data are wrong.
    """
    return sample_ids.protocol_ids(benchmark_named(name), root, protocol, seed, **options)


def read_split(name: str, root: Folder, split: str, **options: Any) -> TaskData:
    """Read a whole split as ``queries``; options are ``images``, ``columns`` and ``on_bad``.

    See :func:`hificl.tasks.benchmarks.loading.read_split`.

    Raises:
        InputError: There is no such benchmark or split, or the data are wrong.
    """
    return loading.read_split(benchmark_named(name), root, split, **options)


def examples_from_rows(name: str, rows: Iterable[Mapping[str, Any]], **options: Any) -> list[Example]:
    """Make examples of rows in memory, such as those of a ``datasets.Dataset``.

    See :func:`hificl.tasks.benchmarks.mapped_rows.examples_from_rows`; options are ``split``, ``columns`` and
    ``images``.

    Raises:
        InputError: There is no such benchmark, or a row is wrong.
    """
    return mapped_rows.examples_from_rows(benchmark_named(name), rows, **options)


def benchmark_named(name: str) -> Benchmark:
    """Return a benchmark by name.

    Raises:
        InputError: There is none of this name.
    """
    if name not in BENCHMARKS:
        raise InputError(f"unknown benchmark {name!r}; choose one of {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name]


__all__ = [
    "BENCHMARKS",
    "Benchmark",
    "Report",
    "as_task",
    "benchmark_named",
    "examples_from_rows",
    "load_benchmark",
    "protocol_ids",
    "read_split",
    "rows_hash",
    "validate",
]
