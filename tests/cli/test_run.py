"""``run``: grids, changes, filters, a dry run, JSON, exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from hificl.experiments import run as runs
from hificl.experiments.pool import Message
from hificl.experiments.worker import Worker

from .conftest import Hificl

GRID = """# hificl run g.yaml
title: A small grid
artefact: Table 0
question: Q
embedded:
  models: MODEL
  cells:
    - {tasks: easy_vqa, train_size: 6, query_size: 5, variants: [zero_shot, icl], shots: 2}
"""


class Here:
    """A pool of one worker in this process."""

    size, unlucky = 1, ""

    def __init__(self, *_: object) -> None:
        self.worker = Worker()

    def answers(self, messages: Sequence[Message]) -> Iterator[tuple[int, Mapping[str, Any]]]:
        for number, message in enumerate(messages):
            if message["do"] == "perform" and message["job"]["variant"] == self.unlucky:
                yield number, {"error": {"type": "RunError", "message": "no luck", "traceback": None}}
            else:
                yield number, self.worker.handle(message)

    def close(self) -> None:
        pass


@pytest.fixture
def grid(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(runs, "LocalPool", Here)
    file = tmp_path / "g.yaml"
    file.write_text(GRID.replace("MODEL", str(model)))
    return file


def test_a_grid_is_run_and_shown(hificl: Hificl, grid: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    result = hificl("run", str(grid), "--output", str(output), "query_size=4")
    assert result.exit_code == 0, result.stderr
    assert "A small grid (Table 0)" in result.stdout
    assert "icl, 2 shots" in result.stdout
    assert f"2 of 2 cells finished: {output / 'g.json'}" in result.stdout
    assert "[2/2] easy_vqa, icl 2shots size6 seed0" in result.stderr
    again = hificl("run", str(grid), "--output", str(output), "query_size=4", "--json")
    found = json.loads(again.stdout)
    assert (found["failed"], found["grids"][0]["finished"]) == (0, 2)
    assert {row["query_size"] for row in found["grids"][0]["rows"]} == {4}
    assert "running 0 cells" in again.stderr


def test_a_failure_is_told_and_is_the_exit_code(
    hificl: Hificl, grid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Here, "unlucky", "icl")
    result = hificl("run", str(grid), "--output", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert "1 of 2 cells finished, 1 failed" in result.stdout
    assert "failed: easy_vqa, icl, 2 shots, seed 0: RunError: no luck" in result.stdout
    assert "failed: easy_vqa, icl" in result.stderr


def test_a_dry_run_writes_nothing(hificl: Hificl, grid: Path, tmp_path: Path) -> None:
    result = hificl("run", str(grid), "--output", str(tmp_path / "out"), "--only", "variant=icl", "--dry-run", "--json")
    found = json.loads(result.stdout)
    assert [one["variant"] for one in found["grids"][0]["cells"]] == ["icl"]
    shown = hificl("run", str(grid), "--output", str(tmp_path / "out"), "seeds=3", "--dry-run").stdout
    assert "6 cells" in shown
    assert "Nothing was run or written (dry run)." in shown
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Missing argument"),
        (("seeds=1",), "no grid is named"),
        (("none.yaml",), "none.yaml: no grid can be read here"),
        (("GRID", "seedz=1"), "'seedz' is no name of a grid; did you mean 'seeds'"),
        (("GRID", "hificl"), "'hificl': expected a grid (.yaml or .yml) or KEY=VALUE"),
        (("GRID", "tier=real"), "there is no tier 'real'"),
        (("GRID", "--only", "r=3"), "has no axis 'r'"),
        (("GRID", "--workers", "0"), "workers is 0; give 1 or more"),
    ],
)
def test_wrong_use_is_refused(words: tuple[str, ...], said: str, hificl: Hificl, grid: Path, tmp_path: Path) -> None:
    result = hificl(
        "run", *(str(grid) if word == "GRID" else word for word in words), "--output", str(tmp_path / "out")
    )
    assert result.exit_code == 2
    assert said in result.stderr
