"""``hificl quickstart``: table, words and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hificl.cli.quickstart_table import reading

from .conftest import Hificl, parsed

SIZES = ["--train-size", 8, "--query-size", 9]


def test_the_whole_command(hificl: Hificl, model: Path, tmp_path: Path) -> None:
    result = hificl("quickstart", "--model", model, *SIZES)
    assert result.exit_code == 0, result.output
    for words in (
        "zero-shot",
        "4-shot",
        "8-shot",
        "LoRA",
        "HiFICL",
        "HiFICL, random LM",
        "blind prior",
        "one seed",
    ):
        assert words in result.stdout
    assert "[6/6] HiFICL, random LM" in result.stderr
    assert "examples/3.png" in result.stdout
    again = hificl("quickstart", "--model", model, *SIZES, "--json")
    assert parsed(again) == json.loads((tmp_path / "runs" / "quickstart" / "summary.json").read_text())
    assert again.stderr.count(": done before") == 6


def test_a_dry_run_writes_nothing(hificl: Hificl, model: Path, tmp_path: Path) -> None:
    words = ["quickstart", "--model", model, *SIZES, "--dry-run"]
    told = parsed(hificl(*words, "--json"))
    assert told["queries"] == 9
    assert told["training"]["lora"]["examples"] == 8
    shown = hificl(*words).stdout
    assert f"{told['training']['hificl']['trainable_parameters']:,}" in shown
    assert "Nothing was written" in shown
    assert not list(tmp_path.iterdir())


def row(method: str, score: float, *, shots: int = 0, control: str | None = None) -> dict[str, Any]:
    interval = [score - 4, score + 4]
    return {
        "method": method, "shots": shots, "control": control, "subset": "open", "score": score, "score_ci95": interval
    }  # fmt: skip


def rows(zero: float, eight: float, lora: float, hificl: float, control: float) -> list[dict[str, Any]]:
    return [
        row("zero_shot", zero),
        row("icl", eight, shots=8),
        row("lora", lora),
        row("hificl", hificl),
        row("hificl", control, control="random_lm"),
    ]


@pytest.mark.parametrize(
    "scores, said",
    [
        (
            (20, 60, 80, 90, 30),
            [
                "8 demonstrations are 40.0 points above none; their intervals do not overlap",
                "HiFICL scores highest (90.0), then LoRA (80.0); their intervals do not overlap, so the order is clear",
                "reaches 30.0, 60.0 points below HiFICL: so much takes the trained language model",
            ],
        ),
        (
            (20, 17, 80, 77, 74),
            [
                "8 demonstrations are 3.0 points below none; their intervals overlap",
                "LoRA scores highest (80.0), then HiFICL (77.0); their intervals overlap, so this run does not tell",
                "reaches 74.0, 3.0 points below HiFICL, but their intervals overlap: no clear gap",
            ],
        ),
        (
            (0, 0, 50, 50, 51),
            [
                "8 demonstrations are level with none",
                "LoRA and HiFICL share the highest score, 50.0",
                "reaches 51.0, no less than HiFICL (50.0): the score needs no trained language model",
            ],
        ),
    ],
)
def test_the_reading_follows_the_numbers(scores: tuple[float, ...], said: list[str]) -> None:
    sentences = reading(rows(*scores))
    for sentence, words in zip(sentences, said, strict=False):
        assert words in sentence
    assert "one seed" in sentences[-1]
