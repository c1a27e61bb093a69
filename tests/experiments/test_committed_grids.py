"""The grids of this repository: complete, in both tiers, and within their budget of time."""

from __future__ import annotations

from pathlib import Path

import pytest

from hificl.diagnostics import MEASURES
from hificl.experiments import plan_grids, read_grid
from hificl.experiments.changes import read_changes
from hificl.experiments.entries import entries_of
from hificl.experiments.job import SCORE
from hificl.tasks import TASKS

FOLDER = Path(__file__).parents[2] / "grids"
GRIDS = sorted(FOLDER.glob("*.yaml"))

BUDGET_HOURS = 12.0
"""Of two cores, for all grids of the embedded tier but those about the recipe."""

RECIPE_BUDGET_HOURS = 15.0
"""Of two cores, for those."""

SEEDS = {"main": 5, "recipe_confirmation": 5, "recipe_transfer": 5}
"""Of the embedded tier where they are not three."""


def test_all_experiments_are_there() -> None:
    assert {file.stem for file in GRIDS} == {
        "main", "ablation", "rank", "pairs", "data_efficiency", "training_cost", "inference_cost", "hallucination",
        "fidelity", "real_mass", "demonstrations", "recipe_screening", "recipe_confirmation", "recipe_transfer",
    }  # fmt: skip


@pytest.mark.parametrize("file", GRIDS, ids=lambda file: file.stem)
@pytest.mark.parametrize("tier", ["embedded", "real"])
def test_every_cell_of_a_grid_can_be_asked_for(file: Path, tier: str) -> None:
    grid = read_grid(file)
    assert grid.command == f"hificl run grids/{file.name}"
    found = entries_of(grid, read_changes({"tier": tier}))
    assert found
    assert {entry.job.measure for entry in found} <= {SCORE, *MEASURES}
    for entry in found:
        task = TASKS[entry.job.task]
        assert (task.origin == "root") == (tier == "real")
        assert entry.job.protocol is None or entry.job.protocol in task.protocols
    if tier == "embedded":
        assert len({entry.seed for entry in found}) == SEEDS.get(file.stem, 3)


def test_what_takes_the_measure_of_scores_is_shared_with_the_main_grid() -> None:
    main = {entry.job.key for entry in entries_of(read_grid(FOLDER / "main.yaml"), read_changes({}))}
    shared = {entry.job.key for entry in entries_of(read_grid(FOLDER / "hallucination.yaml"), read_changes({}))}
    assert shared < main


@pytest.mark.parametrize(("about_the_recipe", "hours"), [(False, BUDGET_HOURS), (True, RECIPE_BUDGET_HOURS)])
def test_all_grids_fit_their_budget(about_the_recipe: bool, hours: float) -> None:
    grids = [file for file in GRIDS if file.stem.startswith("recipe_") == about_the_recipe]
    found = plan_grids(grids, workers=2)
    assert [grid["grid"] for grid in found["grids"] if grid["unknown"]] == []
    assert 0 < found["hours"] <= hours
    assert not [one for grid in found["grids"] for one in grid["cells"] if one["error"]]
