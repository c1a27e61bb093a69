"""``hificl fidelity``: adapters and frozen models beside real demonstrations."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Hificl, parsed


def test_adapters_stand_beside_the_frozen_model(hificl: Hificl, trained: Path, rows: Path) -> None:
    data = rows / "rows.jsonl"
    words = ["fidelity", trained, "--data", data, "--demonstrations", data, "--shots", 2, "queries=3"]
    told = parsed(hificl(*words, "--json"))
    assert (told["shots"], told["draws"], told["queries"]) == (2, 2, 3)
    assert list(told["lines"]) == ["run", "zero_shot", "other_demonstrations"]
    shown = hificl(*words).stdout
    residual = told["lines"]["run"]["residual"]["shared"]
    assert f"{residual['l2']['mean']:.2f} ({residual['relative_l2']['mean']:.3f})" in shown
    assert f"{told['lines']['zero_shot']['kl']['mean']:.2f} [" in shown
    assert "attention output, L2 distance" in shown


def test_adapters_of_one_name_are_called_by_their_paths(hificl: Hificl, trained: Path, rows: Path) -> None:
    data = rows / "rows.jsonl"
    words = [trained, trained / "adapter", "--data", data, "--demonstrations", data, "shots=1", "draws=1", "queries=1"]
    told = parsed(hificl("fidelity", *words, "--json"))
    assert list(told["lines"]) == [str(trained), str(trained / "adapter"), "zero_shot"]
    first, second, _ = told["lines"].values()
    assert first == second


def test_a_frozen_model_alone(hificl: Hificl, model: Path, rows: Path) -> None:
    data = rows / "rows.jsonl"
    words = ["--model", model, "--data", data, "--demonstrations", data, "shots=2", "draws=1", "queries=2"]
    assert list(parsed(hificl("fidelity", *words, "--json"))["lines"]) == ["zero_shot"]


@pytest.mark.parametrize(
    "words, said",
    [
        (["--data", "{rows}"], "needs rows to draw demonstrations from"),
        (["--data", "{rows}", "--demonstrations", "{rows}"], "name a run or an adapter, or --model NAME"),
        (["{run}", "--model", "{model}", "--data", "{rows}", "--demonstrations", "{rows}"], "leave --model out"),
        (["nowhere", "--data", "{rows}", "--demonstrations", "{rows}"], "nowhere: no such folder"),
        (["{run}", "shot=2", "--data", "{rows}"], "unknown key 'shot'; did you mean 'shots'?"),
        (["{run}"], "give --data or --task: neither was given"),
    ],
)
def test_wrong_use(hificl: Hificl, trained: Path, model: Path, rows: Path, words: list[str], said: str) -> None:
    names = {"{rows}": rows / "rows.jsonl", "{model}": model, "{run}": trained}
    result = hificl("fidelity", *(names.get(word, word) for word in words))
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
