"""The cells of a comparison: the same conditions for all, run once, kept, and a failure that stops nothing else."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hificl import records
from hificl.backbones import Backbone
from hificl.cell import (
    Cell,
    Finished,
    Setting,
    cell_identity,
    clear_cell,
    data_contents,
    other_cell,
    read_cell,
    run_cell,
)
from hificl.comparison.variants import Variant
from hificl.data import Example
from hificl.errors import HificlError
from hificl.tasks import TaskData

logger = logging.getLogger(__name__)

OPEN = "open"
"""Subset of the queries whose ``meta`` says so, where it does: what blind guessing does not solve."""

DEFAULT_SHOTS = 8


@dataclass(frozen=True)
class Conditions:
    """What is the same for every method."""

    backbone: Backbone
    data: TaskData
    task: str
    metric: str
    setting: Setting | None = None
    shots: int | None = None
    """Demonstrations of in-context learning; None takes the chosen number, else ``DEFAULT_SHOTS``."""

    seed: int = 0

    @property
    def subsets(self) -> dict[str, list[str]]:
        """Ids of the queries by name of a subset beside "all"."""
        return {OPEN: [one.id for one in self.data.queries if one.meta[OPEN]]} if is_split(self.data.queries) else {}

    @cached_property
    def contents(self) -> dict[str, str]:
        """Hashes over all that the examples hold; every image is read for them."""
        return data_contents(self.data)

    def identity(self, cell: Cell) -> dict[str, Any]:
        """Return everything that decides the result of a cell under these conditions."""
        return cell_identity(
            cell, self.backbone, self.data, self.task, self.metric, cell.options, self.setting,
            subsets=self.subsets, contents=self.contents,
        )  # fmt: skip

    @property
    def headline(self) -> str:
        """The subset that a comparison is about."""
        return OPEN if is_split(self.data.queries) else "all"


def is_split(queries: Sequence[Example]) -> bool:
    """Whether every query says if it is open."""
    return bool(queries) and all(OPEN in one.meta for one in queries)


def make_cell(variant: Variant, options: Mapping[str, Any], seed: int, shots: int | None) -> Cell:
    """Return the cell of a variant with its resolved options; ``shots`` counts before those among the options.

    Raises:
        InputError: Options that the method does not have, where that can be seen without a model.
    """
    rest = dict(options)
    chosen = rest.pop("shots", DEFAULT_SHOTS) if variant.method == "icl" else 0
    if variant.method == "icl" and shots is not None:
        chosen = shots
    return Cell(variant.method, chosen, seed, options=rest, variant=None if variant.is_plain else variant.name)


def finished_cell(cell: Cell, conditions: Conditions, folder: Path) -> Finished | None:
    """Return the cell if it was finished as it is asked for, with the present versions of the libraries.

    Another one is removed, with a line about what differs. The commit may differ: it stands in the record.
    """
    try:
        identity = conditions.identity(cell)
    except Exception:  # it cannot be run on this model; running it says why
        return None
    told = other_cell(folder, identity)
    finished = None if told else read_cell(folder, cell, identity)
    if finished is not None:
        now, then = records.environment(), finished.record["environment"]
        stale = [name for name, version in now.items() if name != "commit" and then.get(name) != version]
        if not stale:
            return finished
        told = f"made with another {', '.join(stale)}"
    if told:
        logger.warning("%s: %s; it is run again", folder, told)
        clear_cell(folder)
    return None


def run_one(cell: Cell, conditions: Conditions, folder: Path) -> Finished | Exception:
    """Run a cell; what stops it is returned, so that the others go on."""
    try:
        return run_cell(
            cell, conditions.backbone, conditions.data, task=conditions.task, metric=conditions.metric,
            output_dir=folder, subsets=conditions.subsets, setting=conditions.setting, contents=conditions.contents,
        )  # fmt: skip
    except HificlError as error:
        logger.warning("%s: %s", folder, error)
        return error
    except Exception as error:  # a method may fail in any way; its place in the table says how
        logger.exception("%s failed", folder)
        return error


def failure(error: Exception) -> str:
    """The error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
