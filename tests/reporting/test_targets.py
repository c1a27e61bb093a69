"""The confirmation of a recipe: each target by hand, met and missed, and what is not known."""

from __future__ import annotations

from pathlib import Path

from hificl.reporting.document import plain_text
from reporting import fake_results
from reporting.fake_grid import FakeGrid
from reporting.reading_sections import row_of, said, section_of, table_named


def test_every_target_is_held_to_its_own_rival(tmp_path: Path) -> None:
    table = table_named(section_of(fake_results.confirmation_grid, tmp_path), "targets")
    assert [column.name for column in table.columns] == [
        "place", "above LoRA", "spread / LoRA's", "lowest seed to 16-shot", "to 8-shot, 50 examples",
        "parameters / LoRA's",
    ]  # fmt: skip
    # The spread is that of two seeds; 18,432 of 108,424 are 0.17 to four digits, of one less they are more than that.
    assert row_of(table, "easy-VQA, 50 examples")[1:] == [
        "+5.0 [4.0, 6.0], met", "1.4 / 2.8, met", "0.0, met", "0.0, met", "0.170, met"
    ]  # fmt: skip
    assert row_of(table, "easy-VQA, 300 examples")[1:] == [
        "\N{MINUS SIGN}1.0 [\N{MINUS SIGN}2.0, 0.0], missed", "7.1 / 1.4, missed", "\N{MINUS SIGN}0.5, missed",
        "\N{EN DASH}", "0.170, missed",
    ]  # fmt: skip


def test_targets_are_counted_and_misses_named(tmp_path: Path) -> None:
    facts = said(section_of(fake_results.confirmation_grid, tmp_path))
    assert facts[0] == (
        "Target, mean above LoRA's beyond chance: met at 1 of 2 places; missed at easy-VQA, 300 examples "
        "(\N{MINUS SIGN}1.0 [\N{MINUS SIGN}2.0, 0.0])."
    )
    assert facts[3] == "Target, with 50 examples at least 8 demonstrations: met at 1 of 1 place."
    assert any("HiFICL, robust recipe is" in fact for fact in facts[5:])


def test_scores_stand_side_by_side_and_curves_follow(tmp_path: Path) -> None:
    section = section_of(fake_results.confirmation_grid, tmp_path)
    row = row_of(table_named(section, "confirmation_scores"), "easy-VQA, 50 examples")
    assert [cell.split(" ")[0] for cell in row[1:]] == ["81.0", "72.5", "76.0", "81.0", "81.0"]
    assert len(section.figures) == 1


def without(grid: FakeGrid, variant: str, *, shots: int = 0) -> FakeGrid:
    for kind in ("rows", "means"):
        kept = [one for one in grid.summary[kind] if (one["variant"], one["shots"]) != (variant, shots)]
        grid.summary[kind] = kept
    return grid


def test_a_rival_that_is_not_there_yet_judges_nothing(tmp_path: Path) -> None:
    grid = without(without(fake_results.confirmation_grid(), "lora"), "icl", shots=16)
    table = table_named(section_of(grid, tmp_path), "targets")
    nothing = "\N{EN DASH}"
    assert row_of(table, "easy-VQA, 50 examples")[1:] == [nothing, nothing, nothing, "0.0, met", nothing]


def test_without_the_recipe_itself_only_curves_are_drawn(tmp_path: Path) -> None:
    section = section_of(without(fake_results.confirmation_grid(), "hificl_robust"), tmp_path)
    assert section.figures
    assert not any("targets" in table.name for table in section.tables)


def test_a_lead_that_the_correction_takes_away_is_missed(tmp_path: Path) -> None:
    grid = fake_results.confirmation_grid()
    for mean in grid.summary["means"]:
        if mean["variant"] == "lora":
            mean["p_holm"] = 0.4
    table = table_named(section_of(grid, tmp_path), "targets")
    assert row_of(table, "easy-VQA, 50 examples")[1] == "+5.0 [4.0, 6.0], missed"


def test_other_last_bits_miss_nothing_and_other_seeds_judge_nothing(tmp_path: Path) -> None:
    grid = FakeGrid("recipe_confirmation", ("task", "variant", "train_size"), reference="hificl_robust")
    for size, own, shown, seeds in ((50, 9.206349206349206, 9.206349206349207, 2), (300, 10.0, 12.0, 1)):
        point = {"train_size": size}
        grid.add("flags", "hificl_robust", [own, own], point=point, train_size=size, is_reference=True)
        for shots in (8, 16):
            at = {**point, "shots": shots}
            grid.add("flags", "icl", [shown] * seeds, shots=shots, point=at, train_size=size, is_reference=False)
    table = table_named(section_of(grid, tmp_path), "targets")
    assert row_of(table, "flags, 50 examples")[3:5] == ["0.0, met", "0.0, met"]
    assert row_of(table, "flags, 300 examples")[3] == "\N{EN DASH}"


def test_losses_stand_at_the_head_and_other_subsets_are_not_judged_twice(tmp_path: Path) -> None:
    grid = fake_results.confirmation_grid()
    for variant, score, gap in (("hificl_robust", 60.0, None), ("lora", 70.0, 10.0)):
        for size in (50, 300):
            grid.add(
                "easy_vqa", variant, [score, score], point={"train_size": size}, train_size=size, difference=gap,
                subset="open", headline=False, is_reference=gap is None,
            )  # fmt: skip
    section = section_of(grid, tmp_path)
    assert len(table_named(section, "targets").rows) == 2
    assert len(table_named(section, "confirmation_scores").rows) == 4
    short = [plain_text(fact) for fact in section.short]
    assert any(
        "Beside LoRA on easy-VQA, open questions, HiFICL, robust recipe is behind at 50, 300" in one for one in short
    )


def test_a_hole_at_the_first_place_keeps_the_reference(tmp_path: Path) -> None:
    grid = fake_results.confirmation_grid()
    for kind in ("rows", "means"):
        grid.summary[kind] = [
            one for one in grid.summary[kind] if (one["variant"], one["train_size"]) != ("hificl_robust", 50)
        ]
    grid.hole("failed", "easy_vqa", "hificl_robust", train_size=50)
    facts = said(section_of(grid, tmp_path))
    assert not any("recipe of the paper is highest" in fact for fact in facts)
    assert any("HiFICL, robust recipe" in fact for fact in facts)
