"""The dry run of ``hificl compare``: parameters of every method, and the cells that would be run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hificl.cli.report import Report
from hificl.cli.task_data import read_rows

if TYPE_CHECKING:
    from hificl.cli.compare import CompareOptions


def show_plan(report: Report, chosen: CompareOptions, overrides: Mapping[str, Any]) -> None:
    """Count and list; nothing is run or written, and the model needs no more than a ``config.json``."""
    from hificl.backbones.dtypes import dtype_name
    from hificl.cli.compare_table import show_counts
    from hificl.cli.inputs import quiet_libraries
    from hificl.comparison import count_methods, find_variants, seeds_of, split_overrides

    quiet_libraries()
    # What a run would refuse is refused here.
    if chosen.dtype is not None:
        dtype_name(chosen.dtype)
    seeds_of(chosen.seeds, chosen.shots)
    split_overrides(overrides, find_variants(chosen.methods))
    # Counting is cheap, so that all means the named variants too.
    methods = "all,variants" if chosen.methods == "all" else chosen.methods
    found = count_methods(chosen.model, methods, split_overrides(overrides, find_variants(methods)))
    if chosen.task is not None:
        found |= _sizes(chosen)
    report.result(found, lambda screen: show_counts(screen, found))


def _sizes(chosen: CompareOptions) -> dict[str, Any]:
    """What a comparison on the task would run."""
    from hificl.comparison import find_variants

    rows = read_rows(chosen.data)
    return {
        "task": chosen.task,
        "train_size": len(rows.support),
        "query_size": len(rows.queries),
        "output": chosen.folder,
        "cells": [f"{one.name}, seed {seed}" for seed in range(chosen.seeds) for one in find_variants(chosen.methods)],
    }
