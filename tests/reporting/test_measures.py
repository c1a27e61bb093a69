"""Curves, hallucination, measurements, costs and speed: golden numbers and true sentences from made-up records."""

from __future__ import annotations

from pathlib import Path

import pytest

from hificl.reporting.document import plain_text
from hificl.reporting.figures import Heat, Lines
from hificl.reporting.found import find_results
from hificl.reporting.sections import all_sections
from reporting import fake_results
from reporting.fake_grid import FakeGrid
from reporting.fake_results import write_speed
from reporting.reading_sections import row_of, said, section_of


def test_a_curve_has_a_band_and_says_whether_its_ends_lie_apart(tmp_path: Path) -> None:
    section = section_of(fake_results.rank_grid, tmp_path)
    figure = section.figures[0]
    assert isinstance(figure, Lines)
    assert figure.series[0].x == (1.0, 2.0, 4.0, 8.0, 16.0)
    assert figure.series[0].low[0] == 68.5
    assert (
        "highest at rank r = 8, 90.0 [88.5, 91.5], and lowest at 1, 70.0 [68.5, 71.5]; the two intervals lie apart"
        in said(section)[0]
    )


def test_places_of_a_curve_are_held_to_its_default(tmp_path: Path) -> None:
    """Seeds with equal scores have intervals without width, which lie apart whatever a test says."""
    grid = fake_results.rank_grid()
    for mean in grid.summary["means"]:
        is_default = mean["point"]["r"] == 8
        mean |= {"is_reference": is_default, "seed_ci95": [mean["score"]] * 2}
        mean |= {"p_holm": None if is_default else 0.001 if mean["point"]["r"] == 1 else 0.9}
    assert "lowest at 1, 70.0 [70.0, 70.0]; told apart from rank r = 8 (paired, Holm): 1." in said(
        section_of(lambda: grid, tmp_path)
    )[0]  # fmt: skip


def test_without_tests_the_intervals_of_two_methods_are_compared(tmp_path: Path) -> None:
    grid = fake_results.data_efficiency_grid()
    for mean in grid.summary["means"]:
        mean["p_holm"] = None
    assert said(section_of(lambda: grid, tmp_path))[2] == (
        "Beside LoRA on easy-VQA, the interval of HiFICL lies above it at 300, below it at 50 and overlaps it at 100 "
        "(training examples)."
    )


def test_curves_of_two_methods_are_compared_place_by_place(tmp_path: Path) -> None:
    section = section_of(fake_results.data_efficiency_grid, tmp_path)
    assert said(section)[1] == "easy-VQA, beside the axis: 8-shot ICL 72.0 [70.5, 73.5]."
    assert said(section)[2] == (
        "Beside LoRA on easy-VQA, HiFICL is ahead at 300, behind at 50 and not told apart at 100 (training examples; "
        "paired, Holm)."
    )
    figure = section.figures[0]
    assert isinstance(figure, Lines)
    assert [(one.value, one.label) for one in figure.references] == [(72.0, "8-shot ICL")]
    assert figure.series[1].y[-1] is None
    assert row_of(section.tables[0], "LoRA")[-2:] == ["missing", "\N{EN DASH}"]
    assert row_of(section.tables[0], "8-shot ICL")[-2:] == ["\N{EN DASH}", "72.0 [70.5, 73.5]*"]


def test_who_is_ahead_on_other_questions_is_said_at_the_head(tmp_path: Path) -> None:
    grid = fake_results.data_efficiency_grid()
    for size in (50, 100):
        for variant, score, gap in (("hificl", 60.0, None), ("lora", 70.0, 10.0), ("live", 50.0, -10.0)):
            grid.add(
                "easy_vqa", variant, [score, score], point={"train_size": size}, train_size=size, difference=gap,
                subset="open", headline=False,
            )  # fmt: skip
    section = section_of(grid, tmp_path)
    lost = "Beside LoRA on easy-VQA, open questions, HiFICL is behind at 50, 100 (training examples; paired, Holm)."
    assert lost in said(section)
    assert lost in [plain_text(fact) for fact in section.short]
    assert not any("LIVE" in fact for fact in said(section))


