"""Doing cells: each found by its hash, none twice, every record written when it comes in, failures set aside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hificl.experiments.folder import Place, place_of, write_lists
from hificl.experiments.job import Job
from hificl.experiments.pool import Pool

Announce = Callable[["Step"], None]


@dataclass(frozen=True)
class Planned:
    """What a job comes to."""

    job: Job
    """What is asked for."""

    place: Place
    """Where its cell lies."""

    facts: Mapping[str, Any]
    """What a worker says about it: sizes, options, lists, revision; empty where it cannot be run at all."""

    error: Mapping[str, Any] | None = None
    """Why it cannot be run at all; None where it can."""


@dataclass(frozen=True)
class Step:
    """Where a run is, told whenever a cell begins to be looked at or ends."""

    doing: str
    """``"reading"`` or ``"running"``."""

    done: int
    """Jobs that were read, or cells that have ended in this run."""

    total: int
    """How many there are."""

    ended: Planned | None = None
    """The cell that has just ended."""

    error: str | None = None
    """Why it has no record; None where it has one."""

    open_jobs: tuple[Job, ...] = ()
    """At the beginning: what will be run."""


def identify(jobs: Iterable[Job], root: Path, pool: Pool, announce: Announce | None = None) -> dict[str, Planned]:
    """Find out what each job comes to, and write the lists of examples that are not there yet.

    Returns:
        What was planned by ``Job.key``. A job that cannot be run has an error in its place.
    """
    asked = list({job.key: job for job in jobs}.values())
    messages = [{"do": "identify", "job": job.to_dict()} for job in asked]
    found: dict[str, Planned] = {}
    for number, answer in pool.answers(messages):
        job = asked[number]
        if "error" in answer:
            place = place_of(root, job, job.name, job.key)
            place.fail(job, answer["error"])
            found[job.key] = Planned(job, place, {}, answer["error"])
        else:
            place_of(root, job, job.name, job.key).error.unlink(missing_ok=True)
            found[job.key] = Planned(job, place_of(root, job, answer["name"], answer["hash"]), answer)
        _tell(announce, Step("reading", len(found), len(asked)))
    _write_missing_lists(found.values(), root, pool)
    return {job.key: found[job.key] for job in asked}


def perform(
    planned: Sequence[Planned], pool: Pool, announce: Announce | None = None, *, retry_failed: bool = False
) -> int:
    """Run the cells that have no record yet, in their order, each once.

    Args:
        planned: The cells; several may lie at one place.
        pool: Who runs them.
        announce: Called at the beginning and whenever one has ended.
        retry_failed: Also run those that failed before.

    Returns:
        How many failed now.
    """
    open_cells = pending(planned, retry_failed=retry_failed)
    messages = [
        {"do": "perform", "job": one.job.to_dict(), "folder": str(one.place.work.absolute())} for one in open_cells
    ]
    _tell(announce, Step("running", 0, len(open_cells), open_jobs=tuple(one.job for one in open_cells)))
    failed = 0
    for done, (number, answer) in enumerate(pool.answers(messages), start=1):
        one = open_cells[number]
        error = answer.get("error") or _other_cell(one, answer)
        if error is None:
            one.place.finish(answer["record"])
        else:
            one.place.fail(one.job, error)
            failed += 1
        _tell(announce, Step("running", done, len(open_cells), one, one.place.failure))
    return failed


def pending(planned: Iterable[Planned], *, retry_failed: bool = False) -> list[Planned]:
    """Return the cells that a run would do: one for each place without a record."""
    waiting = {one.place.folder: one for one in planned if one.error is None and not one.place.is_finished}
    return [one for one in waiting.values() if retry_failed or one.place.failure is None]


def _write_missing_lists(planned: Iterable[Planned], root: Path, pool: Pool) -> None:
    wanted: dict[str, Job] = {}
    for one in planned:
        wanted |= {path: one.job for path in one.facts.get("lists", ()) if not (root / path).is_file()}
    jobs = list({job.key: job for job in wanted.values()}.values())
    for _, answer in pool.answers([{"do": "lists", "job": job.to_dict()} for job in jobs]):
        if "error" not in answer:
            write_lists(root, answer)


def _other_cell(one: Planned, answer: Mapping[str, Any]) -> dict[str, Any] | None:
    """The error of a cell that is not the one that was planned: another worker may see other data or versions."""
    if answer["hash"] == one.facts["hash"]:
        return None
    told = "a worker found other data, another model or other versions than the one that planned it; make them equal."
    return {"type": "RunError", "message": told, "traceback": None}


def _tell(announce: Announce | None, step: Step) -> None:
    if announce is not None:
        announce(step)
