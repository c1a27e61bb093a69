"""Whole grids on a tiny model: summaries, resumption, what a folder refuses, and real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from hificl.errors import InputError
from hificl.experiments import run as runs
from hificl.experiments import run_grid, run_grids
from hificl.experiments.pool import Message
from hificl.experiments.worker import Worker
from hificl.records import read_json
from training.tiny import save_tiny_llava

GRID = """# hificl run small.yaml
title: Small
artefact: None
question: Does it run?
embedded:
  models: MODEL
  seeds: 2
  cells:
    - tasks: easy_vqa
      train_size: 6
      query_size: 5
      variants: [zero_shot, icl, lora, hificl]
      shots: 2
      options: {steps: 2}
    - tasks: easy_vqa
      train_size: 6
      query_size: 5
      variants: hificl
      options: {steps: 2, r: [2, 8]}
"""


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grid")
    file = folder / "small.yaml"
    file.write_text(GRID.replace("MODEL", str(save_tiny_llava(folder / "model"))))
    return file


class Here:
    """A pool of one worker in this process, shared by the tests."""

    size = 1
    worker = Worker()

    def __init__(self, *_: object) -> None:
        self.performed: list[str] = []

    def answers(self, messages: Sequence[Message]) -> Iterator[tuple[int, Mapping[str, Any]]]:
        for number, message in enumerate(messages):
            yield number, self.worker.handle(message)

    def close(self) -> None:
        pass


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "LocalPool", Here)


def cells(folder: Path) -> dict[str, Any]:
    found = {}
    for file in sorted(folder.glob("cells/*/*/cell.json")):
        found[file.parent.name] = {name: part for name, part in read_json(file).items() if name != "volatile"}
    return found


@pytest.mark.usefixtures("here")
def test_a_grid_is_run_summed_up_and_gone_on_with(grid: Path, tmp_path: Path) -> None:
    told: list[int] = []
    first = run_grid(grid, output=tmp_path, changes={"seeds": 1}, announce=lambda step: told.append(step.total))
    # Zero-shot, icl, lora, hificl and hificl with r = 2; r = 8 is hificl.
    assert (first.failed, told[-1], len(cells(tmp_path))) == (0, 5, 5)
    summary = first.summaries[0]
    assert summary == read_json(tmp_path / "small.json")
    assert (summary["planned"], summary["finished"]) == (6, 6)
    assert {mean["line"] for mean in summary["means"]} == {
        "zero_shot", "icl, 2 shots", "lora", "hificl, r = 8", "hificl, r = 2",
    }  # fmt: skip
    before = cells(tmp_path)
    again = run_grid(grid, output=tmp_path)
    assert (again.summaries[0]["planned"], again.summaries[0]["finished"]) == (12, 12)
    # Zero-shot draws nothing: its cell stands for both seeds.
    assert len(cells(tmp_path)) == 9
    assert before.items() <= cells(tmp_path).items()


@pytest.mark.usefixtures("here")
def test_filters_run_a_part_and_the_summary_shows_the_holes(grid: Path, tmp_path: Path) -> None:
    done = run_grid(grid, output=tmp_path, only=["variant=zero_shot,icl", "seed=1"])
    summary = done.summaries[0]
    assert {(row["variant"], row["seed"]) for row in summary["rows"]} == {
        ("zero_shot", 0),
        ("zero_shot", 1),
        ("icl", 1),
    }
    assert (summary["planned"], len(summary["missing"])) == (12, 9)
    rest = run_grid(grid, output=tmp_path, only=["variant=icl"])
    assert len(rest.summaries[0]["missing"]) == 8


@pytest.mark.usefixtures("here")
def test_a_summary_is_not_replaced_by_one_of_fewer_cells(grid: Path, tmp_path: Path) -> None:
    run_grid(grid, output=tmp_path, changes={"variant": "icl"})
    with pytest.raises(InputError, match=r"small\.json: has 2 cells more than are asked for, such as .*icl, 2 shots"):
        run_grid(grid, output=tmp_path, changes={"variant": "zero_shot"})


@pytest.mark.usefixtures("here")
def test_failures_are_counted_and_stop_nothing(grid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def handle(message: Message) -> dict[str, Any]:
        if message["do"] == "perform" and message["job"]["variant"] == "lora":
            return {"error": {"type": "RunError", "message": "no luck", "traceback": None}}
        return Here.worker.handle(message)

    class Unlucky(Here):
        def answers(self, messages: Sequence[Message]) -> Iterator[tuple[int, Mapping[str, Any]]]:
            for number, message in enumerate(messages):
                yield number, handle(message)

    monkeypatch.setattr(runs, "LocalPool", Unlucky)
    done = run_grid(grid, output=tmp_path, changes={"seeds": 1}, only=["variant=icl,lora"])
    assert done.failed == 1
    assert [one["error"] for one in done.summaries[0]["failed"]] == ["RunError: no luck"]
    assert {mean["variant"] for mean in done.summaries[0]["means"]} == {"icl"}
    monkeypatch.setattr(runs, "LocalPool", Here)
    quiet = run_grid(grid, output=tmp_path, changes={"seeds": 1}, only=["variant=icl,lora"])
    assert (quiet.failed, len(quiet.summaries[0]["failed"])) == (0, 1)  # it is not tried again unless asked
    retried = run_grid(grid, output=tmp_path, changes={"seeds": 1}, only=["variant=icl,lora"], retry_failed=True)
    assert (retried.failed, retried.summaries[0]["failed"]) == (0, [])


@pytest.mark.usefixtures("here")
def test_ctrl_c_leaves_a_summary_of_what_is_there(grid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(step: Any) -> None:
        if step.doing == "running" and step.done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_grid(grid, output=tmp_path, only=["variant=zero_shot,icl"], announce=stop)
    summary = read_json(tmp_path / "small.json")
    # The one cell of zero-shot, which stands for both seeds.
    assert (summary["planned"], summary["finished"]) == (12, 2)


def test_two_grids_of_one_name_are_refused(grid: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two grids have one name"):
        run_grids([grid, grid], output=tmp_path)


def start(grid: Path, folder: Path, workers: int) -> subprocess.Popen[bytes]:
    words = [
        sys.executable,
        "-m",
        "hificl",
        "run",
        str(grid),
        "--output",
        str(folder),
        "--workers",
        str(workers),
        "--json",
    ]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_kills_leave_the_records_of_an_uninterrupted_run(grid: Path, tmp_path: Path) -> None:
    """Of the runner and of a worker in turn, at moments spread over a run; two workers, then one alone to compare."""
    plain, killed = tmp_path / "plain", tmp_path / "killed"
    started = time.monotonic()
    assert start(grid, plain, 1).wait() == 0
    length = time.monotonic() - started
    for number in range(20):
        process = start(grid, killed, 2)
        time.sleep(length * (0.15 + 0.85 * (number * 0.618 % 1)))
        tasks = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        workers = [int(word) for word in tasks.read_text().split()] if tasks.exists() else []
        os.kill(workers[0] if number % 2 and workers else process.pid, signal.SIGKILL)
        process.communicate()
    ended = start(grid, killed, 2)
    _, told = ended.communicate()
    assert ended.returncode == 0, told.decode()
    assert cells(killed) == cells(plain)
    assert read_json(killed / "small.json").keys() == read_json(plain / "small.json").keys()
