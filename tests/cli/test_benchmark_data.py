"""``eval`` and ``train`` on the folder of a benchmark: protocol, seed, prompt form, bad rows, scales."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.benchmarks.layouts import LAYOUTS

from .conftest import Hificl, parsed


@pytest.fixture
def vqav2(tmp_path: Path) -> Path:
    folder = tmp_path / "vqav2"
    folder.mkdir()
    LAYOUTS["vqav2"](folder)
    return folder


def record_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "record.json").read_text())
    return found


def test_a_protocol_brings_metric_seed_and_beams(hificl: Hificl, model: Path, vqav2: Path, tmp_path: Path) -> None:
    words = ["eval", "--model", model, "--task", "vqav2", "--root", vqav2, "--protocol", "stave", "--output", "out"]
    result = hificl(*words, "--json")
    assert result.exit_code == 0, result.output
    told, record = parsed(result), record_of(tmp_path / "out")
    assert (told["metric"], told["protocol"], told["num_beams"], told["skipped"]) == ("vqa_accuracy", "stave", 3, 0)
    source = record["config"]["source"]
    assert source["task"] == "vqav2"
    assert source["protocol"] == "stave"
    assert record["seed"] == source["seed"] == told["seed"]
    assert record["config"]["generation"]["num_beams"] == 3
    assert record["config"]["generation"]["max_new_tokens"] == 20
    assert set(record["results"]["details"]) == {"vqa_accuracy_normalised", "by_answer_type", "by_question_type"}
    shown = hificl(*words, "--seed", 2, "--generation", "default", "--query-size", 3).stdout
    assert "protocol stave, prompt default, 0 shots, greedy" in shown
    assert "seed 2" in shown
    assert "3 items" in shown


def test_bad_rows_are_refused_or_named_and_counted(hificl: Hificl, model: Path, vqav2: Path, tmp_path: Path) -> None:
    file = vqav2 / "v2_mscoco_val2014_annotations.json"
    content = json.loads(file.read_text())
    content["annotations"][3]["answers"] = content["annotations"][3]["answers"][:9]
    file.write_text(json.dumps(content))
    words = ["eval", "--model", model, "--task", "vqav2", "--root", vqav2, "--output", "out"]
    refused = hificl(*words)
    assert refused.exit_code == 2
    assert "v2_mscoco_val2014_annotations.json" in refused.stderr
    assert not (tmp_path / "out").exists()
    result = hificl(*words, "--on-bad", "skip")
    assert result.exit_code == 0, result.output
    assert "left out" in result.stdout
    assert "1 bad rows, so the score is over fewer than the task has" in result.stdout
    source = record_of(tmp_path / "out")["config"]["source"]
    assert source["on_bad"] == "skip"
    assert len(source["skipped"]) == 1
    assert "answers" in json.dumps(source["skipped"])


def test_an_adapter_is_trained_and_scored_in_its_form(hificl: Hificl, model: Path, vqav2: Path, tmp_path: Path) -> None:
    words = ["train", "--model", model, "--task", "vqav2", "--root", vqav2, "--support-size", 5, "--output", "run"]
    result = hificl(*words, "steps=2", "n=2", "r=2")
    assert result.exit_code == 0, result.output
    record = record_of(tmp_path / "run")
    assert record["config"]["source"]["support_size"] == 5
    assert len(record["sample_ids"]["train"]) == 5
    recipe = (tmp_path / "run" / "recipe.yaml").read_text()
    assert f"seed: {record['seed']}\n" in recipe
    assert record["seed"] == record["config"]["source"]["seed"] == 3407
    scored = hificl("eval", "--adapter", "run", "--task", "vqav2", "--root", vqav2, "--json")
    assert scored.exit_code == 0, scored.output
    assert "warning: run" not in scored.stderr
    assert parsed(scored)["prompt"] == "default"


def test_captions_are_shown_in_the_scale_of_their_metric(hificl: Hificl, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "coco"
    folder.mkdir()
    LAYOUTS["coco_captions"](folder)
    words = ["eval", "--model", model, "--task", "coco_captions", "--root", folder, "--output", "out"]
    result = hificl(*words)
    assert result.exit_code == 0, result.output
    record = record_of(tmp_path / "out")
    score = record["results"]["score"]
    assert f"cider_d {score:.4f} (95 % interval" in " ".join(result.stdout.split())
    assert record["results"]["details"]["times_100"] == 100 * score


def test_choices_and_sums(hificl: Hificl, model: Path, tmp_path: Path) -> None:
    for task, figures in (("seed_bench", {"by_question_type"}), ("mme", {"perception", "cognition", "accuracy_plus"})):
        folder = tmp_path / task
        folder.mkdir()
        LAYOUTS[task](folder)
        words = ["eval", "--model", model, "--task", task, "--root", folder, "--support-size", 4, "--json"]
        result = hificl(*words)
        assert result.exit_code == 0, result.output
        assert figures <= set(parsed(result)["details"])


@pytest.mark.parametrize(
    "words, said",
    [
        (["--task", "vqav2"], "name their folder with --root DIR; `hificl data validate vqav2 --root DIR` says"),
        (["--task", "vqav2", "--root", "vqav2", "--protocol", "stav"], "no protocol 'stav'; did you mean 'stave'?"),
        (["--task", "vqav2", "--root", "nowhere"], "nowhere"),
        (["--task", "easy_vqa", "--root", "vqav2"], "--root does not belong to the task 'easy_vqa'"),
        (["--task", "relabel", "--support-size", "5"], "--support-size is no option of the task 'relabel'"),
        (["--data", "{rows}", "--protocol", "hificl"], "--protocol belongs to --task"),
        (["--task", "vqav2", "--root", "vqav2", "on_bad=drop"], "on_bad is 'drop'; it must be 'fail' or 'skip'"),
        (["--data", "{rows}", "--prompt", "official"], "no prompt form 'official' for vqa"),
        (["--data", "{rows}", "--generation", "paper"], "generation preset 'paper' is unknown"),
    ],
)
def test_wrong_use(hificl: Hificl, model: Path, rows: Path, vqav2: Path, words: list[str], said: str) -> None:
    given = [word.replace("{rows}", str(rows / "rows.jsonl")) for word in words]
    result = hificl("eval", "--model", model, *given)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
