"""``run_grid``: every cell of one or more grids, resumably, and a summary of each, drawn from the records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hificl import records
from hificl.errors import InputError
from hificl.experiments.changes import Changes, read_changes
from hificl.experiments.entries import Entry, entries_of
from hificl.experiments.folder import WORK, claimed
from hificl.experiments.grid import EMBEDDED, Grid
from hificl.experiments.grid_file import read_grid
from hificl.experiments.pool import LocalPool, Pool
from hificl.experiments.ray_pool import RayPool
from hificl.experiments.schedule import Announce, Planned, Step, identify, pending, perform
from hificl.experiments.speed import run_speed, speed_states
from hificl.experiments.summary import cells_of, keys_of, summarise

OUTPUT = "runs/experiments"


@dataclass(frozen=True)
class Outcome:
    """What a run leaves."""

    summaries: Sequence[Mapping[str, Any]]
    """The contents of the summaries, one for each grid."""

    files: Sequence[Path]
    """Where they lie."""

    failed: int
    """Cells and scripts of this run without a result."""


def run_grid(path: str | Path, **options: Any) -> Outcome:
    """Run one grid; options are those of :func:`run_grids`."""
    return run_grids([path], **options)


def run_grids(
    paths: Sequence[str | Path],
    *,
    output: str | Path = OUTPUT,
    workers: int | None = None,
    ray: str | None = None,
    changes: Mapping[str, Any] | None = None,
    only: Sequence[str] = (),
    retry_failed: bool = False,
    announce: Announce | None = None,
) -> Outcome:
    """Run the cells of grids that have no record yet, and draw the summary of each grid from its records.

    A cell is found by a hash of all that can change its result: model, data, method, options, seed, versions of the
    libraries. Finished ones are never done again; grids that name the same cell share it. A failing cell leaves its
    error and stops nothing. What is killed loses no more than the cells that were running.

    Args:
        paths: Files of the grids, the most important first.
        output: Folder of all experiments: ``cells/``, ``data/``, ``speed/``, and ``GRID.json`` for each grid (for
            the real tier ``GRID-real.json``). ``work/`` keeps adapters and logs, and may be deleted.
        workers: Worker processes, each with one model load and one thread; 1 by default, on a cluster all that fit.
        ray: Address of a Ray cluster that runs the cells in place of this machine, or ``"local"``.
        changes: Values in place of those of the grids: ``tier``, ``model``, ``dtype``, ``task``, ``variant``,
            ``seeds``, ``train_size``, ``query_size``, ``shots``, ``protocol``, ``prompt``, ``root`` (folder of the
            benchmarks) and ``options.NAME``.
        only: Filters such as ``"variant=hificl,lora"``; the other cells are left for another time.
        retry_failed: Run cells again that failed before.
        announce: Called as cells are read and run.

    Returns:
        The summaries and the number of failures.

    Raises:
        InputError: A grid or a change is wrong, another run works in ``output``, or a summary there has cells that are
            not asked for.
        RunError: A file could not be written.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers is {workers}; give 1 or more.")
    grids = [read_grid(path) for path in paths]
    changed, root = read_changes(changes or {}, only), Path(output)
    entries = {grid.name: entries_of(grid, changed) for grid in grids}
    if len(entries) < len(grids):
        raise InputError(f"run: two grids have one name ({', '.join(grid.name for grid in grids)}); name each once.")
    tiers = [changed.apply(grid) for grid in grids]
    with claimed(root) as lock:
        pool: Pool
        if ray is None:
            pool = LocalPool(workers or 1, root / WORK, lock)
        else:
            pool = RayPool(ray, workers, max(tier.cpus for tier in tiers), max(tier.gpus for tier in tiers))
        with closing(pool):
            planned = identify([one.job for grid in grids for one in entries[grid.name]], root, pool, announce)
            files = [_Summary(grid, changed, entries[grid.name], planned, root) for grid in grids]
            for file in files:
                file.check()
            failed = _perform(files, pool, announce, retry_failed)
        if not only:
            failed += sum(run_speed(tier.speed, root, retry_failed=retry_failed) for tier in tiers)
        unable = sum(one.error is not None for one in planned.values())
        return Outcome([file.write() for file in files], [file.path for file in files], failed + unable)


@dataclass(frozen=True)
class _Summary:
    """The summary of one grid."""

    grid: Grid
    changes: Changes
    entries: Sequence[Entry]
    planned: Mapping[str, Planned]
    root: Path

    @property
    def path(self) -> Path:
        """Where it lies."""
        tier = "" if self.changes.tier == EMBEDDED else f"-{self.changes.tier}"
        return self.root / f"{self.grid.name}{tier}.json"

    @property
    def wanted(self) -> list[Planned]:
        """The cells that the filters let through, in order."""
        return [self.planned[one.job.key] for one in self.entries if one.wanted]

    def content(self) -> dict[str, Any]:
        """What it says now."""
        found = summarise(self.grid, self.changes.tier, self.entries, self.planned, self.root)
        return {**found, "speed": speed_states(self.changes.apply(self.grid).speed, self.root)}

    def check(self) -> None:
        """Refuse to replace a summary by one of fewer cells.

        Raises:
            InputError: The message names a cell that is there and is not asked for.
        """
        if not self.path.is_file():
            return
        there, asked = cells_of(records.read_json(self.path)), keys_of(self.entries, self.planned)
        if more := sorted(there - asked):
            raise InputError(
                f"{self.path}: has {len(more)} cells more than are asked for, such as {more[0]}; choose another "
                "output, ask for all of them (--only runs a part), or remove this file: the records stay."
            )

    def write(self) -> dict[str, Any]:
        """Draw it."""
        content = self.content()
        records.write_json(self.path, content)
        return content


def _perform(files: Sequence[_Summary], pool: Pool, announce: Announce | None, retry_failed: bool) -> int:
    """Run what is open, and draw a summary as soon as the last cell of its grid has ended, or when all is stopped."""
    wanted = list({id(one): one for file in files for one in file.wanted}.values())
    left = {file.path: {one.place.folder for one in pending(file.wanted, retry_failed=retry_failed)} for file in files}

    def ended(step: Step) -> None:
        for file in files:
            open_cells = left[file.path]
            if step.ended is not None and step.ended.place.folder in open_cells:
                open_cells.remove(step.ended.place.folder)
                if not open_cells:
                    file.write()
        if announce is not None:
            announce(step)

    try:
        return perform(wanted, pool, ended, retry_failed=retry_failed)
    except KeyboardInterrupt:
        for file in files:
            file.write()
        raise
