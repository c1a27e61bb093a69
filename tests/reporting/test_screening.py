"""The screening of a recipe: ranks by hand, the half that goes on, the rival, and what is missing."""

from __future__ import annotations

from pathlib import Path

from reporting import fake_results
from reporting.fake_grid import FakeGrid
from reporting.reading_sections import row_of, said, section_of


def test_candidates_are_ranked_on_what_all_of_them_have(tmp_path: Path) -> None:
    section = section_of(fake_results.screening_grid, tmp_path)
    first, second = section.tables
    rate = "HiFICL, learning_rate"
    # Of 0.02 the second seed is missing: all are ranked on the first one, and no half is named.
    assert [(row[0].text, row[-2].text, row[-1].text) for row in first.rows[:-1]] == [
        (f"{rate} = 0.01", "1.0", ""), ("HiFICL", "2.5", ""), (f"{rate} = 0.02", "2.5", ""),
        (f"{rate} = 0.002", "4.0", ""),
    ]  # fmt: skip
    assert first.rows[-1][0].text == "LoRA"
    # Two ranks of 1.5, one of 1 and one of 2 for each task.
    assert [(row[-2].text, row[-1].text) for row in second.rows] == [("1.2", "yes"), ("1.8", "no")]


def test_what_is_found_is_said(tmp_path: Path) -> None:
    facts = said(section_of(fake_results.screening_grid, tmp_path))
    assert facts[0] == (
        "Rung of 100 steps, 4 candidates, mean rank: first are HiFICL, learning_rate = 0.01 (1.0), HiFICL (2.5), "
        "HiFICL, learning_rate = 0.02 (2.5); without a change HiFICL is at place 2. The rung is not finished, so the "
        "order may change."
    )
    assert facts[1] == "Rung of 100 steps, easy-VQA: LoRA has 68.0 [66.5, 69.5]; 2 of 4 candidates have more."
    assert not any("Rung of 200 steps, easy-VQA" in fact for fact in facts)


def test_each_model_has_rungs_of_its_own(tmp_path: Path) -> None:
    grid = FakeGrid("recipe_screening", ("model", "task", "variant", "steps"))
    for model, task, steps in (("embedded", "flags", 400), ("smollm2", "antonyms", 200), ("embedded", "flags", 200)):
        grid.add(task, "hificl", [70.0], point={"model": model, "steps": steps})
    section = section_of(lambda: grid, tmp_path)
    titles = ["Rung of 200 steps, embedded", "Rung of 400 steps, embedded", "Rung of 200 steps, smollm2"]
    assert [table.title for table in section.tables] == titles
    assert len({table.name for table in section.tables}) == 3
    # What is said in short is the last rung of each.
    assert [fact[0].split(", 1 candidates")[0] for fact in section.short] == titles[1:]


def only_rung() -> FakeGrid:
    """One rung, whose steps are therefore no axis; three ranks are equal at the cut, and one candidate lacks a task."""
    grid = FakeGrid("recipe_screening", ("task", "variant", "learning_rate"))
    for rate, score in ((0.1, 80.0), (0.2, 70.0), (0.3, 70.0), (0.4, 70.0), (0.5, 60.0)):
        for task in ("easy_vqa", "flags"):
            grid.add(task, "hificl", [score], point={"learning_rate": rate})
    return grid.add("flags", "hificl", [99.0], point={"learning_rate": 0.6})


def test_a_candidate_without_a_task_is_named_and_not_ranked(tmp_path: Path) -> None:
    section = section_of(only_rung, tmp_path)
    assert section.tables[0].title == "First rung"
    assert "Not ranked, for a task is missing: HiFICL, learning_rate = 0.6." in said(section)[0]
    assert [row[-1].text for row in section.tables[0].rows] == [""] * 5


def test_a_cell_stands_at_every_point_that_leads_to_it(tmp_path: Path) -> None:
    """What one candidate sets is the default on one of the tasks."""
    grid = only_rung()
    grid.add("easy_vqa", "hificl", [75.0])
    for mean in grid.summary["means"]:
        if mean["task"] == "flags" and mean["point"].get("learning_rate") == 0.6:
            mean["also_at"] = [{"task": "flags", "variant": "hificl", "learning_rate": None}]
    section = section_of(lambda: grid, tmp_path)
    assert row_of(section.tables[0], "HiFICL")[1:3] == ["75.0 [73.5, 76.5]", "99.0 [97.5, 100.5]"]
    assert "Not ranked, for a task is missing: HiFICL, learning_rate = 0.6." in said(section)[0]


def test_equal_ranks_at_the_cut_go_on_together(tmp_path: Path) -> None:
    grid = only_rung()
    for kind in ("rows", "means"):
        grid.summary[kind] = [one for one in grid.summary[kind] if one["point"]["learning_rate"] != 0.6]
    table = section_of(lambda: grid, tmp_path).tables[0]
    assert [row[-1].text for row in table.rows] == ["yes"] * 4 + ["no"]
    assert row_of(table, "HiFICL, learning_rate = 0.3")[-2] == "3.0"


def test_the_same_score_with_other_last_bits_is_no_higher_one(tmp_path: Path) -> None:
    grid = FakeGrid("recipe_screening", ("task", "variant", "learning_rate"))
    for rate, score in ((0.1, 9.206349206349207), (0.2, 9.206349206349206), (0.3, 8.0)):
        grid.add("flags", "hificl", [score], point={"learning_rate": rate})
    grid.add("flags", "lora", [9.206349206349206])
    section = section_of(grid, tmp_path)
    assert "0 of 3 candidates have more" in said(section)[1]
    assert [row[-2].text for row in section.tables[0].rows[:3]] == ["1.5", "1.5", "3.0"]
