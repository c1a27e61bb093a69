"""``--dtype``: the numbers of the frozen base."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Hificl


def test_an_adapter_learns_and_answers_on_a_base_in_half_precision(
    hificl: Hificl, model: Path, rows: Path, tmp_path: Path
) -> None:
    words = ["--data", rows / "rows.jsonl", "--dtype", "bfloat16"]
    trained = hificl("train", "--model", model, *words, "--output", "run", "steps=1")
    assert trained.exit_code == 0, trained.output
    assert json.loads((tmp_path / "run" / "record.json").read_text())["config"]["backbone"]["dtype"] == "bfloat16"
    assert "Next: hificl eval --adapter run --dtype bfloat16 --data" in trained.stdout
    scored = hificl("eval", "--adapter", "run", *words, "--output", "scores")
    assert scored.exit_code == 0, scored.output
    assert json.loads((tmp_path / "scores" / "record.json").read_text())["config"]["backbone"]["dtype"] == "bfloat16"


@pytest.mark.parametrize(
    "words",
    [
        "train --model MODEL --data ROWS",
        "compare --model MODEL --task easy_vqa",
        "compare --model MODEL --dry-run",
        "eval --model MODEL --data ROWS",
        "eval --adapter RUN --data ROWS",
        "predict --model MODEL --data ROWS",
        "predict --adapter RUN --data ROWS",
        "fidelity --model MODEL --data ROWS --demonstrations ROWS",
        "fidelity RUN --data ROWS --demonstrations ROWS",
    ],
)
def test_an_unknown_dtype_is_refused(words: str, hificl: Hificl, model: Path, trained: Path, rows: Path) -> None:
    places = {"MODEL": model, "RUN": trained, "ROWS": rows / "rows.jsonl"}
    result = hificl(*[places.get(word, word) for word in words.split()], "--dtype", "int8")
    assert result.exit_code == 2
    assert "dtype 'int8' is not a floating dtype; use 'float32', 'bfloat16' or 'float16'" in result.stderr
