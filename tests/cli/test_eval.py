"""``hificl eval``: adapters and frozen models on labelled rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hificl.metrics import exact_match
from hificl.tasks import TASKS, score_floors

from .conftest import Hificl, parsed


def test_an_adapter_is_scored_and_recorded(hificl: Hificl, trained: Path, rows: Path, tmp_path: Path) -> None:
    result = hificl("eval", "--adapter", trained, "--data", rows / "rows.jsonl", "--output", "scores", "--json")
    assert result.exit_code == 0, result.output
    told = parsed(result)
    record = json.loads((tmp_path / "scores" / "record.json").read_text())
    assert told["score"] == record["results"]["score"]
    assert told["score_ci95"] == record["results"]["score_ci95"]
    assert told["items"] == 7
    assert record["config"]["adapter"][0]["config"]["num_virtual_tokens"] == 5
    assert len((tmp_path / "scores" / "predictions.jsonl").read_text().splitlines()) == 7


def test_a_frozen_model_gets_demonstrations(hificl: Hificl, model: Path, rows: Path, tmp_path: Path) -> None:
    data = rows / "rows.jsonl"
    words = ["eval", "--model", model, "--data", data, "--shots", 2, "--demonstrations", data, "--output", "scores"]
    result = hificl(*words)
    assert result.exit_code == 0, result.output
    assert "exact_match" in result.stdout
    record = json.loads((tmp_path / "scores" / "record.json").read_text())
    drawn = record["sample_ids"]["demonstrations"]
    assert all(len(ids) == 2 and query not in ids for query, ids in drawn.items())


def test_demonstrations_by_the_similarity_of_the_images(
    hificl: Hificl, model: Path, rows: Path, tmp_path: Path
) -> None:
    data = rows / "rows.jsonl"
    words = ["eval", "--model", model, "--data", data, "--shots", 2, "--demonstrations", data, "--retrieval", "rices"]
    result = hificl(*words, "--output", "scores", "--json")
    assert result.exit_code == 0, result.output
    assert parsed(result)["retrieval"] == "rices"
    record = json.loads((tmp_path / "scores" / "record.json").read_text())
    assert record["config"]["retrieval"] == "rices"
    assert all(query not in ids for query, ids in record["sample_ids"]["demonstrations"].items())
    assert parsed(hificl(*words, "--dry-run", "--json"))["queries"] == 7
    wrong = hificl(*words[:-1], "nearest")
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert "use 'random' or 'rices'" in wrong.stderr


def test_the_floors_of_a_task_stand_beside_the_score(hificl: Hificl, model: Path) -> None:
    words = ["eval", "--model", model, "--task", "easy_vqa", "--query-size", 8]
    told = parsed(hificl(*words, "--json"))
    support = TASKS["easy_vqa"].load()
    assert told["floors"] == score_floors(support.support, support.queries[:8], exact_match)
    assert told["floors"]["blind"] > 0
    assert f"{told['floors']['blind']:.1f} by that of each question" in hificl(*words).stdout


def test_a_file_of_rows_has_no_floors(hificl: Hificl, model: Path, rows: Path) -> None:
    assert parsed(hificl("eval", "--model", model, "--data", rows / "rows.jsonl", "--json"))["floors"] is None


def test_a_dry_run_estimates_and_writes_nothing(hificl: Hificl, model: Path, rows: Path, tmp_path: Path) -> None:
    words = ["eval", "--model", model, "--data", rows / "rows.jsonl", "--output", "scores", "--dry-run"]
    told = parsed(hificl(*words, "--json"))
    assert told["queries"] == 7
    assert told["prompt_tokens"] > 7 * 16
    assert told["peak_bytes"] > 0
    assert "Nothing was run" in hificl(*words).stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words, said",
    [
        (["--data", "{rows}"], "give --adapter or --model: neither was given"),
        (["--model", "{model}"], "give --data or --task: neither was given"),
        (["--model", "{model}", "--data", "{rows}", "--shots", "2"], "name them with --demonstrations FILE"),
        (["--model", "{model}", "--data", "{rows}", "--metric", "exactmatch"], "did you mean 'exact_match'?"),
        (["--model", "{model}", "--data", "{rows}", "shot=2"], "unknown key 'shot'; did you mean 'shots'?"),
        (["--adapter", "nowhere", "--data", "{rows}"], "nowhere: no such folder"),
    ],
)
def test_wrong_use(hificl: Hificl, model: Path, rows: Path, words: list[str], said: str) -> None:
    given = [word.replace("{rows}", str(rows / "rows.jsonl")).replace("{model}", str(model)) for word in words]
    result = hificl("eval", *given)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_a_truncated_adapter_is_refused(hificl: Hificl, trained: Path, rows: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in (trained / "adapter").iterdir():
        (copy / file.name).write_bytes(file.read_bytes()[: -11 if file.suffix == ".safetensors" else None])
    result = hificl("eval", "--adapter", copy, "--data", rows / "rows.jsonl")
    assert result.exit_code == 2
    assert "adapter_model.safetensors: the file has" in result.stderr
