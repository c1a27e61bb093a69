"""One cell: its record, its scores, and that it is run once."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from hificl.backbones import Backbone, load_backbone
from hificl.cell import Cell, Finished, Setting, run_cell
from hificl.cell import running as cells
from hificl.errors import InputError
from hificl.evaluation import Decoding, Result, evaluate
from hificl.methods import METHODS
from hificl.records import read_json, write_json
from hificl.tasks import TaskData
from training.tiny import colour_examples, save_tiny_llava

OVERRIDES = {"steps": 3, "num_virtual_tokens": 5, "r": 2}
SUBSETS = {"some": ["q7", "q9", "q10"], "none": []}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    torch.set_num_threads(1)
    return load_backbone(save_tiny_llava(tmp_path_factory.mktemp("model")), device="cpu")


@pytest.fixture(scope="module")
def data() -> TaskData:
    examples = colour_examples()
    return TaskData(examples[:6], examples[6:])


def run(cell: Cell, backbone: Backbone, data: TaskData, folder: Path, **overrides: object) -> Finished:
    return run_cell(
        cell,
        backbone,
        data,
        task="colours",
        metric="exact_match",
        output_dir=folder,
        subsets=SUBSETS,
        overrides=overrides,
    )


@pytest.fixture(scope="module")
def trained(backbone: Backbone, data: TaskData, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return run(Cell("hificl", seed=3), backbone, data, tmp_path_factory.mktemp("root") / "hificl", **OVERRIDES)


def test_the_record_says_what_was_run_on_what(trained: Finished, backbone: Backbone, data: TaskData) -> None:
    record = read_json(trained.folder / "cell.json")
    assert record == trained.record
    assert record["config"]["revision"] == backbone.revision
    assert record["config"]["training"]["recipe"]["steps"] == 3
    assert record["seed"] == record["config"]["seed"] == 3
    assert record["sample_ids"]["train"] == [example.id for example in data.support]
    assert record["sample_ids"]["queries"] == [example.id for example in data.queries]
    assert record["environment"]["torch"].startswith(torch.__version__.split("+")[0])
    assert set(record["volatile"]) == {"timing", "memory", "host", "date"}
    assert record["volatile"]["timing"]["train_seconds"] > 0


def test_scores_of_subsets_come_from_the_same_answers(trained: Finished) -> None:
    subsets = trained.record["results"]["subsets"]
    assert (subsets["all"]["items"], subsets["some"]["items"]) == (5, 3)
    assert subsets["none"] == {"score": None, "score_ci95": None, "items": 0}
    assert subsets["all"]["score"] == 100 * sum(one["score"] for one in trained.predictions) / 5


def test_subsets_are_scored_in_the_unit_of_the_metric(
    backbone: Backbone, data: TaskData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raw(*given: Any, **options: Any) -> Result:
        result = evaluate(*given, **options)
        return replace(result, scale=1.0, predictions=tuple(replace(one, score=0.75) for one in result.predictions))

    monkeypatch.setattr(cells, "evaluate", raw)
    found = run(Cell("zero_shot"), backbone, data, tmp_path / "cell").record["results"]["subsets"]
    assert (found["all"]["score"], found["some"]["score"]) == (0.75, 0.75)


def test_a_row_has_every_field_of_a_summary(trained: Finished) -> None:
    row = trained.row("some", trained.folder.parent)
    assert list(row) == [
        "method", "shots", "subset", "seed", "control", "trainable_parameters", "metric", "score", "score_ci95",
        "train_seconds", "seconds_per_answer", "peak_memory_bytes", "record",
    ]  # fmt: skip
    assert row["record"] == "hificl/cell.json"
    assert row["trainable_parameters"] == trained.record["results"]["training"]["trainable_parameters"] > 0
    assert row["control"] is None


def test_a_finished_cell_is_read_and_not_run(
    trained: Finished, backbone: Backbone, data: TaskData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("run again")

    monkeypatch.setattr(cells, "train", never)
    monkeypatch.setattr(cells, "evaluate", never)
    assert run(trained.cell, backbone, data, trained.folder, **OVERRIDES).record == trained.record


def test_another_cell_in_the_folder_is_refused(trained: Finished, backbone: Backbone, data: TaskData) -> None:
    with pytest.raises(InputError, match="holds a cell with method = 'hificl', this one has 'zero_shot'"):
        run(Cell("zero_shot", seed=3), backbone, data, trained.folder)
    with pytest.raises(InputError, match="holds a cell with queries"):
        run(trained.cell, backbone, TaskData(data.support, data.queries[1:]), trained.folder, **OVERRIDES)


def test_a_plain_cell_trains_nothing(backbone: Backbone, data: TaskData, tmp_path: Path) -> None:
    done = run(Cell("icl", shots=2), backbone, data, tmp_path / "icl_2")
    row = done.row("all", tmp_path)
    assert (row["trainable_parameters"], row["train_seconds"], row["shots"]) == (0, None, 2)
    assert done.record["sample_ids"]["demonstrations"] == [example.id for example in data.support]
    assert not (done.folder / "adapter").exists()


def test_the_control_is_trained_alike_on_another_model(
    trained: Finished, backbone: Backbone, data: TaskData, tmp_path: Path
) -> None:
    done = run(Cell("hificl", seed=3, control="random_lm"), backbone, data, tmp_path / "control", **OVERRIDES)
    assert done.record["config"]["revision"] == f"{backbone.revision}+random_lm:3"
    assert done.row("all", tmp_path)["control"] == "random_lm"
    ours, theirs = (one.record["config"]["training"] for one in (trained, done))
    assert (ours["recipe"], ours["peft"]) == (theirs["recipe"], theirs["peft"])
    assert ours["backbone"]["weights"] != theirs["backbone"]["weights"]


def test_options_are_part_of_what_a_cell_is(trained: Finished, backbone: Backbone, data: TaskData) -> None:
    """The overrides of a call and the options of a cell are one thing."""
    named = Cell("hificl", seed=3, options=OVERRIDES, variant="small")
    assert run(named, backbone, data, trained.folder).record == trained.record
    with pytest.raises(InputError, match="holds a cell with overrides.r = 2, this one has 3;"):
        run(Cell("hificl", seed=3, options={**OVERRIDES, "r": 3}), backbone, data, trained.folder)


def test_whatever_changes_an_answer_is_part_of_what_a_cell_is(
    backbone: Backbone, data: TaskData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run(Cell("zero_shot"), backbone, data, tmp_path / "cell")

    def refused(said: str, model: Backbone = backbone, examples: TaskData = data) -> None:
        with pytest.raises(InputError, match=f"holds a cell with {said}"):
            run(done.cell, model, examples, done.folder)

    refused(
        "base.prompt.question = ", replace(backbone, prompt=replace(backbone.prompt, question="{images}{question} ?"))
    )
    asked = [replace(one, question="which?") for one in data.queries]
    refused("contents.queries = ", examples=TaskData(data.support, asked))
    judged = [replace(one, answers=[*one.answers, "another"]) for one in data.queries]
    refused("contents.queries = ", examples=TaskData(data.support, judged))
    seen = [replace(one, images=data.support[0].images) for one in data.queries]
    refused("contents.queries = ", examples=TaskData(data.support, seen))
    half = replace(backbone, model=deepcopy(backbone.model).bfloat16())
    refused("base.weights = ", half)
    monkeypatch.setitem(SUBSETS, "some", ["q7"])
    refused("subsets = ")


def test_a_changed_default_of_a_method_is_another_cell(
    trained: Finished, backbone: Backbone, data: TaskData, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = replace(backbone.family, training_defaults={"hificl": {"learning_rate": 0.07}})
    with pytest.raises(InputError, match=r"holds a cell with training.recipe.learning_rate = .*, this one has 0.07"):
        run(trained.cell, replace(backbone, family=family), data, trained.folder, **OVERRIDES)
    ours = METHODS["hificl"].implementation
    build = ours.peft_config
    monkeypatch.setattr(ours, "peft_config", lambda model, options: build(model, {**options, "mixing": "additive"}))
    with pytest.raises(InputError, match="holds a cell with training.peft.mixing = .*, this one has 'additive'"):
        run(trained.cell, backbone, data, trained.folder, **OVERRIDES)


@pytest.mark.parametrize("name", ["contents", "base", "subsets"])
def test_a_record_that_does_not_say_what_it_stands_on_is_not_trusted(
    name: str, backbone: Backbone, data: TaskData, tmp_path: Path
) -> None:
    done = run(Cell("zero_shot"), backbone, data, tmp_path / "cell")
    config = {key: value for key, value in done.record["config"].items() if key != name}
    write_json(done.folder / "cell.json", {**done.record, "config": config})
    with pytest.raises(InputError, match=f"holds a cell with {name}"):
        run(done.cell, backbone, data, done.folder)


def test_the_memory_of_a_cell_has_its_baseline(trained: Finished) -> None:
    memory = trained.record["volatile"]["memory"]
    assert 0 < memory["baseline_bytes"] <= memory["peak_bytes"]


def test_what_is_stored_is_counted_and_weighed(trained: Finished) -> None:
    results = trained.record["results"]
    assert results["stored_parameters"] == results["trainable_parameters"] == 2 * 2 * 6 * 2 * (5 + 10)
    file = trained.folder / "adapter" / "adapter_model.safetensors"
    assert results["stored_bytes"] == file.stat().st_size > 4 * results["stored_parameters"]


def test_demonstrations_by_likeness(backbone: Backbone, data: TaskData, tmp_path: Path) -> None:
    done = run(
        Cell("icl", shots=2, options={"retrieval": "rices"}, variant="icl_rices"), backbone, data, tmp_path / "c"
    )
    assert done.record["config"]["evaluation"]["retrieval"] == "rices"
    assert (done.record["results"]["stored_parameters"], done.record["results"]["stored_bytes"]) == (0, 0)


def test_the_setting_of_a_benchmark_reaches_the_answers(backbone: Backbone, data: TaskData, tmp_path: Path) -> None:
    setting = Setting(Decoding(max_new_tokens=1), postprocess=lambda text: "red", source={"protocol": "made"})
    done = run_cell(
        Cell("zero_shot"), backbone, data, task="colours", metric="exact_match", output_dir=tmp_path, setting=setting
    )
    assert {one["prediction"] for one in done.predictions} == {"red"}
    assert done.record["config"]["evaluation"]["generation"]["max_new_tokens"] == 1
    assert done.record["config"]["setting"]["source"] == {"protocol": "made"}


def test_held_out_examples_of_a_fit_are_named(backbone: Backbone, data: TaskData, tmp_path: Path) -> None:
    options = {"prompts": 2, "shots": 2, "layer": 1, "holdout": 0.4}
    ids = run(Cell("task_vector", options=options), backbone, data, tmp_path / "cell").record["sample_ids"]
    assert len(ids["held_out"]) == 2
    assert sorted([*ids["train"], *ids["held_out"]]) == sorted(one.id for one in data.support)


def test_further_figures_of_a_task_stand_in_the_record(backbone: Backbone, data: TaskData, tmp_path: Path) -> None:
    found = {
        task: run_cell(
            Cell("zero_shot"), backbone, data, task=task, metric="cider_d", output_dir=tmp_path / task
        ).record["results"]
        for task in ("coco_captions", "colours")
    }  # fmt: skip
    scored = found["coco_captions"]
    assert scored["details"] == {"times_100": pytest.approx(100 * scored["subsets"]["all"]["score"])}
    assert found["colours"]["details"] is None
