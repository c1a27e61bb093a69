"""What names mean: tasks with their rows, methods with their sources."""

from __future__ import annotations

from pathlib import Path

from reporting.fake_results import main_grid
from reporting.reading_sections import row_of, section_of, table_named


def test_tasks_and_methods_are_explained(tmp_path: Path) -> None:
    grid = main_grid().add("easy_vqa", "hificl", [90.0], subset="open", train_size=50)
    section = section_of(grid, tmp_path, "names")
    task = row_of(table_named(section, "tasks"), "easy-VQA")
    assert "coloured shape" in task[1]
    assert task[2:] == ["5; open questions 5", "50, 300"]
    methods = table_named(section, "methods")
    assert row_of(methods, "LoRA")[2] == "Hu et al., arXiv:2106.09685; DoRA: Liu et al., arXiv:2402.09353"
    assert row_of(methods, "zero-shot")[1] == "the frozen backbone as it is, without demonstrations"
    assert [row[0].text for row in methods.rows] == ["HiFICL", "LoRA", "MimIC", "zero-shot", "MTV", "LIVE"]
