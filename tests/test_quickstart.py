"""The main job on a tiny random model: interrupted once, then finished, then asked for again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from hificl import quickstart as module
from hificl.cell import running as cells
from hificl.errors import InputError, RunError
from hificl.quickstart import Outcome, Step, plan_quickstart, quickstart
from training.tiny import save_tiny_llava

SIZES: dict[str, Any] = {"train_size": 9, "query_size": 15}
ROW_KEYS = {
    "method", "shots", "subset", "seed", "control", "trainable_parameters", "metric", "score", "score_ci95",
    "train_seconds", "seconds_per_answer", "peak_memory_bytes", "record",
}  # fmt: skip


@dataclass
class Story:
    """What happened in three calls on one folder."""

    model: str
    folder: Path
    first: list[Step] = field(default_factory=list)
    second: list[Step] = field(default_factory=list)
    outcome: Outcome | None = None
    times: dict[str, int] = field(default_factory=dict)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.set_num_threads(1)
    folder = save_tiny_llava(tmp_path_factory.mktemp("model"))
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["max_position_embeddings"] = 1031
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


@pytest.fixture(scope="module")
def story(model: str, tmp_path_factory: pytest.TempPathFactory) -> Story:
    told = Story(model, tmp_path_factory.mktemp("runs") / "quickstart")

    def stop_at_the_fourth(step: Step) -> None:
        told.first.append(step)
        if step.position == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quickstart(output_dir=told.folder, model=model, announce=stop_at_the_fourth, **SIZES)
    told.times = {step.cell.name: mark(told.folder, step) for step in told.first[:3]}
    told.outcome = quickstart(output_dir=told.folder, model=model, announce=told.second.append, **SIZES)
    return told


def mark(folder: Path, step: Step) -> int:
    return (folder / step.cell.name / "cell.json").stat().st_mtime_ns


def test_finished_cells_survive_an_interruption(story: Story) -> None:
    assert [step.done for step in story.second] == [True, True, True, False, False, False]
    assert {step.cell.name: mark(story.folder, step) for step in story.second[:3]} == story.times


def test_the_time_left_is_told_as_soon_as_something_was_measured(story: Story) -> None:
    assert story.first[0].seconds_left is None
    assert story.first[1].seconds_left is not None
    assert story.first[1].seconds_left > 0
    assert [step.total for step in story.first] == [6, 6, 6, 6]


def test_the_summary_has_the_agreed_form(story: Story) -> None:
    summary = json.loads((story.folder / "summary.json").read_text())
    assert story.outcome is not None
    assert summary == story.outcome.summary
    assert (summary["task"], summary["backbone"], summary["train_size"]) == ("easy_vqa", story.model, 9)
    rows = {(row["method"], row["shots"], row["control"], row["subset"]) for row in summary["rows"]}
    assert len(rows) == len(summary["rows"]) == 12
    assert ("icl", 8, None, "open") in rows
    assert ("hificl", 0, "random_lm", "all") in rows
    for row in summary["rows"]:
        assert set(row) == ROW_KEYS
        record = json.loads((story.folder / row["record"]).read_text())
        assert record["results"]["subsets"][row["subset"]]["score"] == row["score"]
        assert 0 <= row["score_ci95"][0] <= row["score"] <= row["score_ci95"][1] <= 100


def test_the_adapter_was_saved_and_reloaded(story: Story) -> None:
    assert (story.folder / "hificl" / "adapter" / "adapter_model.safetensors").is_file()
    assert json.loads((story.folder / "hificl" / "reload.json").read_text())["identical_answers"] == 15


def test_three_examples_are_shown_with_every_answer(story: Story) -> None:
    shown = json.loads((story.folder / "examples" / "examples.json").read_text())
    assert len(shown) == 3
    page = (story.folder / "examples" / "examples.md").read_text()
    for example in shown:
        assert (story.folder / example["image"]).read_bytes().startswith(b"\x89PNG")
        assert example["question"] in page
        assert len(example["predictions"]) == 6
        predictions = {}
        for name in example["predictions"]:
            record = json.loads((story.folder / name / "cell.json").read_text())
            predictions[name] = {one["id"]: one["prediction"] for one in record["results"]["predictions"]}
        assert example["predictions"] == {name: told[example["id"]] for name, told in predictions.items()}


def test_floors_are_recorded(story: Story) -> None:
    record = json.loads((story.folder / "floors.json").read_text())
    assert story.outcome is not None
    assert record["results"] == story.outcome.floors
    assert 0 < record["results"]["open"]["blind"] < record["results"]["all"]["blind"] < 100


def test_another_quickstart_in_the_folder_is_refused(story: Story) -> None:
    with pytest.raises(InputError, match="train_size = 9, this one has 7; choose another folder"):
        quickstart(output_dir=story.folder, model=story.model, train_size=7, query_size=15)


def test_a_reloaded_adapter_that_answers_otherwise_is_an_error(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    (story.folder / "hificl" / "reload.json").unlink()

    @dataclass
    class Other:
        texts: list[str]

    monkeypatch.setattr(module, "generate_answers", lambda backbone, model, queries: Other(["?"] * len(queries)))
    with pytest.raises(RunError, match="after reloading"):
        quickstart(output_dir=story.folder, model=story.model, **SIZES)


def test_other_versions_make_finished_cells_stale(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    file = story.folder / "quickstart.json"
    there = json.loads(file.read_text())
    file.write_text(json.dumps(there | {"environment": there["environment"] | {"torch": "2.12.0"}}))
    told: list[Step] = []

    def stop(step: Step) -> None:
        told.append(step)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), pytest.warns(UserWarning, match="made with another torch; everything"):
        quickstart(output_dir=story.folder, model=story.model, announce=stop, **SIZES)
    assert not told[0].done
    assert not (story.folder / "summary.json").exists()
    assert not (story.folder / "hificl" / "adapter").exists()


def test_a_plan_runs_and_writes_nothing(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "train", None)
    plans = plan_quickstart(model=model, **SIZES)
    assert list(plans) == ["lora", "hificl"]
    assert all(plan.examples == 9 and plan.trainable_parameters > 0 for plan in plans.values())
