"""The remaining time: from like jobs where some were measured, else from work."""

from __future__ import annotations

import time

import pytest

from hificl.backbones import Backbone
from hificl.cell import Cell
from hificl.comparison.agenda import Agenda, Job, Step, rough_work

JOBS = [Job("a, seed 0", "a", 10.0), Job("b, seed 0", "b", 30.0), Job("a, seed 1", "a", 10.0), Job("c", "c", 5.0)]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def test_the_rest_is_judged_by_kind_and_then_by_work(clock: list[float]) -> None:
    told: list[Step] = []
    agenda = Agenda(JOBS, told.append)
    for seconds in (4.0, 8.0, 6.0, 1.0):
        with agenda.step(done=False):
            clock[0] += seconds
    assert [step.label for step in told] == [job.label for job in JOBS]
    assert [(step.position, step.total) for step in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    left = [step.seconds_left for step in told]
    assert left[0] is None
    assert left[1] == pytest.approx(0.4 * 30 + 4 + 0.4 * 5)  # b and c by work, the second a as the first
    assert left[2] == pytest.approx(4 + 12 / 40 * 5)
    assert left[3] == pytest.approx(18 / 50 * 5)


def test_what_was_done_before_measures_nothing(clock: list[float]) -> None:
    told: list[Step] = []
    agenda = Agenda(JOBS, told.append)
    for _ in JOBS:
        with agenda.step(done=True):
            clock[0] += 0.01
    assert all(step.done and step.seconds_left is None for step in told)


def test_a_job_that_fails_is_measured_too(clock: list[float]) -> None:
    agenda = Agenda(JOBS)

    def fail() -> None:
        with agenda.step(done=False):
            clock[0] += 5.0
            raise ValueError

    pytest.raises(ValueError, fail)
    assert agenda.seconds_left() == pytest.approx(0.5 * 30 + 5 + 0.5 * 5)


def test_work_grows_with_shots_and_visits(backbone: Backbone) -> None:
    def work(cell: Cell) -> float:
        return rough_work(backbone, cell, 60, 13)

    assert work(Cell("zero_shot")) == 13
    assert work(Cell("icl", shots=4)) == 13 * 5
    assert work(Cell("task_vector")) > 13
    assert work(Cell("lora", options={"steps": 7, "batch_size": 2})) == 13 + 4 * 7 * 2
