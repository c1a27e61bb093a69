"""Cells are done once, found again by their hash, and a failing one stops nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from experiments.toy_run import jobs
from experiments.toy_worker import FAILS, IDS, QUERIES, answer
from hificl.experiments.job import Job
from hificl.experiments.pool import Message
from hificl.experiments.schedule import Step, identify, pending, perform
from hificl.records import read_json


class Here:
    """A pool of one in this process, which remembers what it was asked."""

    size = 1

    def __init__(self, change: Mapping[str, Any] | None = None) -> None:
        self.asked: list[Message] = []
        self.change = change or {}

    def answers(self, messages: Sequence[Message]) -> Iterator[tuple[int, Mapping[str, Any]]]:
        for number, message in enumerate(messages):
            self.asked.append(message)
            yield number, {**answer(message), **(self.change if message["do"] == "perform" else {})}

    def close(self) -> None:
        pass

    @property
    def performed(self) -> list[int]:
        return [message["job"]["seed"] for message in self.asked if message["do"] == "perform"]


def run(some: Sequence[Job], root: Path, pool: Here, **options: Any) -> int:
    return perform(list(identify(some, root, pool).values()), pool, **options)


def test_finished_cells_are_not_done_again(tmp_path: Path) -> None:
    first, second = Here(), Here()
    assert run(jobs(3), tmp_path, first) == 0
    assert run(jobs(5), tmp_path, second) == 0
    assert (first.performed, second.performed) == ([0, 1, 2], [3, 4])


def test_a_job_that_is_asked_for_twice_runs_once(tmp_path: Path) -> None:
    pool = Here()
    planned = identify([*jobs(2), *jobs(3)], tmp_path, pool)
    perform([*planned.values(), *planned.values()], pool)
    assert pool.performed == [0, 1, 2]
    assert len(list(tmp_path.glob("cells/toy/*/cell.json"))) == 3


def test_a_failure_is_kept_with_its_reason_and_tried_again_only_on_request(tmp_path: Path) -> None:
    some = [*jobs(1), Job("toy", "toy", "hificl", seed=FAILS), *jobs(3)]
    first, second, third = Here(), Here(), Here()
    assert run(some, tmp_path, first) == 1
    assert first.performed == [0, FAILS, 1, 2]
    (file,) = tmp_path.glob("cells/toy/*/error.json")
    error = read_json(file)
    assert error["error"] == {"type": "RunError", "message": "no luck", "traceback": None}
    assert error["job"]["seed"] == FAILS
    assert run(some, tmp_path, second) == 0
    assert second.performed == []
    assert run(some, tmp_path, third, retry_failed=True) == 1
    assert third.performed == [FAILS]


def test_a_record_removes_the_error_of_an_earlier_attempt(tmp_path: Path) -> None:
    (planned,) = identify(jobs(1), tmp_path, Here()).values()
    planned.place.fail(planned.job, {"type": "RunError", "message": "once", "traceback": None})
    assert planned.place.failure == "RunError: once"
    assert pending([planned]) == []
    perform([planned], Here(), retry_failed=True)
    assert (planned.place.failure, planned.place.is_finished, planned.place.error.exists()) == (None, True, False)


def test_a_job_that_cannot_be_run_is_a_failure_of_its_own(tmp_path: Path) -> None:
    class Refuses(Here):
        def answers(self, messages: Sequence[Message]) -> Iterator[tuple[int, Mapping[str, Any]]]:
            for number, found in super().answers(messages):
                job = messages[number]["job"]
                refused = {"type": "InputError", "message": "no such data", "traceback": None}
                yield number, {"error": refused} if job["seed"] == 1 and messages[number]["do"] == "identify" else found

    planned = identify(jobs(3), tmp_path, Refuses())
    assert [one.error is None for one in planned.values()] == [True, False, True]
    assert [one.place.failure for one in planned.values()] == [None, "InputError: no such data", None]
    pool = Here()
    assert perform(list(planned.values()), pool) == 0
    assert pool.performed == [0, 2]
    # Data that are there the next time make it an ordinary cell.
    again = identify(jobs(3), tmp_path, Here())
    assert [one.place.failure for one in again.values()] == [None, None, None]


def test_a_worker_that_sees_other_data_is_not_believed(tmp_path: Path) -> None:
    assert run(jobs(1), tmp_path, Here({"hash": "of other data"})) == 1
    assert not list(tmp_path.glob("cells/toy/*/cell.json"))
    (file,) = tmp_path.glob("cells/toy/*/error.json")
    assert "other data" in read_json(file)["error"]["message"]


def test_lists_are_written_once_with_the_images_of_their_queries(tmp_path: Path) -> None:
    pool = Here()
    identify(jobs(4), tmp_path, pool)
    identify(jobs(4), tmp_path, pool)
    assert [message["do"] for message in pool.asked].count("lists") == 1
    content = read_json(tmp_path / QUERIES)
    assert content["ids"] == IDS
    assert content["images"] == {"q3": "data/toy-queries/1.png"}
    assert (tmp_path / "data/toy-queries/1.png").read_bytes() == b"hello"


def test_every_end_is_told(tmp_path: Path) -> None:
    told: list[Step] = []
    planned = identify([*jobs(2), Job("toy", "toy", "hificl", seed=FAILS)], tmp_path, Here(), told.append)
    assert [(step.doing, step.done, step.total) for step in told] == [("reading", n, 3) for n in (1, 2, 3)]
    told.clear()
    perform(list(planned.values()), Here(), told.append)
    assert [(step.done, step.total) for step in told] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert [job.seed for job in told[0].open_jobs] == [0, 1, FAILS]
    assert [step.error for step in told] == [None, None, None, "RunError: no luck"]


@pytest.mark.parametrize("name", ["folder", "job", "pool", "schedule", "serving", "stored"])
def test_what_needs_no_model_needs_no_torch(name: str) -> None:
    """Whoever reads records, hands out cells or waits for them."""
    import subprocess
    import sys

    code = f"import sys, hificl.experiments.{name}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
