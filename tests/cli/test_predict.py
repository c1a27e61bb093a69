"""``hificl predict``: one question, or a file of them."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from hificl.cli.report import printable
from hificl.evaluation import compiled

from .conftest import Hificl, parsed


def test_one_question_gets_one_line(hificl: Hificl, trained: Path, rows: Path) -> None:
    words = ["predict", "--adapter", trained, "--image", rows / "2.png", "--question", "what color?"]
    told = parsed(hificl(*words, "--json"))
    assert told["question"] == "what color?"
    plain = hificl(*words)
    assert plain.exit_code == 0
    assert plain.stdout == printable(told["prediction"]) + "\n"


def test_a_file_without_answers_becomes_json_lines(hificl: Hificl, trained: Path, rows: Path, tmp_path: Path) -> None:
    words = ["predict", "--adapter", trained, "--data", rows / "questions.csv", "--columns", "image=picture"]
    words += ["--columns", "question=q"]
    lines = hificl(*words).stdout.splitlines()
    answers = [json.loads(line) for line in lines]
    assert [answer["id"] for answer in answers] == ["1", "2", "3"]
    assert parsed(hificl(*words, "--json")) == answers
    written = hificl(*words, "--output", "answers.jsonl")
    assert written.stdout == ""
    assert (tmp_path / "answers.jsonl").read_text().splitlines() == lines


def test_a_frozen_model_answers_too(hificl: Hificl, model: Path, rows: Path) -> None:
    assert hificl("predict", "--model", model, "--image", rows / "3.png", "--question", "what color?").exit_code == 0


@pytest.mark.parametrize("words", [["--compile"], ["compile=true"]], ids=["option", "key"])
def test_a_compiled_step_is_asked_for(
    hificl: Hificl, model: Path, rows: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise ValueError("nothing compiles here")

    monkeypatch.setattr(compiled, "BACKEND", broken)
    monkeypatch.setattr(logging.getLogger("torch.__trace"), "propagate", False)
    for command in (
        ["predict", "--data", rows / "questions.csv", "--columns", "image=picture", "--columns", "question=q"],
        ["eval", "--data", rows / "rows.jsonl"],
    ):
        result = hificl(command[0], *words, "--model", model, *command[1:])
        assert result.exit_code == 2
        assert "nothing compiles here" in result.stderr


@pytest.mark.parametrize(
    "words, said",
    [
        (["--adapter", "{trained}"], "give --question or --data: neither was given"),
        (["--question", "what?"], "give --adapter or --model: neither was given"),
        (["--adapter", "{trained}", "--image", "none.png", "--question", "what?"], "none.png cannot be opened"),
        (["--adapter", "{trained}", "--image", "a.png", "--data", "{rows}"], "--image belongs to --question"),
    ],
)
def test_wrong_use(hificl: Hificl, trained: Path, rows: Path, words: list[str], said: str) -> None:
    given = [word.replace("{trained}", str(trained)).replace("{rows}", str(rows / "rows.jsonl")) for word in words]
    result = hificl("predict", *given)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