def test_a_line_is_a_loss_where_its_sentence_says_so(tmp_path: Path) -> None:
    """The default is one place of a sweep: only there the other line is tested, so intervals decide everywhere."""
    grid = FakeGrid("pairs", ("task", "variant", "num_virtual_tokens"))
    for pairs in (4, 8, 16):
        point = {"num_virtual_tokens": pairs}
        grid.add("flags", "hificl", [9.0, 11.0], point=point, difference=0.1, p_holm=0.9, is_reference=pairs == 8)
        grid.add("flags", "hificl_kv", [10.0, 12.0], point=point, difference=1.0, is_reference=False)
    section = section_of(grid, tmp_path)
    told = "the interval of HiFICL overlaps it at 4, 8, 16"
    assert any(told in fact for fact in said(section))
    assert not any(told in plain_text(fact) for fact in section.short)


def test_a_grid_of_two_axes_has_a_figure_for_each(tmp_path: Path) -> None:
    section = section_of(fake_results.demonstrations_grid, tmp_path)
    by_pairs, by_size = section.figures
    assert isinstance(by_pairs, Lines)
    assert isinstance(by_size, Lines)
    assert [(one.label, one.x) for one in by_pairs.series] == [("HiFICL, not trained, no factors", (1.0, 4.0, 8.0))]
    # Trained on as many examples; those that have another number are no line to compare with.
    assert [(one.value, one.label) for one in by_pairs.references] == [
        (84.5, "8-shot ICL"), (95.0, "HiFICL, steps = 300"), (96.0, "LoRA, steps = 300"),
    ]  # fmt: skip
    # All of them take 300 steps, so no label says it.
    assert [(one.label, one.x) for one in by_size.series] == [("HiFICL", (50.0, 300.0)), ("LoRA", (50.0, 300.0))]
    assert [one.label for one in by_size.references] == ["8-shot ICL"]
    last = next(table for table in section.tables if "along training examples" in table.title)
    # It has its place on this axis, if only one.
    assert [cell.text for cell in last.rows[-1]] == ["8-shot ICL", "\N{EN DASH}", "84.5 [83.0, 86.0]"]
    assert any("HiFICL is highest at training examples = 300" in fact for fact in said(section))
    assert by_size.title == "easy-VQA, along training examples"


def test_hallucination_is_ordered_by_invented_objects(tmp_path: Path) -> None:
    section = section_of(fake_results.hallucination_grid, tmp_path)
    assert [row[0].text for row in section.tables[0].rows] == ["HiFICL", "LoRA"]
    assert row_of(section.tables[0], "LoRA")[2:] == ["3.5 (3.5 to 3.5)", "4.5", "45.7"]


def test_fidelity_says_who_is_closer_than_nothing(tmp_path: Path) -> None:
    section = section_of(fake_results.fidelity_grid, tmp_path)
    assert [len(figure.series) for figure in section.figures if isinstance(figure, Lines)] == [4, 4]
    assert "HiFICL (−0.300" in said(section)[0] and "LoRA (+0.200" in said(section)[1]  # noqa: PT018
    assert row_of(section.tables[0], "HiFICL")[1] == "0.405 (0.400 to 0.410)"


@pytest.mark.parametrize("trained", [True, False])
def test_fidelity_by_pairs_stands_apart_from_the_methods(trained: bool, tmp_path: Path) -> None:
    section = section_of(lambda: fake_results.fidelity_by_pairs_grid(trained), tmp_path)
    figure = section.figures[-1]
    assert isinstance(figure, Lines)
    assert len(section.figures) == (3 if trained else 1)
    assert [(one.label, one.x) for one in figure.series] == [("rank r = 2", (1.0, 4.0)), ("rank r = 8", (1.0, 4.0))]
    assert figure.series[1].low == (0.65, 0.5)
    beside = ["zero-shot", "HiFICL, trained", "other demonstrations (floor)"]
    assert [one.label for one in figure.references] == [one for one in beside if trained or "trained" not in one]
    table = section.tables[-1]
    assert row_of(table, "4 pairs, rank 8") == ["4 pairs, rank 8", "0.510 (0.500 to 0.520)", "0.510", "0.459", "0.408"]
    assert row_of(table, "zero-shot")[2:] == ["0.700", "0.630", "0.560"]
    zero_shot = next(row for row in table.rows if row[0].text == "zero-shot")
    assert zero_shot[1].title == f"mean of {2 if trained else 3} seeds"
    assert (
        "closest with 4 pairs, rank 8 (0.510 (0.500 to 0.520)), farthest with 1 pair, rank 2 (0.690 (0.680 to 0.700))."
        in said(section)[-1]
    )


