"""The command line in one process, on a tiny random model and seven rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from PIL import Image
from typer.testing import CliRunner, Result

from hificl.cli.app import app
from training.tiny import save_tiny_llava

Hificl = Callable[..., Result]
COLOURS = ("red", "blue", "green", "black", "white", "yellow", "orange")


@pytest.fixture(autouse=True, scope="session")
def quiet_single_thread() -> Iterator[None]:
    threads, verbosity = torch.get_num_threads(), transformers.logging.get_verbosity()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    transformers.logging.set_verbosity(verbosity)
    transformers.logging.enable_progress_bar()


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny relative of the embedded model, with a context for eight demonstrations."""
    folder = save_tiny_llava(tmp_path_factory.mktemp("model"))
    file = folder / "config.json"
    config = json.loads(file.read_text())
    config["text_config"]["max_position_embeddings"] = 1031
    file.write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``rows.jsonl`` and its images, and ``questions.csv`` with own column names and no answers."""
    folder = tmp_path_factory.mktemp("rows")
    lines = []
    for number, colour in enumerate(COLOURS):
        Image.new("RGB", (17 + number, 23), colour).save(folder / f"{number}.png")
        lines.append({"image": f"{number}.png", "question": "what color is the shape?", "answer": colour})
    (folder / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "questions.csv").write_text("picture,q\n" + "".join(f"{number}.png,what color?\n" for number in range(3)))
    return folder


@pytest.fixture
def hificl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hificl:
    """Run ``hificl`` with these words, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words])

    return run


@pytest.fixture(scope="session")
def trained(model: Path, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of ``hificl train``."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    words = ["train", "--model", model, "--data", rows / "rows.jsonl", "--output", folder, "steps=3", "n=5", "r=3"]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return folder


def parsed(result: Result) -> Any:
    """All of stdout as one JSON value."""
    return json.loads(result.stdout)
