"""Gates compare what was measured with what is demanded, on cells that were really run."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hificl import gates
from hificl.cell import RANDOM_LM
from hificl.errors import InputError
from hificl.gates import Gate, check_gates, failed

SCORES = {
    ("zero_shot", 0, None): 7.0,
    ("icl", 4, None): 61.0,
    ("icl", 8, None): 66.0,
    ("icl", 16, None): 62.0,
    ("lora", 0, None): 91.0,
    ("hificl", 0, None): 88.0,
    ("hificl", 0, RANDOM_LM): 30.0,
}


def summary(scores: dict[tuple[str, int, str | None], float]) -> dict[str, Any]:
    rows = [
        {
            "method": method,
            "shots": shots,
            "control": control,
            "subset": subset,
            "score": score,
            "score_ci95": [1.0, 99.0],
        }
        for (method, shots, control), value in scores.items()
        for subset, score in (("open", value), ("all", 100.0))
    ]
    return {"rows": rows}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all gates of this file are checked: what the first check has finished, the others find again."""
    return tmp_path_factory.mktemp("gates")


def check(folder: Path, **changed: float) -> dict[str, Gate]:
    """Check the gates on given scores of a quickstart; relabelling is really run, once in a folder."""
    scores = {key: changed.get("_".join(map(str, filter(None, key))), value) for key, value in SCORES.items()}
    rows = summary(scores)
    sixteen = next(row for row in rows["rows"] if row["shots"] == 16)
    rows["rows"] = [row for row in rows["rows"] if row["shots"] != 16]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gates, "quickstart", lambda **_: SimpleNamespace(summary=rows))
        patch.setattr(gates, "_sixteen_shots", lambda *_: SimpleNamespace(row=lambda *_: sixteen))
        found = check_gates(output_dir=folder, train_size=16, query_size=4, relabel_size=5)
    written = json.loads((folder / "gates.json").read_text())
    assert written["results"] == [json.loads(json.dumps(gate.to_dict())) for gate in found]
    return {gate.name: gate for gate in found}


@pytest.fixture(scope="module")
def measured(folder: Path) -> dict[str, Gate]:
    return check(folder)


def test_a_wrong_size_of_relabelling_is_refused_before_the_training(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(gates, "quickstart", lambda **_: pytest.fail("trained first"))
    with pytest.raises(InputError, match="relabel: query_size is 0"):
        check_gates(output_dir=tmp_path, relabel_size=0)


@pytest.mark.parametrize(
    ("value", "above", "inclusive", "passed"),
    [(86.0, True, False, True), (85.0, True, False, False), (85.0, True, True, True), (84.0, False, False, True)],
)
def test_a_gate_passes_on_its_point_estimate(value: float, above: bool, inclusive: bool, passed: bool) -> None:
    assert Gate("score", value, (0.0, 100.0), 85.0, above, inclusive).passed is passed


def test_every_gate_is_measured_on_the_open_questions(measured: dict[str, Gate]) -> None:
    assert measured["best method on the open questions"].measured == 91.0
    assert measured["zero-shot on the open questions"].measured == 7.0
    assert measured["8 demonstrations over zero-shot"].measured == 59.0
    assert measured["16 demonstrations over 4"].measured == 1.0
    assert measured["HiFICL over HiFICL on a random language model"].measured == 58.0
    bindings = [gate for name, gate in measured.items() if name.startswith("binding")]
    assert [gate.bound for gate in bindings] == [85.0, 60.0, 60.0]
    assert {gate.measured for gate in bindings} <= {0.0, 20.0, 40.0, 60.0, 80.0, 100.0}  # five questions each
    assert len(measured) == 9


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"lora": 85.0, "hificl": 80.0}, "best method on the open questions"),
        ({"lora": 100.0}, "no method at 100 on the open questions"),
        ({"zero_shot": 40.0}, "zero-shot on the open questions"),
        ({"icl_8": 20.0}, "8 demonstrations over zero-shot"),
        ({"icl_16": 57.5}, "16 demonstrations over 4"),
        ({"hificl_random_lm": 80.0}, "HiFICL over HiFICL on a random language model"),
    ],
)
def test_a_score_on_the_wrong_side_fails_its_gate_and_no_other(
    measured: dict[str, Gate], folder: Path, changed: dict[str, float], name: str
) -> None:
    before = {gate.name for gate in failed(list(measured.values()))}
    after = {gate.name for gate in failed(list(check(folder, **changed).values()))}
    assert after - before == {name}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_shipped_model_passes_its_gates(tmp_path: Path) -> None:
    assert not failed(check_gates(output_dir=tmp_path))
