"""The tables of docs/demonstrations.md are those of the records."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from hificl.evaluation.scoring import BESIDE_AN_ADAPTER

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("script", "section"), [("composition", "beside"), ("start_tables", "trained")])
def test_the_tables_are_drawn_from_the_records(script: str, section: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")  # where a script looks for what it shares with others
    place = importlib.util.spec_from_file_location(script, ROOT / "scripts" / f"{script}.py")
    assert place is not None
    assert place.loader is not None
    drawn = importlib.util.module_from_spec(place)
    sys.modules[place.name] = drawn  # its dataclass looks itself up there
    place.loader.exec_module(drawn)
    page = drawn.PAGE.read_text(encoding="utf-8")
    sections = drawn.sections()
    assert section in sections
    for drawn_section in sections.values():
        assert drawn_section in page, f"run python scripts/{script}.py, of composition `table`"


def test_the_warning_names_a_section_of_the_page() -> None:
    page, _, section = BESIDE_AN_ADAPTER.partition("(")[2].partition(")")[0].partition(", ")
    assert f"\n## {section.strip(chr(39))}\n" in (ROOT / page).read_text(encoding="utf-8")
