"""What is still to be done, and how long it will take, judged from what was measured so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from hificl.backbones import Backbone
from hificl.cell import Cell
from hificl.methods import METHODS
from hificl.training.recipes import PLAIN, recipe_fields, resolve_recipe

FITTING_PASSES = 20
"""Rough number of passes of a fit over the support set, in the work of an answer, before one was measured."""


@dataclass(frozen=True)
class Job:
    """One cell to be run."""

    label: str
    """What people read."""

    kind: str
    """Jobs of one kind take about the same time."""

    work: float
    """Rough work, in answers to a question without demonstrations."""


@dataclass(frozen=True)
class Step:
    """Where a comparison is, told before each cell."""

    label: str
    position: int
    """Number of the cell, from 1."""

    total: int
    """Number of cells, trials of the search included."""

    done: bool
    """Whether it was finished in an earlier session."""

    seconds_left: float | None
    """Rough time until the end, this cell included; None before anything was measured."""


Announce = Callable[[Step], None]


class Agenda:
    """The jobs in their order; each is announced when it begins.

    Args:
        jobs: All of them.
        announce: Called before each job; None tells nobody.
    """

    def __init__(self, jobs: Sequence[Job], announce: Announce | None = None) -> None:
        self.jobs = list(jobs)
        self.announce = announce
        self.position = 0
        self._seconds: dict[str, list[float]] = {}
        self._worked = 0.0

    @contextmanager
    def step(self, *, done: bool) -> Iterator[None]:
        """Announce the next job and measure it, unless it was done before."""
        job = self.jobs[self.position]
        if self.announce is not None:
            self.announce(Step(job.label, self.position + 1, len(self.jobs), done, self.seconds_left()))
        self.position += 1
        started = time.perf_counter()
        try:
            yield
        finally:
            if not done:
                self._seconds.setdefault(job.kind, []).append(time.perf_counter() - started)
                self._worked += job.work

    def seconds_left(self) -> float | None:
        """Rough time of the jobs from the present one on; None before anything was measured.

        A job takes as long as those of its kind took; without any, its work at the speed of all so far.
        """
        if not self._worked:
            return None
        speed = sum(map(sum, self._seconds.values())) / self._worked
        return sum(self._expected(job, speed) for job in self.jobs[self.position :])

    def _expected(self, job: Job, speed: float) -> float:
        measured = self._seconds.get(job.kind)
        return sum(measured) / len(measured) if measured else speed * job.work


def rough_work(backbone: Backbone, cell: Cell, support: int, queries: int) -> float:
    """Rough work of a cell, in answers to a question without demonstrations; a visit in training is worth four."""
    answers = float(queries * (cell.shots + 1))
    kind = METHODS[cell.method].kind
    if kind != "trained":
        return answers + (FITTING_PASSES * support if kind == "fitted" else 0)
    family = backbone.family.training_defaults.get(cell.method, {})
    ours = {name: value for name, value in cell.options.items() if name in recipe_fields()}
    recipe = resolve_recipe(PLAIN, cell.method, family, ours)
    return answers + 4.0 * recipe.total_steps(support) * recipe.batch_size
