"""What the README shows is run; what it links to exists."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

from hificl.gates import BINDINGS
from hificl.reporting.draw import svg_bytes

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted(ROOT.glob("*.md"))


def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len([line for line in block.splitlines() if line.strip()]) <= 15
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[-1] == "True", "a reloaded run must score the same"
    assert (tmp_path / "runs/example/adapter/adapter_model.safetensors").is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_point_to_files(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target.split("#")[0]).exists(), f"{page.name} links to {target}"


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make ([\w-]+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_the_tree_in_design_is_the_tree() -> None:
    tree = re.search(r"```\nsrc/hificl/\n(.*?)```", (ROOT / "DESIGN.md").read_text(encoding="utf-8"), re.DOTALL)
    assert tree is not None
    named = set()
    for line in tree[1].splitlines():
        for word in line.split():
            if not word.endswith((".py", "/")):
                break
            named.add(word.removesuffix("/"))
    parts = {
        path.name for path in (ROOT / "src/hificl").iterdir() if not path.name.startswith(("__pycache__", "py.typed"))
    }
    assert named - {"pretrain", "benchmarks", "grids"} == parts - {"embedded"}


def test_the_tables_are_drawn_from_the_records() -> None:
    place = importlib.util.spec_from_file_location("readme_table", ROOT / "scripts" / "readme_table.py")
    assert place is not None
    assert place.loader is not None
    drawn = importlib.util.module_from_spec(place)
    place.loader.exec_module(drawn)
    assert drawn.section() in README, "run python scripts/readme_table.py"
    assert drawn.main_section() in README, "run python scripts/readme_table.py"
    for figure in drawn.figures():
        file = drawn.FIGURES / f"{figure.name}.svg"
        assert file.read_bytes() == svg_bytes(figure), "run python scripts/readme_table.py"
    assert drawn.gates_section() in README, "run python scripts/readme_table.py"
    assert drawn.speed_section() in README, "run python scripts/readme_table.py"
    for cell in ["icl_16", *(binding.folder for binding in BINDINGS)]:
        assert json.loads((drawn.GATES.parent / cell / "cell.json").read_text(encoding="utf-8"))["sample_ids"][
            "queries"
        ]
    summary = json.loads((drawn.RESULTS / "summary.json").read_text(encoding="utf-8"))
    for row in summary["rows"]:
        record = json.loads((drawn.RESULTS / row["record"]).read_text(encoding="utf-8"))
        assert record["environment"]["commit"]
