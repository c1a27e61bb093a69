"""Published numbers beside ours: which tables there are, what their columns and notes say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hificl.reporting.beside import beside_section
from hificl.reporting.document import Table
from hificl.reporting.found import find_results
from hificl.reporting.published import Published, Source
from reporting import fake_results
from reporting.fake_grid import FakeGrid

SOURCE = Source("A", "1234.5678", "Table 1", first_hand=True, reprinted_by=None, note=None)


def number(grid: str, method: str = "hificl", task: str = "vqav2", note: str | None = None) -> Published:
    return Published(
        grid=grid, source=SOURCE, model="idefics-9b", task=task, method=method, shots=0, metric="vqa_accuracy",
        value=60.0, printed="60.0", interval=None, plus_minus=None, parameters=None, note=note,
    )  # fmt: skip


def tables(grid: FakeGrid, published: Sequence[Published], folder: Path) -> Sequence[Table]:
    grid.write(folder)
    section = beside_section(find_results(folder).grids, published)
    return () if section is None else section.tables


def test_a_table_needs_a_method_that_both_have(tmp_path: Path) -> None:
    grid = fake_results.main_grid()
    assert tables(grid, [number("main", "mimic")], tmp_path)
    assert not tables(grid, [number("main", "stave")], tmp_path)
    # A line of a sweep is not the method itself.
    assert not tables(fake_results.rank_grid(), [number("rank")], tmp_path / "rank")


def test_what_we_measure_and_do_not_score_has_its_published_numbers(tmp_path: Path) -> None:
    assert tables(fake_results.training_cost_grid(), [number("training_cost", "mimic")], tmp_path)


def test_columns_of_several_sizes_say_theirs(tmp_path: Path) -> None:
    (table,) = tables(fake_results.data_efficiency_grid(), [number("data_efficiency")], tmp_path)
    assert [column.name for column in table.columns if column.name.startswith("ours")] == [
        f"ours: easy-VQA, {size} examples, exact match, %" for size in ("50", "100", "300", "1,000")
    ]


def test_the_same_note_is_said_once(tmp_path: Path) -> None:
    published = [
        *(number("main", "hificl", task, "not named") for task in ("vqav2", "ok_vqa")),
        number("main", "mimic", note="not named"), number("main", "lora", note="rounded"),
    ]  # fmt: skip
    (table,) = tables(fake_results.main_grid(), published, tmp_path)
    said = [note for note in table.notes if " in A: " in note]
    assert said == ["HiFICL, MimIC in A: not named.", "LoRA in A: rounded."]
