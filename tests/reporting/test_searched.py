"""Where settings were searched, and that a lead without a search is told as one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hificl.reporting.document import Section, plain_text
from reporting.fake_results import main_grid
from reporting.reading_sections import section_of

VALUES = {"easy_vqa": {"source": "stored"}, "flags": {"source": "defaults"}, "captions": {"source": "defaults"}}
SAID = (
    "Settings, where a line names none of its own and no recipe: on easy-VQA those that a search with the same effort "
    "for every method chose; on flags, captions the defaults of each method, for nothing was searched there."
)


def with_values(values: Any, folder: Path) -> Section:
    grid = main_grid()
    grid.summary["values"] = values
    return section_of(grid, folder)


def test_where_nothing_was_searched_is_said_at_the_head(tmp_path: Path) -> None:
    section = with_values(VALUES, tmp_path)
    assert SAID in plain_text(section.source)
    assert SAID in [plain_text(fact) for fact in section.short]


def test_where_all_was_searched_the_head_does_not_say_so(tmp_path: Path) -> None:
    section = with_values({"easy_vqa": {"source": "search"}, "flags": {"source": "stored"}}, tmp_path)
    assert "on easy-VQA, flags those that a search" in plain_text(section.source)
    assert not any("search" in plain_text(fact) for fact in section.short)


def test_a_comparison_says_it_once(tmp_path: Path) -> None:
    section = with_values({"source": "defaults", "record": None}, tmp_path)
    assert "on easy-VQA, flags the defaults of each method" in plain_text(section.source)


@pytest.mark.parametrize("values", [None, {}, {"flags": {}}, {"flags": None}, {"flags": {"source": "elsewhere"}}])
def test_what_a_summary_does_not_tell_is_not_said(values: Any, tmp_path: Path) -> None:
    assert "Settings" not in plain_text(with_values(values, tmp_path).source)
