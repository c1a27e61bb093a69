"""What names mean: tasks with their rows, methods with their sources, and where settings were searched."""

from __future__ import annotations

from pathlib import Path

from hificl.reporting.document import plain_text
from hificl.reporting.glossary import settings_text
from reporting.fake_grid import FakeGrid
from reporting.fake_results import main_grid
from reporting.reading_sections import row_of, section_of, table_named

VALUES = {"easy_vqa": {"source": "stored"}, "flags": {"source": "defaults"}, "captions": {"source": "defaults"}}
SAID = (
    "Settings, where a line names none of its own and no recipe: on easy-VQA those that a search with the same effort "
    "for every method chose; on flags, captions the defaults of each method, for nothing was searched there."
)


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


def test_where_nothing_was_searched_is_said_at_the_head(tmp_path: Path) -> None:
    assert settings_text(VALUES) == SAID
    assert settings_text({"easy_vqa": {"source": "stored"}}).endswith("chose.")
    assert settings_text(None) == settings_text({}) == ""
    # A comparison says it once.
    assert settings_text({"source": "defaults", "record": None}, ["flags"]).endswith(
        "on flags the defaults of each method, for nothing was searched there."
    )
    grid = main_grid()
    grid.summary["values"] = VALUES
    section = section_of(grid, tmp_path)
    assert SAID in plain_text(section.source)
    assert SAID in [plain_text(fact) for fact in section.short]


def test_where_all_was_searched_the_head_does_not_say_so(tmp_path: Path) -> None:
    grid = FakeGrid("main").add("easy_vqa", "hificl", [90.0])
    grid.summary["values"] = {"easy_vqa": {"source": "stored"}}
    section = section_of(grid, tmp_path)
    assert "search" in plain_text(section.source)
    assert not any("search" in plain_text(fact) for fact in section.short)
