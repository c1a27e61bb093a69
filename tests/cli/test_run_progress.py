"""What a grid leaves on the screen: a table for each task that fits eighty columns, and measurements by number."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from hificl.cli.run_progress import show_outcome

RESULTS = Path(__file__).parents[2] / "results" / "experiments"


def shown(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    file = RESULTS / f"{name}.json"
    done: Any = SimpleNamespace(summaries=[json.loads(file.read_text(encoding="utf-8"))], files=[file])
    show_outcome(Console(width=80), done)
    return capsys.readouterr().out


def test_tables_fit_a_narrow_screen(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown("recipe_screening", capsys)
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert "easy_vqa, open, 100 examples" in text
    assert "flags, 100 examples" in text


def test_measurements_have_no_empty_table(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown("fidelity", capsys)
    assert "60 measurements: hificl report" in text
    assert "method" not in text.replace("methods", "")


def test_models_and_options_have_tables_of_their_own(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    content = json.loads((RESULTS / "main.json").read_text(encoding="utf-8"))
    other = [{**mean, "backbone": "another"} for mean in content["means"] if mean["task"] == "flags"]
    done: Any = SimpleNamespace(
        summaries=[{**content, "backbone": None, "means": [*content["means"], *other]}], files=[tmp_path / "main.json"]
    )
    show_outcome(Console(width=100), done)
    text = capsys.readouterr().out
    assert "embedded, flags, 300 examples" in text
    assert "another, flags, 300 examples" in text
    assert "embedded, relabel, family colour, ways 4, 3200 examples" in text
    assert "of a single run over queries" in text
