"""The page about methods has a section for each, its counts are those of the modules, and its code runs."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from hificl import HiFICLConfig
from hificl.methods import METHODS
from hificl.training.recipes import recipe_fields
from hificl.training.request import resolve
from hificl.tuner import SITES
from methods.counting import counts
from training.tiny import load_tiny, save_tiny_llava

PAGE = (Path(__file__).parents[2] / "docs" / "methods.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL))
NUMBER = r" ([\d,]+) \|"
ROWS = re.findall(r"^\| `(\w+)` \| (?:`(.*?)` )?\|[^|]*\|[^|]*\|" + 4 * NUMBER, PAGE, flags=re.MULTILINE)


def options_of(text: str) -> dict[str, Any]:
    """Read ``name=value, name=value``."""
    call = ast.parse(f"f({text})", mode="eval").body
    assert isinstance(call, ast.Call)
    return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}


def test_every_method_has_a_section_in_the_order_of_the_catalogue() -> None:
    assert list(SECTIONS) == list(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_a_section_names_where_the_method_is_from_and_its_classes(name: str) -> None:
    section = SECTIONS[name]
    published = re.search(r"arXiv:[\d.]+\d", METHODS[name].source)
    assert published is None or published[0] in section
    assert METHODS[name].kind == "prompt" or "In code: `" in section


@pytest.mark.parametrize("row", ROWS, ids=[f"{row[0]}-{row[1]}" for row in ROWS])
def test_counts_are_those_of_the_modules(row: tuple[str, ...]) -> None:
    name, written, *numbers = row
    found = [(0, 0)] * 2
    if METHODS[name].kind != "prompt":
        found = [counts(model, name, **options_of(written)) for model in ("idefics2", "llava-interleave")]
    assert [f"{number:,}" for pair in found for number in pair] == numbers


def test_the_table_has_every_method() -> None:
    assert {row[0] for row in ROWS} == set(METHODS)


def test_options_exist(tmp_path: Path) -> None:
    """Every ``name=`` of a section is an option of its method or of HiFICL, or a field of the recipe."""
    backbone = load_tiny(save_tiny_llava(tmp_path))
    for name, section in SECTIONS.items():
        if METHODS[name].kind == "prompt":
            continue
        own = vars(resolve(backbone, name, "default", {}).config)
        beside = getattr(METHODS[name].implementation, "OPTIONS", ())
        for option in re.findall(r"[`( ](\w+)=", section.split("In code:")[0]):
            known = own.keys() | vars(HiFICLConfig()).keys() | set(beside) | recipe_fields().keys()
            assert option in known, f"{name}: {option}"


def test_sites_are_those_of_the_vocabulary() -> None:
    assert re.findall(r"^\| `(\w+_output|residual)` \| \w", PAGE, flags=re.MULTILINE) == list(SITES)


def test_the_code_runs() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "docs/methods.md", "exec"), {})


def test_the_trials_of_the_search_are_those_of_the_catalogue() -> None:
    for method in METHODS.values():
        trials = [", ".join(f"{name}={value}" for name, value in trial.items()) for trial in method.search]
        assert len(trials) in (0, 4), f"{method.name}: a search of another size"
        assert not trials or f"| `{method.name}` | {' | '.join(trials)} |" in PAGE, method.name
