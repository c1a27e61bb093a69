"""``compare``: the same conditions for all, kept cells, holes with reasons."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hificl.backbones import Backbone
from hificl.cell import Setting, running
from hificl.comparison import Comparison, Step, cells, compare, comparison
from hificl.comparison.values import Values
from hificl.errors import InputError, RunError
from hificl.evaluation import Decoding, evaluate
from hificl.records import read_json, write_json
from hificl.tasks import TaskData

ROW = {
    "method", "variant", "shots", "subset", "seed", "control", "metric", "trainable_parameters", "stored_parameters",
    "stored_bytes", "score", "score_ci95", "train_seconds", "seconds_per_answer", "peak_memory_bytes", "record",
    "error",
}  # fmt: skip
METHODS = "zero_shot,icl,icl_rices,lora,hificl"


def run(backbone: Backbone, data: TaskData, folder: Path, **options: Any) -> tuple[Comparison, list[Step]]:
    told: list[Step] = []
    given = {"methods": METHODS, "shots": 2, "overrides": {"steps": 2}, **options}
    done = compare(backbone, data, task="colours", output_dir=folder, announce=told.append, **given)
    return done, told


@pytest.fixture(scope="module")
def done(backbone: Backbone, data: TaskData, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return run(backbone, data, tmp_path_factory.mktemp("done") / "compared", seeds=2)[0]


def test_the_summary_has_a_row_per_method_seed_and_subset(done: Comparison, data: TaskData) -> None:
    summary = read_json(done.folder / "summary.json")
    assert summary == done.summary
    assert (summary["task"], summary["train_size"], summary["query_size"]) == ("colours", 7, 4)
    keys = [(row["variant"] or row["method"], row["seed"], row["subset"]) for row in summary["rows"]]
    assert len(keys) == len(set(keys)) == 5 * 2 * 2
    assert all(row.keys() == ROW for row in summary["rows"])
    assert {row["method"] for row in summary["rows"]} == {"zero_shot", "icl", "lora", "hificl"}
    assert summary["headline"] == "open"
    assert {row["items"] for row in summary["comparisons"] if row["subset"] == "open"} == {3}
    assert done.failed == []


def test_everything_is_answered_under_the_same_conditions(done: Comparison, data: TaskData) -> None:
    records = [read_json(done.folder / row["record"]) for row in done.summary["rows"]]
    assert {tuple(record["sample_ids"]["queries"]) for record in records} == {tuple(one.id for one in data.queries)}
    trained = [record["sample_ids"]["train"] for record in records if record["sample_ids"]["train"]]
    assert len(trained) == 8
    assert all(ids == [one.id for one in data.support] for ids in trained)
    assert len({str(record["config"]["evaluation"]["backbone"]) for record in records}) == 1
    assert {record["config"]["shots"] for record in records} == {0, 2}


def test_costs_stand_in_the_rows(done: Comparison) -> None:
    rows = {row["variant"] or row["method"]: row for row in done.summary["rows"]}
    assert rows["zero_shot"]["stored_bytes"] == rows["zero_shot"]["trainable_parameters"] == 0
    assert rows["zero_shot"]["train_seconds"] is None
    assert rows["lora"]["stored_bytes"] > 4 * rows["lora"]["stored_parameters"] > 0
    assert rows["lora"]["train_seconds"] > 0
    assert all(row["seconds_per_answer"] > 0 and row["peak_memory_bytes"] > 0 for row in rows.values())


def test_a_finished_comparison_runs_nothing_again(
    done: Comparison, backbone: Backbone, data: TaskData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "evaluate", None)
    again, told = run(backbone, data, done.folder, seeds=2)
    assert [step.done for step in told] == [True] * 10
    assert again.summary == done.summary


def test_a_summary_is_not_replaced_by_one_of_fewer_cells(done: Comparison, backbone: Backbone, data: TaskData) -> None:
    with pytest.raises(InputError, match="its summary has 9 cells more .* such as zero_shot, seed 0; .*fresh=True"):
        run(backbone, data, done.folder, seeds=[1], methods="hificl")
    assert read_json(done.folder / "summary.json") == done.summary


def test_cells_of_other_library_versions_are_run_again(
    done: Comparison, backbone: Backbone, data: TaskData, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = done.folder / "zero_shot" / "seed_0" / "cell.json"
    record = read_json(file)
    write_json(file, {**record, "environment": {**record["environment"], "commit": "other"}})
    assert all(step.done for step in run(backbone, data, done.folder, seeds=2)[1])
    write_json(file, {**record, "environment": {**record["environment"], "torch": "1.0"}})
    assert [step.label for step in run(backbone, data, done.folder, seeds=2)[1] if not step.done] == [
        "zero_shot, seed 0"
    ]


def test_another_comparison_in_the_folder_is_refused(done: Comparison, backbone: Backbone, data: TaskData) -> None:
    fewer = TaskData(data.support[:-1], data.queries)
    with pytest.raises(InputError, match="holds a comparison with train_size = 7, this one has 6; .*fresh=True"):
        run(backbone, fewer, done.folder)
    other = replace(backbone, prompt=replace(backbone.prompt, question="{images}{question} It is"))
    with pytest.raises(InputError, match="holds a comparison with base.prompt.question = .* It is'; .*fresh=True"):
        run(other, data, done.folder)
    asked = TaskData(data.support, [replace(one, question="which?") for one in data.queries])
    with pytest.raises(InputError, match=r"holds a comparison with contents.queries = "):
        run(backbone, asked, done.folder)
    with pytest.raises(InputError, match="holds a comparison with setting = None"):
        run(backbone, data, done.folder, setting=Setting(Decoding(max_new_tokens=1)))
    with pytest.raises(InputError, match="this is a file"):
        run(backbone, data, done.folder / "summary.json")


def test_cells_with_other_options_are_run_again_and_it_is_said(
    backbone: Backbone, data: TaskData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(backbone, data, tmp_path, methods="zero_shot,icl,hificl")
    again, told = run(backbone, data, tmp_path, methods="zero_shot,icl,hificl", overrides={"steps": 3}, shots=3)
    assert [step.done for step in told] == [True, False, False]
    assert [row["shots"] for row in again.summary["rows"] if row["subset"] == "all"] == [0, 3, 0]
    assert [line.removeprefix(f"{tmp_path}/") for line in caplog.messages] == [
        "icl/seed_0: holds a cell with shots = 2, this one has 3; it is run again",
        "hificl/seed_0: holds a cell with overrides.steps = 2, this one has 3; it is run again",
    ]
    assert read_json(tmp_path / "hificl" / "seed_0" / "record.json")["config"]["recipe"]["steps"] == 3


def test_a_cell_that_was_begun_with_other_options_is_begun_anew(
    backbone: Backbone, data: TaskData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(backbone, data, tmp_path, methods="hificl")
    (tmp_path / "hificl" / "seed_0" / "cell.json").unlink()  # as if it had been killed after its training
    trained = (tmp_path / "hificl" / "seed_0" / "record.json").stat().st_mtime_ns
    same, _ = run(backbone, data, tmp_path, methods="hificl")
    assert (same.failed, caplog.messages) == ([], [])
    assert (tmp_path / "hificl" / "seed_0" / "record.json").stat().st_mtime_ns == trained
    (tmp_path / "hificl" / "seed_0" / "cell.json").unlink()
    other, _ = run(backbone, data, tmp_path, methods="hificl", overrides={"steps": 3})
    assert other.failed == []
    assert "training.recipe.steps = 2, this one has 3; it is run again" in caplog.text


def test_a_failing_method_leaves_a_hole_and_the_rest_goes_on(
    backbone: Backbone, data: TaskData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*given: Any, **options: Any) -> Any:
        if options["retrieval"] == "rices":
            raise ZeroDivisionError("no image | here")
        if options["shots"] and options["seed"] == 1:
            raise RunError("out of memory")
        return evaluate(*given, **options)

    monkeypatch.setattr(running, "evaluate", fails)
    broken, _ = run(backbone, data, tmp_path, methods="icl,icl_rices,zero_shot", seeds=2, overrides={})
    assert [(one["variant"], one["seed"]) for one in broken.failed] == [("icl_rices", 0), ("icl", 1), ("icl_rices", 1)]
    rows = {(row["variant"] or row["method"], row["seed"]): row for row in broken.summary["rows"]}
    hole = rows["icl_rices", 0]
    assert hole.keys() == ROW
    assert hole["error"] == "ZeroDivisionError: no image | here"
    assert {hole[name] for name in ("score", "score_ci95", "record", "seconds_per_answer")} == {None}
    assert rows["icl", 0]["score"] is not None
    page = (tmp_path / "comparison.md").read_text()
    assert "| icl_rices | - | - | - | - | - | - | - | - |" in page
    assert "- icl, seed 1: RunError: out of memory" in page
    monkeypatch.setattr(running, "evaluate", evaluate)
    mended, told = run(backbone, data, tmp_path, methods="icl,icl_rices,zero_shot", seeds=2, overrides={})
    assert [step.done for step in told] == [True, False, True, False, False, True]
    assert mended.failed == []


def test_fresh_does_everything_again(backbone: Backbone, data: TaskData, tmp_path: Path) -> None:
    run(backbone, data, tmp_path, methods="zero_shot,icl", overrides={})
    fewer = TaskData(data.support[:-1], data.queries)
    again, told = run(backbone, fewer, tmp_path, methods="zero_shot", fresh=True, overrides={})
    assert [step.done for step in told] == [False]
    assert again.summary["train_size"] == 6
    assert not (tmp_path / "icl" / "seed_0" / "cell.json").exists()


def test_stored_values_are_used_and_named(
    backbone: Backbone, data: TaskData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = Values("stored", {"icl": {"shots": 3}, "lora": {"r": 5}}, "results/search.json", backbone.revision)
    monkeypatch.setattr(comparison, "stored_values", lambda *_: stored)
    done, _ = run(backbone, data, tmp_path, methods="icl,icl_rices,lora", shots=None, overrides={"steps": 2})
    shots = {row["variant"] or row["method"]: row["shots"] for row in done.summary["rows"]}
    assert shots == {"icl": 3, "icl_rices": 3, "lora": 0}
    assert done.summary["values"]["options"]["lora"] == {"r": 5, "steps": 2}
    page = (tmp_path / "comparison.md").read_text()
    assert "those that a search chose before (results/search.json)" in page
    assert "Memory is the peak of the whole process" in page
    explicit, _ = run(backbone, data, tmp_path / "two", methods="icl", shots=2, overrides={})
    assert explicit.summary["rows"][0]["shots"] == 2


def test_queries_without_a_word_about_open_are_scored_as_one(
    backbone: Backbone, data: TaskData, tmp_path: Path
) -> None:
    plain = TaskData(data.support, [replace(one, meta={}) for one in data.queries])
    done, _ = run(backbone, plain, tmp_path, methods="zero_shot", overrides={})
    assert done.summary["headline"] == "all"
    assert [row["subset"] for row in done.summary["rows"]] == ["all"]


def test_all_on_questions_without_images_leaves_rices_out(
    backbone: Backbone, data: TaskData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def refuse(names: str, *, images: bool) -> None:
        asked.append(images)
        raise InputError("far enough")

    monkeypatch.setattr(comparison, "find_variants", refuse)
    blind = TaskData(data.support, [replace(data.queries[0], images=[])])
    for examples in (data, blind):
        with pytest.raises(InputError, match="far enough"):
            run(backbone, examples, tmp_path)
    assert asked == [True, False]


def test_fewer_than_one_shot(backbone: Backbone, data: TaskData, tmp_path: Path) -> None:
    for shots in (0, -3):
        with pytest.raises(InputError, match=f"shots is {shots}; icl needs 1 or more"):
            run(backbone, data, tmp_path / "none", shots=shots)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("seeds", [0, []])
def test_no_seed(backbone: Backbone, data: TaskData, tmp_path: Path, seeds: Any) -> None:
    with pytest.raises(InputError, match="give their number, 1 or more"):
        run(backbone, data, tmp_path / "none", seeds=seeds)
    assert cells.DEFAULT_SHOTS == 8
