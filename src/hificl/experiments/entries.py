"""From a grid to its cells: every point of every block, each as a job that any process can do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from hificl.comparison.variants import Variant, find_variants
from hificl.errors import InputError
from hificl.experiments.changes import Changes
from hificl.experiments.grid import Block, Grid, Tier
from hificl.experiments.grid_file import nearest
from hificl.experiments.job import Job
from hificl.methods import METHODS
from hificl.tasks import TASKS
from hificl.training.request import option_names

ALWAYS = ("task", "variant")
"""Axes that every point has, whether or not they vary."""

DEFAULT_PROTOCOL = "hificl"


@dataclass(frozen=True)
class Entry:
    """One cell of a grid: where it stands in it, and the job behind it."""

    job: Job
    """What is run. Cells at several points, or of several grids, may share one."""

    method: str
    """Name in ``METHODS``."""

    seed: int
    """The seed that the grid asks for; a job that does not depend on it stands for all seeds."""

    values: Mapping[str, Any]
    """The value of every axis."""

    wanted: bool = True
    """Whether the filters let it through."""


def entries_of(grid: Grid, changes: Changes) -> list[Entry]:
    """Return the cells of a grid, seed by seed, so that an unfinished grid has whole seeds.

    Raises:
        InputError: An unknown task, variant, option or axis of a filter (nearest name given), or an option that no
            method of its block takes.
    """
    tier = changes.apply(grid)
    found = [entry for block in tier.cells for entry in _block_entries(block, tier, changes)]
    axes = {name for entry in found for name in entry.values} | {"seed"}
    for name in changes.only:
        if found and name not in axes:
            raise InputError(f"only: {grid.name} has no axis {name!r}{nearest(name, axes)}")
    found = list({(entry.job.key, repr(entry.values), entry.seed): entry for entry in found}.values())
    order = {seed: place for place, seed in enumerate(dict.fromkeys(entry.seed for entry in found))}
    return sorted(found, key=lambda entry: order[entry.seed])


def axes_of(entries: Sequence[Entry]) -> list[str]:
    """Return the names of what varies in a grid beside the seed, the task and the variant first.

    A method that does not take an option does not make it vary.
    """
    takers: dict[str, set[str]] = {}
    for entry in entries:
        for name in entry.values:
            takers.setdefault(name, set()).add(entry.method)
    names = dict.fromkeys((*ALWAYS, *takers))
    return [name for name in names if name in ALWAYS or _varies(name, entries, takers[name])]


def _varies(name: str, entries: Sequence[Entry], takers: set[str]) -> bool:
    return len({repr(entry.values.get(name)) for entry in entries if entry.method in takers}) > 1


def _block_entries(block: Block, tier: Tier, changes: Changes) -> Iterator[Entry]:
    variants = find_variants(block.variants)
    if "variant" not in changes.values:  # other variants than those of the file may have no use for its options
        _check_options(block, variants)
    seeds = block.seeds or tier.seeds
    models = block.models or tier.models
    for seed, model, task, protocol in product(seeds, models, block.tasks, block.protocol):
        if task not in TASKS:
            raise InputError(f"grid: unknown task {task!r}{nearest(task, TASKS)}")
        benchmark = TASKS[task].origin == "root"
        common: dict[str, Any] = {
            "model": model,
            "task": task,
            "measure": block.measure,
            "query_size": block.query_size,
            "protocol": (protocol or DEFAULT_PROTOCOL) if benchmark else None,
            "prompt": block.prompt,
            "dtype": block.dtype or tier.dtype,
            "root": changes.root if benchmark else None,
            "measure_options": dict(block.measure_options),
        }
        for task_options, size, control in product(_points(block.task_options), block.train_size, block.control):
            own = {**common, "task_options": task_options, "train_size": size, "control": control}
            for variant in variants:
                yield from _variant_entries(block, variant, own, seed, seeds, changes)


def _variant_entries(
    block: Block, variant: Variant, own: Mapping[str, Any], seed: int, seeds: Sequence[int], changes: Changes
) -> Iterator[Entry]:
    """The cells of one variant: an axis that it has no use for does not multiply them."""
    taken = {name: values for name, values in block.options.items() if name in _takes(variant)}
    for shots, options in product(block.shots if variant.method == "icl" else (None,), _points(taken)):
        asked = seeds[0] if _ignores_seed(variant, own["control"]) else seed
        job = Job(**own, variant=variant.name, seed=asked, shots=shots, options=options)
        values = {
            "model": job.model, "task": job.task, **job.task_options, "protocol": job.protocol,
            "variant": variant.name, "train_size": job.train_size, "shots": shots, "control": job.control,
            "measure": job.measure, **options,
        }  # fmt: skip
        yield Entry(job, variant.method, seed, values, changes.wants({**values, "seed": seed}))


def _ignores_seed(variant: Variant, control: str | None) -> bool:
    """Whether one cell stands for all seeds: nothing is drawn for it."""
    return control is None and (variant.method == "zero_shot" or variant.options.get("retrieval") == "rices")


def _takes(variant: Variant) -> set[str]:
    return set() if METHODS[variant.method].kind == "prompt" else option_names(variant.method)


def _check_options(block: Block, variants: Sequence[Variant]) -> None:
    known = {name for variant in variants for name in _takes(variant)}
    for name in block.options:
        if name not in known:
            hint = nearest(name, known) if known else "; leave it out."
            raise InputError(f"grid: none of {', '.join(one.name for one in variants)} takes {name!r}{hint}")


def _points(axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """The product of axes, as mappings."""
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
