"""The search: on a fixed fifth of the support set, never on queries, resumable, the best trial wins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hificl.backbones import Backbone
from hificl.comparison import (
    VARIANTS,
    Values,
    find_variants,
    run_search,
    search,
    split_validation,
    store_values,
    stored_values,
)
from hificl.comparison.agenda import Agenda, Job, Step
from hificl.comparison.cells import Conditions
from hificl.comparison.search import trials_of
from hificl.data import Example
from hificl.errors import InputError
from hificl.methods import METHODS
from hificl.records import read_json
from hificl.tasks import TaskData

TRIALS = ({"r": 2}, {"r": 3}, {"r": 5})


@pytest.fixture
def conditions(backbone: Backbone, data: TaskData) -> Conditions:
    return Conditions(backbone, data, "colours", "exact_match", seed=3)


@pytest.fixture(autouse=True)
def few_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three trials for LoRA, two for demonstrations, none for the others."""
    methods = {name: replace(method, search=()) for name, method in METHODS.items()}
    methods["lora"] = replace(methods["lora"], search=TRIALS)
    methods["icl"] = replace(methods["icl"], search=({"shots": 1}, {"shots": 2, "retrieval": "rices"}))
    monkeypatch.setattr(search, "METHODS", methods)


def searched(conditions: Conditions, folder: Path, names: str = "lora,icl,hificl") -> tuple[Values, list[Step]]:
    variants = find_variants(names)
    told: list[Step] = []
    agenda = Agenda([Job(f"{one[0]} {one[1]}", one[0], 1.0) for one in trials_of(variants)], told.append)
    overrides: dict[str, dict[str, Any]] = {one.method: {} for one in variants} | {"lora": {"steps": 2}}
    return run_search(conditions, variants, folder, agenda, overrides), told


def test_the_split_depends_on_the_ids_alone(data: TaskData) -> None:
    examples = [Example(f"s{number}", [], "what?", ["red"]) for number in range(43)]
    fit, validation = split_validation(examples)
    assert (len(fit), len(validation)) == (34, 9)
    assert {one.id for one in fit} | {one.id for one in validation} == {one.id for one in examples}
    assert [one.id for one in fit] == sorted((one.id for one in fit), key=lambda name: int(name[1:]))
    again = split_validation(examples[::-1])[1]
    assert {one.id for one in again} == {one.id for one in validation}
    with pytest.raises(InputError, match="2 support examples are too few"):
        split_validation(data.support[:2])


def test_trials_are_run_kept_and_never_see_a_query(conditions: Conditions, data: TaskData, tmp_path: Path) -> None:
    values, told = searched(conditions, tmp_path / "search")
    assert [step.done for step in told] == [False] * 5
    record = read_json(tmp_path / "search" / "search.json")
    queries = {one.id for one in data.queries}
    assert not queries & {*record["sample_ids"]["fit"], *record["sample_ids"]["validation"]}
    cell = read_json(tmp_path / "search" / "lora" / "trial_1" / "cell.json")
    assert cell["config"]["overrides"] == {"r": 3, "steps": 2}
    assert cell["seed"] == 3
    assert cell["sample_ids"]["train"] == record["sample_ids"]["fit"]
    assert cell["sample_ids"]["queries"] == record["sample_ids"]["validation"]
    rices = read_json(tmp_path / "search" / "icl" / "trial_1" / "cell.json")["config"]["evaluation"]
    assert (rices["shots"], rices["retrieval"]) == (2, "rices")
    assert [one["options"] for one in record["methods"]["lora"]["trials"]] == list(TRIALS)
    assert record["methods"].keys() == {"lora", "icl"}
    assert values.source == "search"
    assert values.revision == conditions.backbone.revision
    again, told = searched(conditions, tmp_path / "search")
    assert [step.done for step in told] == [True] * 5
    assert again == values


@pytest.mark.parametrize("scores, likest", [((10.0, 30.0), 2), ((20.0, 20.0), 1)])
def test_icl_keeps_random_demonstrations(
    conditions: Conditions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scores: tuple[float, ...], likest: int
) -> None:
    answers = iter(scores)
    monkeypatch.setattr(search, "_try", lambda *_: {"score": next(answers), "error": None})
    values, _ = searched(conditions, tmp_path, "icl,icl_rices")
    assert values.options(VARIANTS["icl"], {}) == {"shots": 1}
    assert values.options(VARIANTS["icl_rices"], {}) == {"shots": likest, "retrieval": "rices"}
    record = read_json(tmp_path / "search.json")
    file = tmp_path / "values.json"
    store_values(record, file, record="results/search.json")
    stored = stored_values(conditions.backbone, "colours", file)
    assert stored.chosen == values.chosen


@pytest.mark.parametrize("scores, best", [((10.0, 30.0, 20.0), 1), ((30.0, 30.0, 10.0), 0), ((None, 0.0, 0.0), 1)])
def test_the_best_trial_wins_and_the_earlier_among_equals(
    conditions: Conditions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scores: tuple[float | None, ...], best: int
) -> None:
    answers = iter(scores)
    monkeypatch.setattr(search, "_try", lambda *_: {"score": next(answers), "error": None})
    values, _ = searched(conditions, tmp_path, "lora")
    assert values.chosen == {"lora": TRIALS[best]}


def test_a_method_whose_trials_all_failed_keeps_its_defaults(
    conditions: Conditions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "run_one", lambda *_: ValueError("no such\nlayer"))
    values, _ = searched(conditions, tmp_path, "lora")
    assert values.chosen == {}
    assert values.options(find_variants("lora")[0], {}) == {}
    found = read_json(tmp_path / "search.json")["methods"]["lora"]
    assert found["chosen"] is None
    assert {one["error"] for one in found["trials"]} == {"ValueError: no such layer"}
