"""What sections say about made-up records: golden numbers, true sentences, holes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hificl.errors import InputError
from hificl.reporting.document import joined, plain_text
from hificl.reporting.figures import Dots
from hificl.reporting.found import Found, find_results
from hificl.reporting.sections import all_sections
from hificl.reporting.summary import absent_grids, all_holes, holes_sentence, summary_facts
from reporting import fake_results
from reporting.fake_grid import FakeGrid, write
from reporting.fake_results import main_grid
from reporting.reading_sections import row_of, said, section_of, table_named


def three() -> FakeGrid:
    """Three methods on one task: one ahead, one that the correction keeps level."""
    grid = FakeGrid("main")
    grid.add("easy_vqa", "hificl", [90.0, 91.0, 92.0])
    grid.add("easy_vqa", "lora", [94.0, 95.0, 96.0], difference=4.0, p_holm=0.004)
    return grid.add("easy_vqa", "m2iv", [88.0, 88.0, 88.0], difference=-3.0, p_holm=0.063)


def test_three_records_in_a_table(tmp_path: Path) -> None:
    section = section_of(three, tmp_path)
    table = section.tables[0]
    assert [column.name for column in table.columns] == [
        "method", "score, exact match, %", "over seeds", "over queries", "minus HiFICL", "p (Holm)", "each seed",
    ]  # fmt: skip
    assert [row[0].text for row in table.rows] == ["LoRA", "HiFICL", "M2IV"]
    assert row_of(table, "LoRA") == [
        "LoRA",
        "95.0",
        "[93.5, 96.5]",
        "[93.0, 97.0]",
        "+4.0 [3.0, 5.0]*",
        "0.004",
        "94.0 95.0 96.0",
    ]
    assert row_of(table, "M2IV")[4:6] == ["−3.0 [−4.0, −2.0]", "0.063"]
    assert [cell.strong for cell in (row[1] for row in table.rows)] == [True, False, False]


def test_sentences_say_who_is_ahead_and_what_cannot_be_told_apart(tmp_path: Path) -> None:
    facts = said(section_of(three, tmp_path))
    assert facts == [
        "easy-VQA: HiFICL reaches 91.0 [89.5, 92.5] (exact match, %, 3 seeds) with 18,432 trained numbers; the highest "
        "mean "
        "of the 3 methods is LoRA, 95.0 [93.5, 96.5].",
        "HiFICL is ahead of no other method here beyond chance.",
        "HiFICL does not win here: ahead of it is LoRA by 4.0 [3.0, 5.0].",
        "After correction HiFICL cannot be told apart from these (in brackets their score minus its own): M2IV (−3.0 "
        "[−4.0, −2.0]).",
    ]


def test_a_task_that_is_judged_by_a_part_of_its_queries_says_so(tmp_path: Path) -> None:
    def made() -> FakeGrid:
        grid = FakeGrid("main", ("task", "variant"))
        for task, subset in (("easy_vqa", "open"), ("flags", "all"), ("captions", "all")):
            grid.add(task, "hificl", [90.0, 91.0], subset=subset).add(
                task, "mimic", [91.0, 91.0], subset=subset, difference=0.5, p_holm=0.9
            )
        return grid

    told = "No method is ahead of HiFICL on any of the 3 tasks beyond chance, judging easy-VQA by its open questions."
    assert told in [plain_text(fact) for fact in section_of(made, tmp_path).short]


def test_an_interval_with_zero_is_no_difference_whatever_p_says(tmp_path: Path) -> None:
    grid = (
        FakeGrid("main").add("easy_vqa", "hificl", [90.0]).add("easy_vqa", "lora", [90.5], difference=0.5, p_holm=0.01)
    )
    facts = said(section_of(grid, tmp_path))
    assert facts[-1].endswith("(in brackets their score minus its own): LoRA (+0.5 [−0.5, 1.5]).")


def test_the_random_language_model_is_a_control_and_no_rival(tmp_path: Path) -> None:
    facts = said(section_of(main_grid, tmp_path))
    control = next(fact for fact in facts if fact.startswith("Control on easy-VQA"))
    assert "HiFICL reaches 22.0 [20.5, 23.5] (91.0 [89.5, 92.5] on the trained one). So much these" in control
    assert not any("random" in fact for fact in facts if not fact.startswith("Control"))
    tally = table_named(section_of(main_grid, tmp_path), "tally")
    assert [[cell.text for cell in row] for row in tally.rows] == [
        ["LoRA", "0", "0", "2"],
        ["MimIC", "0", "2", "0"],
        ["zero-shot", "2", "0", "0"],
    ]


def test_every_control_is_held_to_its_own_method(tmp_path: Path) -> None:
    grid = main_grid()
    grid.add("easy_vqa", "lora", [70.0, 72.0], control="random_lm", difference=-20.0, point={"control": "random_lm"})
    controls = [fact for fact in said(section_of(grid, tmp_path)) if fact.startswith("Control on easy-VQA")]
    assert len(controls) == 1
    lora, own = "LoRA reaches 71.0 [69.5, 72.5] (95.0", "HiFICL reaches 22.0 [20.5, 23.5] (91.0"
    assert controls[0].index(lora) < controls[0].index(own)
    assert controls[0].endswith("The highest is what these image features give without a trained language model.")


def test_an_interval_of_another_kind_is_marked(tmp_path: Path) -> None:
    grid = three()
    grid.summary["means"][2]["seed_ci95"] = None
    figure = section_of(grid, tmp_path).figures[0]
    assert isinstance(figure, Dots)
    assert {dot.label: dot.hollow for dot in figure.dots} == {"LoRA": False, "HiFICL": False, "M2IV": True}
    assert figure.x_label == "exact match, % (95 % over seeds; hollow: over queries)"


def test_a_difference_that_the_seeds_do_not_show_says_so(tmp_path: Path) -> None:
    grid = three()
    grid.summary["means"][1] |= {"difference_seed_ci95": [-1.0, 9.0]}
    facts = said(section_of(grid, tmp_path))
    doubt = "LoRA by 4.0 [3.0, 5.0] (over queries; over seeds the interval [−1.0, 9.0] holds 0)"
    assert any(doubt in fact for fact in facts)
    # What is said the other way round has its interval turned.
    grid.summary["means"][1] |= {
        "difference": -4.0,
        "difference_ci95": [-5.0, -3.0],
        "difference_seed_ci95": [-9.0, 1.0],
    }
    facts = said(section_of(grid, tmp_path))
    assert any(
        "LoRA by 4.0 [3.0, 5.0] (over queries; over seeds the interval [−1.0, 9.0] holds 0)" in one for one in facts
    )


def test_sentences_name_what_a_grid_tests_against(tmp_path: Path) -> None:
    grid = FakeGrid("main", ("task", "variant"), reference="lora")
    for task in ("easy_vqa", "flags"):
        grid.add(task, "lora", [95.0, 95.0], is_reference=True)
        grid.add(task, "mimic", [90.0, 91.0], difference=-4.5, is_reference=False)
    section = section_of(grid, tmp_path)
    assert "No method is ahead of LoRA on any of the 2 tasks beyond chance." in [
        plain_text(one) for one in section.short
    ]
    assert table_named(section, "tally").columns[1].name == "LoRA ahead, tasks"
    assert [row[0].strong for row in table_named(section, "overview").rows] == [True, False]


def test_names_with_commas_are_told_apart_by_semicolons() -> None:
    plain = [("LoRA",), ("MimIC",), ("LIVE",)]
    assert plain_text(joined(plain)) == "LoRA, MimIC and LIVE"
    assert (
        plain_text(joined([*plain, ("HiFICL, alpha = 1",)], commas_inside=True))
        == "LoRA; MimIC; LIVE; and HiFICL, alpha = 1"
    )


def test_failed_and_missing_cells_are_holes_with_their_reason(tmp_path: Path) -> None:
    section = section_of(main_grid, tmp_path)
    overview = table_named(section, "overview")
    assert row_of(overview, "MTV") == ["MTV", "failed", "–"]
    assert row_of(overview, "LIVE") == ["LIVE", "–", "missing"]
    assert {hole.kind for hole in section.holes} == {"failed", "missing"}
    figure = section.figures[0]
    assert isinstance(figure, Dots)
    assert [dot.value for dot in figure.dots if dot.label == "MTV"] == [None]
    assert "MTV has no number (failed)" in figure.description


@pytest.mark.parametrize("how", ["changed", "gone", "other revision", "a control's", "damaged"])
def test_a_number_that_its_record_does_not_hold_is_stale(tmp_path: Path, how: str) -> None:
    three().write(tmp_path)
    record = tmp_path / "cells/easy_vqa/lora_seed1/cell.json"
    content = json.loads(record.read_text(encoding="utf-8"))
    if how == "changed":
        content["results"]["subsets"]["all"]["score"] = 12.0
    if how == "other revision":
        content["config"]["revision"] = "content:ffff"
    if how == "a control's":
        content["config"]["revision"] += "+random_lm:1"
    write(record, content)
    if how == "gone":
        record.unlink()
    if how == "damaged":
        record.write_text("{", encoding="utf-8")
    section = all_sections(find_results(tmp_path))[0]
    row = next(row for row in section.tables[0].rows if row[0].text == "LoRA")
    assert (row[1].text, row[1].value) == ("stale", None)
    assert "95.0" not in [cell.text for cell in row]
    assert section.holes[0].kind == "stale"
    assert not any("LoRA" in fact for fact in said(section))


def test_the_summary_says_what_the_reference_is_and_what_failed_beside_the_cells(tmp_path: Path) -> None:
    grid = three()
    for mean in grid.summary["means"]:
        mean |= {"is_reference": mean["variant"] == "hificl", "difference_seed_ci95": None}
    grid.summary["means"][1]["difference_seed_ci95"] = [2.5, 5.5]
    grid.summary["speed"] = [
        {"script": "decode", "rows": [], "error": "RunError: killed"},
        {"script": "prefill", "rows": ["speed/prefill/a.json"], "error": None},
    ]
    grid.hole("failed", "easy_vqa", "mtv")
    section = section_of(grid, tmp_path)
    assert row_of(section.tables[0], "LoRA")[5] == "[2.5, 5.5]"
    assert [(hole.what, hole.reason) for hole in section.holes][1] == ("speed: decode", "RunError: killed")
    assert section.holes[0].record == tmp_path / "cells/failed/error.json"


def test_a_missing_reference_compares_nothing(tmp_path: Path) -> None:
    grid = (
        FakeGrid("main").add("easy_vqa", "lora", [95.0]).hole("failed", "easy_vqa", "hificl", error="RunError: killed")
    )
    assert said(section_of(grid, tmp_path)) == [
        "easy-VQA: HiFICL has no number (failed: RunError: killed), so nothing can be compared with it."
    ]


def test_a_damaged_summary_is_a_hole_and_the_rest_is_read(tmp_path: Path) -> None:
    three().write(tmp_path)
    write(tmp_path / "rank.json", {"kind": "grid", "grid": "rank"})
    (tmp_path / "pairs.json").write_text("[", encoding="utf-8")
    found = find_results(tmp_path)
    assert [grid.name for grid in found.grids] == ["main"]
    assert [hole.what for hole in found.problems] == ["pairs.json", "rank.json"]
    assert "no 'rows'" in found.problems[1].reason or "has no" in found.problems[1].reason


def test_what_does_not_exist_is_left_out_with_one_line(tmp_path: Path) -> None:
    three().write(tmp_path)
    found = find_results(tmp_path)
    assert absent_grids(found)[:2] == ["ablation", "data_efficiency"]
    sections = all_sections(found)
    assert holes_sentence(all_holes(found, sections)).startswith("Nothing that was planned")
    assert summary_facts(sections)[0][0].name == "main"


@pytest.mark.parametrize("made", [False, True])
def test_a_folder_without_results_is_refused_with_the_remedy(tmp_path: Path, made: bool) -> None:
    folder = tmp_path / "none"
    if made:
        folder.mkdir()
    with pytest.raises(InputError, match="name"):
        find_results(folder)


def test_links_are_not_followed_and_cells_are_not_results(tmp_path: Path) -> None:
    three().write(tmp_path / "one")
    (tmp_path / "one" / "loop").symlink_to(tmp_path)
    assert len(find_results(tmp_path).grids) == 1


def test_a_number_in_print_stands_beside_ours(tmp_path: Path) -> None:
    section = section_of(three, tmp_path, "published")
    table = next(one for one in section.tables if "idefics2_8b_base" in one.name)
    assert [column.published for column in table.columns][:3] == [False, False, True]
    row = row_of(table, "HiFICL")
    assert row[1:5] == ["91.0 [89.5, 92.5]", "72.08", "59.56", "1.2951"]
    assert any("published, other hardware and data" in note for note in table.notes)


def test_names_of_tables_and_figures_are_unique_and_fit_for_files(tmp_path: Path) -> None:
    found: Found = find_results(fake_results.write_everything(tmp_path))
    names = [one.name for section in all_sections(found) for one in (section, *section.tables, *section.figures)]
    assert len(set(names)) == len(names)
    assert all(letter.isalnum() or letter in "_-" for name in names for letter in name)
