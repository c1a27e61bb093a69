"""``hificl train``: options, recipe files, dry runs, and own rows that are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from .conftest import Hificl, parsed


def test_own_rows_become_an_adapter(hificl: Hificl, model: Path, rows: Path) -> None:
    result = hificl("train", "--model", model, "--data", rows / "rows.jsonl", "steps=3", "--json")
    assert result.exit_code == 0, result.output
    summary = parsed(result)
    assert summary["adapter"] == "runs/rows-hificl/adapter"
    assert summary["steps"] == 3
    assert summary["examples"] == 7
    for name in ("adapter_model.safetensors", "adapter_config.json", "README.md"):
        assert (Path(summary["adapter"]) / name).is_file()
    record = json.loads(Path(summary["record"]).read_text())
    assert summary["trainable_parameters"] == record["results"]["trainable_parameters"]


def test_a_finished_run_is_not_done_again(hificl: Hificl, trained: Path, model: Path, rows: Path) -> None:
    weights = trained / "adapter" / "adapter_model.safetensors"
    before = weights.stat().st_mtime_ns
    words = ["train", "--model", model, "--data", rows / "rows.jsonl", "--output", trained, "steps=3", "n=5", "r=3"]
    result = hificl(*words)
    assert result.exit_code == 0
    assert f"hificl eval --adapter {trained} --data" in result.stdout
    assert weights.stat().st_mtime_ns == before


def test_another_run_in_the_same_folder_is_refused(hificl: Hificl, trained: Path, model: Path, rows: Path) -> None:
    result = hificl(
        "train", "--model", model, "--data", rows / "rows.jsonl", "--output", trained, "steps=3", "n=2", "r=3"
    )
    assert result.exit_code == 2
    assert "num_virtual_tokens = 5, this one has 2; choose another --output, or --no-resume" in result.stderr


def test_the_recipe_in_the_run_folder_repeats_the_run(hificl: Hificl, trained: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    result = hificl("train", trained / "recipe.yaml", f"output={again}")
    assert result.exit_code == 0, result.output
    weights = "adapter/adapter_model.safetensors"
    assert (again / weights).read_bytes() == (trained / weights).read_bytes()


def test_print_config_shows_every_number(hificl: Hificl, model: Path, rows: Path, tmp_path: Path) -> None:
    result = hificl("train", "--model", model, "--data", rows / "rows.jsonl", "lr=1e-2", "share=kv", "--print-config")
    assert result.exit_code == 0, result.output
    values = yaml.safe_load(result.stdout)
    assert values["learning_rate"] == 0.01
    assert values["share"] == "kv"
    assert values["num_virtual_tokens"] == 8
    assert values["data"] == str(rows / "rows.jsonl")
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:recipe 'robust' goes on")
@pytest.mark.parametrize(
    "words", [[], ["init=random"], ["learn_score_offset=false"], ["init_shots=1"], ["n=3", "mixing=additive"]], ids=str
)
def test_the_recipe_file_of_a_robust_run_repeats_it(
    words: list[str], hificl: Hificl, model: Path, rows: Path, tmp_path: Path
) -> None:
    data = ["--model", model, "--data", rows / "rows.jsonl"]
    more = ["--recipe", "robust", "steps=1", "holdout=0.2", *words]
    first = hificl("train", *data, *more, "--output", "one")
    assert first.exit_code == 0, first.output
    assert ("started from" in first.stdout) == (not {"init=random", "mixing=additive"} & set(words))
    second = hificl("train", "one/recipe.yaml", "output=two")
    assert second.exit_code == 0, second.output
    shown = hificl("train", *data, *more, "--print-config")
    (tmp_path / "shown.yaml").write_text(shown.stdout)
    assert hificl("train", "shown.yaml", "output=three").exit_code == 0
    configs = [json.loads((tmp_path / name / "run.json").read_text()) for name in ("one", "two", "three")]
    assert configs[0] == configs[1] == configs[2]


def test_a_teacher_is_one_option(hificl: Hificl, model: Path, rows: Path) -> None:
    words = ["train", "--model", model, "--data", rows / "rows.jsonl", "teacher=kl", "teacher_shots=2", "steps=2"]
    planned = hificl(*words, "--dry-run")
    assert planned.exit_code == 0, planned.output
    assert "kl, 2 demonstrations" in planned.stdout
    result = hificl(*words, "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(Path(parsed(result)["record"]).read_text())
    assert record["config"]["recipe"]["teacher"] == "kl"


def test_a_fitted_method_goes_the_same_way(hificl: Hificl, model: Path, rows: Path, tmp_path: Path) -> None:
    words = ["train", "--model", model, "--data", rows / "rows.jsonl", "--method", "icv", "scale=0.2"]
    told = parsed(hificl(*words, "--dry-run", "--json"))
    assert (told["examples"], told["held_out"], told["steps"]) == (7, 0, 0)
    assert told["recipe"] == {"holdout": 0.0, "metric": "exact_match"}
    result = hificl(*words, "--output", tmp_path / "one")
    assert result.exit_code == 0, result.output
    assert "stored values" in result.stdout
    assert "loss" not in result.stdout
    again = hificl("train", tmp_path / "one" / "recipe.yaml", f"output={tmp_path / 'two'}")
    assert again.exit_code == 0, again.output
    weights = "adapter/adapter_model.safetensors"
    assert (tmp_path / "two" / weights).read_bytes() == (tmp_path / "one" / weights).read_bytes()
    scored = hificl("eval", "--adapter", tmp_path / "one", "--data", rows / "rows.jsonl", "--json")
    assert scored.exit_code == 0, scored.output


@pytest.mark.parametrize("method", ["task_vector", "function_vector", "mtv"])
def test_an_option_of_the_method_is_no_slip_of_one_of_the_command(
    hificl: Hificl, model: Path, rows: Path, method: str
) -> None:
    words = ["train", "--model", model, "--data", rows / "rows.jsonl", "--print-config", "prompts=3"]
    told = hificl(*words, "--method", method)
    assert told.exit_code == 0, told.output
    assert yaml.safe_load(told.stdout)["prompts"] == 3
    slip = hificl(*words)
    assert slip.exit_code == 2
    assert "unknown key 'prompts'; did you mean 'prompt'?" in slip.stderr


@pytest.mark.parametrize(
    "words, is_said",
    [
        (["task_vector"], True),
        (["task_vector", "layer=1"], False),
        (["icv", "holdout=0.3"], False),
        (["mtv"], False),
        (["hificl"], False),
    ],
)
def test_only_layers_that_are_scored_are_chosen_by_a_metric(
    hificl: Hificl, model: Path, rows: Path, words: list[str], is_said: bool
) -> None:
    asked = ["train", "--model", model, "--data", rows / "rows.jsonl", "--dry-run", "--method", *words]
    result = hificl(*asked)
    assert result.exit_code == 0, result.output
    assert ("chosen by" in result.stdout) == is_said


def test_a_field_of_the_teacher_without_one_is_told(hificl: Hificl, model: Path, rows: Path) -> None:
    words = ["train", "--model", model, "--data", rows / "rows.jsonl", "--dry-run", "teacher_shots=2"]
    said = "warning: teacher_shots means nothing without a teacher"
    assert said in hificl(*words).stderr
    assert said not in hificl(*words, "teacher=kl").stderr


@pytest.mark.parametrize("method", ["hificl", "lora", "task_vector", "mimic"])
def test_a_dry_run_tells_the_size_and_writes_nothing(
    hificl: Hificl, model: Path, rows: Path, tmp_path: Path, method: str
) -> None:
    words = ["train", "--model", model, "--data", rows / "rows.jsonl", "--method", method, "--dry-run"]
    told = parsed(hificl(*words, "--json"))
    assert told["method"] == method
    assert told["examples"] + told["held_out"] == 7
    assert told["tokens"]["max"] > 16
    assert told["memory_bytes"] > 0
    shown = hificl(*words).stdout
    assert f"{told['trainable_parameters']:,}" in shown
    assert told["targets"][0] in shown
    assert "Nothing was written" in shown
    assert not list(tmp_path.iterdir())


def test_a_dry_run_tells_what_saves_memory(hificl: Hificl, model: Path, rows: Path) -> None:
    words = ["train", "--model", model, "--data", rows / "rows.jsonl", "--dry-run"]
    plain, saving = parsed(hificl(*words, "--json")), parsed(hificl(*words, "gradient_checkpointing=true", "--json"))
    assert saving["memory_bytes"] < plain["memory_bytes"]
    assert saving["recipe"]["gradient_checkpointing"] is True
    shown = hificl(*words, "gradient_checkpointing=true", "group_by_length=true").stdout
    assert "batches of similar length, layers computed again" in " ".join(shown.split())
    assert "computed with" not in hificl(*words).stdout


@pytest.mark.parametrize(
    "words, said",
    [
        ([], "give --data or --task: neither was given"),
        (["--data", "{rows}", "--task", "easy_vqa"], "--data and --task were both given"),
        (["--task", "easy-vqa"], "unknown task 'easy-vqa'; did you mean 'easy_vqa'?"),
        (["--data", "{rows}", "learning_rat=1"], "did you mean 'learning_rate'?"),
        (["--data", "{rows}", "num_virtual_tokens=-1"], "num_virtual_tokens=-1"),
        (["--data", "{rows}", "r=2.5"], "r=2.5"),
        (["--data", "{rows}", "lr=fast"], "learning_rate is 'fast'"),
        (["--data", "{rows}", "--method", "lor"], "did you mean 'lora'?"),
        (["--data", "{rows}", "--method", "icl"], "icl has nothing to train"),
        (["--data", "{rows}", "teacher=kll"], "unknown teacher 'kll'; did you mean 'kl'?"),
        (["--data", "{rows}", "--method", "icv", "lr=1"], "icv is fitted without gradient steps, so learning_rate"),
        (["--data", "{rows}", "--recipe", "papr"], "did you mean 'paper'?"),
        (["--data", "{rows}", "--model", "./nowhere"], "no such model folder"),
        (["--data", "{rows}", "--columns", "question=q"], "rows.jsonl:1: no column 'q'"),
        (["--data", "nowhere.jsonl"], "nowhere.jsonl: no such file"),
    ],
)
def test_wrong_use(hificl: Hificl, model: Path, rows: Path, tmp_path: Path, words: list[str], said: str) -> None:
    given = [word.replace("{rows}", str(rows / "rows.jsonl")) for word in words]
    result = hificl("train", *([] if "--model" in given else ["--model", model]), *given)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "cells, said",
    [
        ({"image": "9.png"}, "bad.jsonl:2: column 'image'"),
        ({"image": "broken.png"}, "broken.png"),
        ({"answer": " "}, "bad.jsonl:2: column 'answer'"),
        ({"question": "what color? " * 700}, "tokens"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_written(
    hificl: Hificl, model: Path, rows: Path, tmp_path: Path, cells: dict[str, str], said: str
) -> None:
    (rows / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    file = tmp_path / "bad.jsonl"
    good = {"image": "1.png", "question": "what color?", "answer": "blue"}
    file.write_text(json.dumps(good) + "\n" + json.dumps(good | cells) + "\n")
    result = hificl("train", "--model", model, "--data", file, "--images", rows, "steps=3")
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert list(tmp_path.iterdir()) == [file]
