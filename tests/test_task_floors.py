"""Floors of a task: guessing, and a random language model that is really run."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import pytest

from hificl import task_floors
from hificl.errors import InputError
from hificl.metrics import exact_match
from hificl.task_floors import measure_floors
from hificl.tasks import TASKS, score_floors


@pytest.fixture(autouse=True)
def small_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {
        "easy_vqa": replace(TASKS["easy_vqa"], load=partial(TASKS["easy_vqa"].load, support_size=18, query_size=7)),
        "relabel": replace(TASKS["relabel"], load=partial(TASKS["relabel"].load, shots=8, query_size=5)),
    }
    monkeypatch.setattr(task_floors, "TASKS", MappingProxyType({**TASKS, **small}))


def test_a_control_is_trained_and_kept_with_its_record(tmp_path: Path) -> None:
    floors = measure_floors("easy_vqa", output_dir=tmp_path)
    data = TASKS["easy_vqa"].load(support_size=18, query_size=7)
    assert {name: floors[name] for name in ("majority", "blind")} == score_floors(
        data.support, data.queries, exact_match
    )
    cell = json.loads((tmp_path / "easy_vqa" / "hificl_random_lm" / "cell.json").read_text())
    assert cell["config"]["control"] == "random_lm"
    assert cell["results"]["trainable_parameters"] > 0
    assert floors["random_lm"] == cell["results"]["subsets"]["all"]["score"]
    assert json.loads((tmp_path / "easy_vqa" / "floors.json").read_text())["results"] == floors


def test_a_task_of_episodes_gets_demonstrations_instead(tmp_path: Path) -> None:
    measure_floors("relabel", output_dir=tmp_path)
    cell = json.loads((tmp_path / "relabel" / "icl_8_random_lm" / "cell.json").read_text())
    assert cell["results"]["trainable_parameters"] == 0


@pytest.mark.parametrize("task", ["easy_vq", "vqav2"])
def test_other_tasks_are_refused(task: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"no task '{task}' with data of its own; choose one of easy_vqa, flags"):
        measure_floors(task, output_dir=tmp_path)
