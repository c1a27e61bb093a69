"""Scripts of a checkout as parts of a grid: run once, their rows beside the cells, their absence said."""

from __future__ import annotations

from pathlib import Path

import pytest

from hificl.errors import InputError
from hificl.experiments import speed
from hificl.experiments.grid import Speed
from hificl.experiments.speed import run_speed, speed_states
from hificl.records import read_json

SCRIPT = """import json, pathlib, sys
words = sys.argv[1:]
if "7" in words:
    sys.exit("error: size 7 is bad luck")
folder = pathlib.Path(words[words.index("--output") + 1]) / "toy"
folder.mkdir(parents=True, exist_ok=True)
(folder / "row.json").write_text(json.dumps(words))
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "checkout"
    (folder / "benchmarks").mkdir(parents=True)
    (folder / "benchmarks" / "toy.py").write_text(SCRIPT)
    monkeypatch.setattr(speed, "checkout", lambda: folder)
    return folder


@pytest.mark.usefixtures("checkout")
def test_a_script_runs_once_and_its_rows_are_told(tmp_path: Path) -> None:
    root, script = tmp_path / "out", Speed("toy", (3, 5), ("small",))
    assert speed_states([script], root)[0]["record"] is None
    assert run_speed([script], root) == 0
    (state,) = speed_states([script], root)
    assert (state["rows"], state["error"]) == (["speed/toy/row.json"], None)
    words = read_json(root / "speed/toy/row.json")
    assert words[2:] == ["--device", "cpu", "--sizes", "3", "5", "--decoders", "small"]
    record = read_json(root / state["record"])
    assert record["config"]["sizes"] == [3, 5]
    (root / "speed/toy/row.json").unlink()
    assert run_speed([script], root) == 0
    assert not (root / "speed/toy/row.json").exists()
    assert speed_states([Speed("toy", (4,))], root)[0]["record"] is None


@pytest.mark.usefixtures("checkout")
def test_a_failing_script_leaves_its_last_words(tmp_path: Path) -> None:
    script = Speed("toy", (7,))
    assert run_speed([script, Speed("toy")], tmp_path) == 1
    failed, fine = speed_states([script, Speed("toy")], tmp_path)
    assert "size 7 is bad luck" in failed["error"]
    assert fine["error"] is None
    assert run_speed([script], tmp_path) == 0
    assert run_speed([script], tmp_path, retry_failed=True) == 1


def test_an_installed_package_says_that_it_has_no_scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise InputError("neither here nor there is a checkout with benchmarks/")

    monkeypatch.setattr(speed, "checkout", missing)
    assert run_speed([Speed("toy")], tmp_path) == 1
    assert "is a checkout with benchmarks/" in speed_states([Speed("toy")], tmp_path)[0]["error"]
