"""Every measure on cells: which lines it has, what it trains, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hificl.backbones import Backbone
from hificl.cell import RANDOM_LM, Cell
from hificl.diagnostics import MEASURES, Measured, MeasureRequest, measure
from hificl.errors import InputError
from hificl.tasks import TaskData

TRAINED = {"steps": 2, "batch_size": 2, "num_virtual_tokens": 3, "r": 2}


def run(name: str, backbone: Backbone, data: TaskData, cell: Cell, folder: Path, **options: Any) -> Measured:
    return MEASURES[name].run(MeasureRequest(backbone, data, "colours", "exact_match", cell, options, folder))


def test_lines_of_fidelity(backbone: Backbone, data: TaskData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"shots": 3, "draws": 2, "queries": 2}
    cell = Cell("hificl", seed=3, options=TRAINED, variant="hificl_tiny")
    found = run("fidelity", backbone, data, cell, tmp_path, **given)
    assert list(found.results["lines"]) == ["hificl_tiny", "zero_shot", "other_demonstrations"]
    assert found.results["queries"] == 2
    assert found.volatile == {}
    json.dumps(found.results, allow_nan=False)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("hificl.training.session.Session.run", refuse)
    assert run("fidelity", backbone, data, cell, tmp_path, **given) == found
    zero = run("fidelity", backbone, data, Cell("zero_shot", seed=3), tmp_path / "zero", **given)
    assert list(zero.results["lines"]) == ["zero_shot", "other_demonstrations"]
    assert zero.results["lines"]["zero_shot"] == found.results["lines"]["zero_shot"]
    assert not (tmp_path / "zero").exists()


def test_in_context_learning_is_a_line(backbone: Backbone, data: TaskData, tmp_path: Path) -> None:
    found = run("fidelity", backbone, data, Cell("icl", 3, seed=5), tmp_path, shots=3, draws=1, queries=2)
    assert found.results["lines"]["icl_3"]["residual"]["shared"]["l2"]["mean"] == 0.0
    retrieved = Cell("icl", 2, options={"retrieval": "rices"}, variant="icl_rices")
    found = run("fidelity", backbone, data, retrieved, tmp_path, shots=3, draws=2, queries=2)
    assert found.results["lines"]["icl_rices_2"]["residual"]["shared"]["l2"]["mean"] > 0


def test_a_control_is_measured_on_its_own_backbone(backbone: Backbone, data: TaskData, tmp_path: Path) -> None:
    given = {"shots": 2, "draws": 1, "queries": 2}
    plain, control = (
        run("fidelity", backbone, data, Cell("zero_shot", seed=3, control=told), tmp_path, **given)
        for told in (None, RANDOM_LM)
    )
    assert plain.results["lines"] != control.results["lines"]


def test_the_mass_of_a_cell(backbone: Backbone, data: TaskData, tmp_path: Path) -> None:
    found = run("real_mass", backbone, data, Cell("hificl", options=TRAINED), tmp_path, queries=2, listed=5).results
    assert (found["queries"], found["virtual"], len(found["pairs"])) == (2, 3, 5)
    assert len(found["pairs"][0]["says"]) == len(found["pairs"][0]["from"]) == 5
    json.dumps(found, allow_nan=False)
    with pytest.raises(InputError, match="no virtual pairs are active"):
        run("real_mass", backbone, data, Cell("zero_shot"), tmp_path / "zero")


def test_the_cost_of_the_answers_of_a_cell(backbone: Backbone, data: TaskData, tmp_path: Path) -> None:
    given = {"queries": 2, "new_tokens": 2, "rounds": 1}
    found = run("inference_cost", backbone, data, Cell("icl", 2), tmp_path, **given)
    assert {name: line["shots"] for name, line in found.results["lines"].items()} == {"icl_2": 2, "zero_shot": 0}
    assert list(found.volatile["lines"]) == ["icl_2", "zero_shot"]
    zero = run("inference_cost", backbone, data, Cell("zero_shot"), tmp_path, **given)
    assert list(zero.results["lines"]) == ["zero_shot"]
    assert zero.results["lines"]["zero_shot"] == found.results["lines"]["zero_shot"]


def test_options_are_checked(backbone: Backbone, data: TaskData, tmp_path: Path) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"shot": 3}, "unknown option 'shot'; did you mean 'shots'?"),
        ({"shots": 0}, "shots is 0; give a whole number of at least 1"),
        ({"draws": "2"}, "draws is '2'"),
        ({"queries": None}, "queries is None"),
        ({"queries": True}, "queries is True"),
    ]
    for options, message in wrong:
        with pytest.raises(InputError, match=message.replace("?", r"\?")):
            run("fidelity", backbone, data, Cell("zero_shot"), tmp_path, **options)


def test_none_lets_a_measure_choose() -> None:
    seen: list[Any] = []
    one = measure.Measure("test", {"steps": None, "rounds": 2}, lambda _, options: seen.append(options) or Measured({}))
    asked: Any = type("Request", (), {"options": {"steps": None}})()
    one.run(asked)
    assert seen == [{"steps": None, "rounds": 2}]
