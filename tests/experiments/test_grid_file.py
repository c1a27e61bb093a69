"""The file of a grid: data alone, and whatever is wrong in it is said before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from hificl.errors import InputError
from hificl.experiments import read_grid
from hificl.experiments.grid import Block, Speed

HEAD = "# hificl run grids/x.yaml\n#\n# Why.\ntitle: T\nartefact: A\nquestion: >\n  Is it\n  so?\n"


def cells(block: str) -> str:
    return f"embedded:\n  models: a\n  cells:\n    - {block}\n"


def write(folder: Path, rest: str, head: str = HEAD) -> Path:
    file = folder / "x.yaml"
    file.write_text(head + rest, encoding="utf-8")
    return file


def test_a_grid_is_what_its_file_says(tmp_path: Path) -> None:
    grid = read_grid(
        write(
            tmp_path,
            "reference: lora\n"
            "embedded:\n"
            "  models: small\n"
            "  seeds: 3\n"
            "  dtype: bf16\n"
            "  gpus: 0.5\n"
            "  cells:\n"
            "    - {tasks: a, variants: [icl, lora], shots: [4, 8], options: {r: [1, 2], steps: 9}}\n"
            "    - {tasks: [b], variants: hificl, seeds: [5, 7], models: other, control: [null, random_lm]}\n"
            "  speed:\n"
            "    - {script: decode, sizes: [3, 4]}\n",
        )
    )
    assert (grid.name, grid.title, grid.question) == ("x", "T", "Is it so?")
    assert grid.command == "hificl run grids/x.yaml"
    assert grid.reference == "lora"
    tier = grid.tiers["embedded"]
    assert (tier.models, tier.seeds, tier.cpus, tier.gpus) == (("small",), (0, 1, 2), 1, 0.5)
    assert tier.dtype == "bfloat16"
    assert tier.cells == (
        Block(("a",), ("icl", "lora"), shots=(4, 8), options={"r": (1, 2), "steps": (9,)}),
        Block(("b",), ("hificl",), seeds=(5, 7), models=("other",), control=(None, "random_lm")),
    )
    assert tier.speed == (Speed("decode", (3, 4)),)


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("embeded: {}\n", r"x\.yaml: unknown key 'embeded'; did you mean 'embedded'\?"),
        ("embedded:\n  modles: a\n", r"embedded: unknown key 'modles'; did you mean 'models'\?"),
        (cells("{tasks: a, variant: icl}"), r"cells\[0\]: unknown key 'variant'; did you mean 'variants'"),
        (cells("{tasks: a}"), r"cells\[0\] has no variants; name one"),
        ("embedded:\n  cells:\n    - {tasks: a, variants: icl}\n", "there are no models"),
        ("embedded:\n  seeds: 0\n  models: a\n", "seeds is 0; give their number"),
        ("embedded:\n  models: a\n  dtype: int8\n", "embedded: dtype: dtype 'int8' is not a floating dtype"),
        ("embedded:\n  models: 7\n", r"models holds 7 \(int\)"),
        (cells("{tasks: a, variants: b, train_size: [5, many]}"), "train_size holds 'many'"),
        (cells("{tasks: a, variants: b, options: [r]}"), "options is"),
        ("embedded:\n  models: a\n  speed:\n    - {scripts: a}\n", "unknown key 'scripts'; did you mean 'script'"),
        ("reference: hifcl\n", r"x\.yaml: reference: unknown method 'hifcl'; did you mean 'hificl'\?"),
        ("reference: 3\n", r"x\.yaml: reference: unknown method 3"),
        ("", "neither embedded nor real"),
        ("embedded: [\n", r"x\.yaml:\d+: invalid YAML"),
        ("embedded: 3\n", "expected names with values and found 3"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(rest: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        read_grid(write(tmp_path, rest))


def test_a_grid_says_what_it_is_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="artefact is None; write a text"):
        read_grid(write(tmp_path, "embedded: {}\n", head="title: T\nquestion: Q\n"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: no grid can be read here"):
        read_grid(tmp_path / "none.yaml")
