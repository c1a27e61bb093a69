"""``hificl compare``: the table, the JSON, holes, the search, and counting on a config alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hificl.comparison import VARIANTS, search
from hificl.errors import InputError
from hificl.methods import METHODS

from .conftest import Hificl, parsed

SIZES = ["--task", "easy_vqa", "--train-size", 8, "--query-size", 6, "--shots", 2]
FEW = ["--methods", "zero_shot,icl_rices,lora,hificl", "steps=2", "lora.r=3"]


def test_the_whole_command(hificl: Hificl, model: Path, tmp_path: Path) -> None:
    words = ["compare", "--model", model, *SIZES, *FEW, "--output", "out"]
    result = hificl(*words)
    assert result.exit_code == 0, result.output
    for said in ("icl_rices, 2 shots", "lora", "HiFICL", "(Holm)", "6 query examples, open questions", "One seed"):
        assert said in result.stdout
    assert "[4/4] hificl, seed 0, about" in result.stderr
    page = (tmp_path / "out" / "comparison.md").read_text()
    assert page.startswith("# easy_vqa on ")
    assert "| icl_rices, 2 shots | 0 | 0 |" in page
    again = hificl(*words, "--json")
    assert parsed(again) == json.loads((tmp_path / "out" / "summary.json").read_text())
    assert again.stderr.count(": done before") == 4
    rows = {row["variant"] or row["method"]: row for row in parsed(again)["rows"]}
    assert rows["lora"]["trainable_parameters"] < rows["hificl"]["trainable_parameters"]


def test_a_failing_method_is_a_hole_and_the_exit_code_is_one(
    hificl: Hificl, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise InputError("no such layers here")

    monkeypatch.setattr(METHODS["lora"].implementation, "peft_config", refuse)
    result = hificl("compare", "--model", model, *SIZES, "--methods", "lora,zero_shot", "--output", "out")
    assert result.exit_code == 1
    assert "missing: lora, seed 0: InputError: no such layers here" in result.stdout
    assert "Traceback" not in result.stderr


def test_the_search_chooses_and_stores(
    hificl: Hificl, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = ({"shots": 1}, {"shots": 2})
    monkeypatch.setattr(search, "METHODS", {**METHODS, "icl": replace(METHODS["icl"], search=trials)})
    words = ["compare", "--model", model, *SIZES[:-2], "--methods", "icl", "--output", "results/one"]
    result = hificl(*words, "--search", "--store", "values.json")
    assert result.exit_code == 0, result.output
    assert "[1/3] search icl, trial 1" in result.stderr
    assert "chosen by the search of this comparison" in result.stdout
    (entry,) = json.loads((tmp_path / "values.json").read_text())[str(model)].values()
    assert entry["values"]["icl"] in trials
    assert entry["record"] == "results/one/search/search.json"
    summary = json.loads((tmp_path / "results" / "one" / "summary.json").read_text())
    assert summary["rows"][0]["shots"] == entry["values"]["icl"]["shots"]
    assert summary["values"]["record"] == "search/search.json"


def test_a_search_after_a_plain_comparison_replaces_its_cells(
    hificl: Hificl, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(search, "METHODS", {**METHODS, "icl": replace(METHODS["icl"], search=({"shots": 3},))})
    words = ["compare", "--model", model, *SIZES, "--methods", "icl", "--output", "out"]
    assert hificl(*words).exit_code == 0
    result = hificl(*words[:-6], *words[-4:], "--search")
    assert result.exit_code == 0, result.output
    assert caplog.messages == ["out/icl/seed_0: holds a cell with shots = 2, this one has 3; it is run again"]
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["rows"][0]["shots"] == 3


def test_a_config_alone_is_enough_to_count(hificl: Hificl, model: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((model / "config.json").read_bytes())
    result = hificl("compare", "--model", tmp_path, "--methods", "all", "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    told = parsed(result)
    assert told.keys() == {"model", "methods"}
    assert sorted(row["method"] for row in told["methods"]) == sorted(VARIANTS)
    assert {*METHODS} <= {row["method"] for row in told["methods"]}
    fields = {"method", "variant_of", "options", "trainable_parameters", "stored_parameters", "error"}
    assert all(row.keys() == fields for row in told["methods"])
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
    shown = hificl("compare", "--model", tmp_path, "--methods", "live,dora", "--dry-run").stdout
    counts = {row["method"]: row["trainable_parameters"] for row in told["methods"]}
    assert f"{counts['live']:,}" in shown
    assert "dora=True" in shown
    assert "Nothing was run or written" in shown


def test_a_dry_run_on_a_task_lists_the_cells(hificl: Hificl, model: Path, tmp_path: Path) -> None:
    words = ["compare", "--model", model, *SIZES, "--methods", "icl,lora", "--seeds", 2, "lora.r=3", "--dry-run"]
    told = parsed(hificl(*words, "--json"))
    assert told["cells"] == ["icl, seed 0", "lora, seed 0", "icl, seed 1", "lora, seed 1"]
    assert (told["train_size"], told["query_size"]) == (8, 6)
    assert told["methods"][1]["options"] == {"r": 3}
    assert "would run 4 cells on easy_vqa" in hificl(*words).stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words, said",
    [
        ([], "name what is compared on with --task"),
        (["--task", "easy_vqa", "--methods", "hifcl"], "did you mean 'hificl'?"),
        (["--task", "easy_vqa", "--store", "values.json"], "give --search with it"),
        (["--task", "easy_vqa", "lora.lr=fast"], "learning_rate is 'fast'"),
        (["--task", "easy_vqa", "r=3"], "write NAME.r for an option of one method"),
        (["--task", "easy_vqa", "--seeds", "0"], "give their number, 1 or more"),
        (["--task", "easy_vqa", "--train-size", "0"], "at least 1, got 0"),
        (["--task", "easy_vqa", "--shots", "-1"], "shots is -1; icl needs 1 or more"),
        (["--task", "easy_vqa", "--methods", "mtv", "steps=2"], "write mtv.steps=2"),
        (["--dry-run", "--model", "nowhere/at/all"], "nowhere/at/all"),
        (["--dry-run", "--methods", "mtv", "steps=2"], "write mtv.steps=2"),
        (["--dry-run", "--methods", "lora", "lora.depth=2"], "unknown option 'depth'"),
        (["--dry-run", "--methods", "lora", "lora.lr=fast"], "learning_rate is 'fast'"),
        (["--dry-run", "--methods", "hificl", "hificl.mixing=1"], "mixing"),
        (["--dry-run", "--methods", "lora", "hificl.r=3"], "'hificl' is not compared"),
        (["--dry-run", "--seeds", "0"], "give their number, 1 or more"),
        (["--dry-run", "--shots", "0"], "shots is 0; icl needs 1 or more"),
    ],
)
def test_wrong_use(hificl: Hificl, model: Path, tmp_path: Path, words: list[str], said: str) -> None:
    result = hificl("compare", *(words if "--model" in words else [*words, "--model", model]))
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert result.stdout == ""
    assert not list(tmp_path.iterdir())
