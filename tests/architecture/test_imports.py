"""The import law: a part imports from lower levels and from itself, never upward and never from a sibling."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import hificl

ROOT = Path(hificl.__file__).parent

LEVELS = [
    {"errors", "registration", "lmms_eval"},
    {"attention", "statistics", "records"},
    {"metrics", "data", "tuner"},
    {"tasks", "backbones"},
    {"evaluation"},
    {"adapters"},
    {"context"},
    {"methods"},
    {"run"},
    {"training"},
    {"cell", "inspection", "lmms_eval_model"},
    {"quickstart", "comparison", "diagnostics"},
    {"experiments", "gates", "task_floors"},
    {"reporting"},
    {"cli"},
    {"__main__"},
]
LEVEL = {part: level for level, parts in enumerate(LEVELS) for part in parts}

# What a level may import from outside, as far as it is restricted.
WITHOUT_TORCH = {"errors", "registration", "statistics", "records", "metrics", "data", "tasks", "reporting"}
HEAVY = {"torch", "transformers", "peft", "accelerate", "safetensors", "tokenizers"}

UPWARD = {
    ("registration", part): "PEFT's tables want the classes; imported inside the function that registers"
    for part in ("tuner", "methods")
}


def modules() -> list[Path]:
    return [path for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py"]


def part(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Every module that a file imports, at any depth of its code."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            if node.module == "hificl":
                found |= {f"hificl.{alias.name}" for alias in node.names}
    return found


def test_every_part_has_a_level() -> None:
    assert {part(path) for path in modules()} == set(LEVEL)


def test_imports_point_downward() -> None:
    wrong = []
    for path in modules():
        own = part(path)
        for name in imported(path):
            other = name.removeprefix("hificl.").split(".")[0] if name.startswith("hificl.") else None
            if other in LEVEL and other != own and LEVEL[other] >= LEVEL[own] and (own, other) not in UPWARD:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, wrong


def test_the_lower_floors_do_without_torch() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules()
        if part(path) in WITHOUT_TORCH
        for name in imported(path)
        if name.split(".")[0] in HEAVY and part(path) != "registration"
    ]
    assert not wrong, wrong


def test_attention_needs_torch_alone() -> None:
    """And Triton, which comes with torch for GPUs, in the file that is imported where it is installed."""
    allowed = {"torch", "hificl", *sys.stdlib_module_names}
    wrong = [
        f"{path.name} imports {name}"
        for path in modules()
        if part(path) == "attention"
        for name in imported(path)
        if name.split(".")[0] not in allowed | ({"triton"} if path.name.startswith("triton_") else set())
    ]
    assert not wrong, wrong


def test_fast_paths_do_not_import_the_oracle() -> None:
    wrong = [path.name for path in modules() if "hificl.attention.reference" in imported(path)]
    assert not wrong, wrong


def test_nothing_is_loaded_that_could_run_code() -> None:
    """No pickle, no weights without weights_only, no remote code."""
    wrong = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                text = ast.unparse(node)
                unsafe_load = ast.unparse(node.func) == "torch.load" and "weights_only=True" not in text
                if unsafe_load or "trust_remote_code=True" in text:
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {text[:60]}")
        if {name.split(".")[0] for name in imported(path)} & {"pickle", "dill", "joblib", "shelve", "marshal"}:
            wrong.append(f"{path.relative_to(ROOT)} imports a pickler")
    assert not wrong, wrong


def test_files_and_functions_stay_small() -> None:
    long = []
    for path in modules():
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > 320:
            long.append(f"{path.relative_to(ROOT)}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                documented = ast.get_docstring(node) is not None
                first = node.body[1].lineno if documented and len(node.body) > 1 else node.lineno
                size = (node.end_lineno or first) - first + 1
                if size > 60:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {size} lines")
    assert not long, long


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT)) for path in modules() if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert not silent, silent