def test_real_mass_is_a_map_and_lines_by_token_type(tmp_path: Path) -> None:
    section = section_of(fake_results.real_mass_grid, tmp_path)
    heat = section.figures[0]
    assert isinstance(heat, Heat)
    assert heat.values == (pytest.approx((90.0, 50.0, 80.0)), pytest.approx((70.0, 95.0, 60.0)))
    assert heat.ends == (0.0, 100.0)
    assert "least in layer 1, head 2 (50.0 %), most in layer 2, head 2 (95.0 %)" in said(section)[0]
    assert [plain_text(fact) for fact in section.short] == [
        "easy-VQA, attention that stays on real tokens on average: HiFICL 74.2 %."
    ]


def test_line_ends_in_tokens_can_be_seen(tmp_path: Path) -> None:
    grid = fake_results.real_mass_grid()
    grid.summary["measurements"][0]["results"]["pairs"][0]["says"] = [["\n", 9.0], ["a\\n", 1.0]]
    row = section_of(grid, tmp_path).tables[0].rows[0]
    assert row[-1].text == r"“\n” 9.0, “a\\n” 1.0"


def test_costs_are_ratios_to_hificl(tmp_path: Path) -> None:
    section = section_of(fake_results.training_cost_grid, tmp_path)
    assert row_of(section.tables[0], "MimIC") == [
        "MimIC",
        "300",
        "11.0 trillion",
        "5.50×",
        "165 s",
        "5.50×",
        "4.40 GB",
        "5.50×",
    ]
    section = section_of(fake_results.inference_cost_grid, tmp_path / "other")
    assert "over that of zero-shot: HiFICL 1.00×, 4-shot ICL 5.00× and 8-shot ICL 9.00×." in said(section)[0]
    assert row_of(section.tables[0], "4-shot ICL")[4:6] == ["250 ms [45.0 ms, 55.0 ms]", "5.00×"]
    assert row_of(section.tables[0], "8-shot ICL")[1] == "220"


def test_what_a_grid_varies_is_a_line_of_its_own(tmp_path: Path) -> None:
    grid = fake_results.training_cost_grid()
    for seed, factor in ((0, 9.0), (1, 10.0)):
        results = {"steps": 300, "flops": 2e12 * factor}
        point = {"teacher_shots": 16}
        grid.measure("training_cost", "easy_vqa", "mimic", seed, results, {"seconds": 300.0}, point, point)
    table = section_of(grid, tmp_path).tables[0]
    assert row_of(table, "MimIC")[3] == "5.50\N{MULTIPLICATION SIGN}"
    assert row_of(table, "MimIC, 16-shot teacher")[3] == "9.50\N{MULTIPLICATION SIGN}"


def test_answer_tokens_are_compared_beside_hidden_states(tmp_path: Path) -> None:
    grid = fake_results.fidelity_grid()
    for measured in grid.summary["measurements"]:
        if measured["variant"] == "lora":
            measured["results"]["lines"]["lora"]["kl"] = {"mean": 0.1, "ci95": [0.05, 0.2]}
    fact = next(fact for fact in said(section_of(grid, tmp_path)) if "KL" in fact)
    assert fact.index("LoRA (0.100") < fact.index("HiFICL (0.400")


def test_speed_has_verdicts_and_scaling_curves(tmp_path: Path) -> None:
    write_speed(tmp_path)
    section = next(one for one in all_sections(find_results(tmp_path)) if one.name == "speed")
    assert said(section) == [
        "2 of 4 targets are met, measured on Example CPU.",
        "2 are missed: attention (2 of 3, the furthest: time: hificl / plain at 2,048 tokens "
        "1.090 [1.070, 1.110] for ≤\N{NO-BREAK SPACE}1.05).",
    ]
    assert [row[-1].text for row in section.tables[0].rows] == ["met", "missed", "missed", "met"]
    curve = next(figure for figure in section.figures if isinstance(figure, Lines))
    assert curve.series[0].y == (2560.0, 5120.0, 10240.0)


def test_a_cell_that_stands_for_all_seeds_is_one_run(tmp_path: Path) -> None:
    grid = fake_results.inference_cost_grid()
    first = grid.summary["measurements"][0]
    grid.summary["measurements"] += [{**first, "seed": seed} for seed in (1, 2)]
    table = section_of(grid, tmp_path).tables[0]
    assert row_of(table, "HiFICL")[4] == "10.0 ms [9.00 ms, 11.0 ms]"
