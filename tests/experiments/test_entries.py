"""From a grid to its cells: products of axes, what a method has no use for, seeds, changes and filters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from hificl.errors import InputError
from hificl.experiments.changes import read_changes
from hificl.experiments.entries import Entry, axes_of, entries_of
from hificl.experiments.grid import Block, Grid, Tier
from hificl.methods import METHODS


def grid(*blocks: Block, seeds: tuple[int, ...] = (0, 1), real: Tier | None = None) -> Grid:
    tiers = {"embedded": Tier(("embedded",), seeds, blocks)} | ({"real": real} if real else {})
    return Grid("g", "t", "a", "q", tiers)


def entries(made: Grid, changes: Mapping[str, Any] | None = None, *only: str) -> list[Entry]:
    return entries_of(made, read_changes(changes or {}, only))


def test_a_block_is_the_product_of_its_axes() -> None:
    found = entries(
        grid(Block(("easy_vqa", "flags"), ("lora", "hificl"), train_size=(7, 11), options={"r": (2, 3, 5)}))
    )
    assert len(found) == 2 * 2 * 2 * 3 * 2
    assert len({entry.job.key for entry in found}) == len(found)
    assert axes_of(found) == ["task", "variant", "train_size", "r"]


def test_the_dtype_of_a_tier_is_that_of_its_jobs() -> None:
    half = Tier(("embedded",), (0,), (Block(("easy_vqa",), ("hificl",)),), dtype="bfloat16")
    made = Grid("g", "t", "a", "q", {"embedded": half})
    assert [entry.job.dtype for entry in entries(made)] == ["bfloat16"]
    assert [entry.job.dtype for entry in entries(made, {"dtype": "float16"})] == ["float16"]
    own = replace(half, cells=(replace(half.cells[0], dtype="float16"),))
    made = Grid("g", "t", "a", "q", {"embedded": own})
    assert [entry.job.dtype for entry in entries(made)] == ["float16"]
    assert [entry.job.dtype for entry in entries(made, {"dtype": "float64"})] == ["float64"]


def test_all_stands_for_every_method() -> None:
    found = entries(grid(Block(("easy_vqa",), ("all",)), seeds=(0,)))
    assert {entry.job.variant for entry in found} == {*METHODS, "icl_rices"}


def test_seeds_come_one_after_the_other() -> None:
    found = entries(grid(Block(("easy_vqa",), ("lora", "hificl")), Block(("flags",), ("lora",))))
    assert [entry.seed for entry in found] == [0, 0, 0, 1, 1, 1]


def test_an_axis_does_not_multiply_methods_without_it() -> None:
    block = Block(("easy_vqa",), ("zero_shot", "icl", "icv", "lora"), shots=(4, 8), options={"r": (2, 3)})
    found = entries(grid(block, seeds=(0,)))
    assert [(entry.job.variant, entry.job.shots, entry.job.options) for entry in found] == [
        ("zero_shot", None, {}), ("icl", 4, {}), ("icl", 8, {}), ("icv", None, {}),
        ("lora", None, {"r": 2}), ("lora", None, {"r": 3}),
    ]  # fmt: skip
    # Options do not vary where nobody who takes them has more than one value.
    assert axes_of(entries(grid(Block(("easy_vqa",), ("icv", "lora"), options={"r": (2,)})))) == ["task", "variant"]


def test_what_draws_nothing_is_run_once_for_all_seeds() -> None:
    found = entries(grid(Block(("easy_vqa",), ("zero_shot", "icl_rices", "icl", "hificl")), seeds=(3, 4)))
    jobs = {
        name: {entry.job.seed for entry in found if entry.job.variant == name} for name in ("zero_shot", "icl_rices")
    }
    assert jobs == {"zero_shot": {3}, "icl_rices": {3}}
    assert [entry.seed for entry in found if entry.job.variant == "zero_shot"] == [3, 4]
    assert len({entry.job.key for entry in found}) == 1 + 1 + 2 + 2
    # A random language model is drawn by the seed.
    drawn = entries(grid(Block(("easy_vqa",), ("zero_shot",), control=("random_lm",)), seeds=(3, 4)))
    assert {entry.job.seed for entry in drawn} == {3, 4}


def test_benchmarks_have_a_protocol_and_a_root_and_others_do_not() -> None:
    real = Tier(("idefics2",), (0,), (Block(("vqav2", "easy_vqa"), ("icl",)),))
    first, second = entries(grid(real=real), {"tier": "real", "root": "DATA"})
    assert (first.job.protocol, first.job.root) == ("hificl", "DATA")
    assert (second.job.protocol, second.job.root) == (None, None)


def test_changes_take_the_place_of_values() -> None:
    made = grid(Block(("easy_vqa",), ("lora", "icl"), train_size=(50, 100), seeds=(8,), options={"r": (2, 4)}))
    found = entries(
        made,
        {
            "model": "m",
            "seeds": 3,
            "train_size": 9,
            "query_size": 5,
            "task": "flags",
            "options.r": 1,
            "options.steps": 6,
        },
    )
    assert {entry.seed for entry in found} == {0, 1, 2}
    job = next(entry.job for entry in found if entry.job.variant == "lora")
    assert (job.model, job.task, job.train_size, job.query_size) == ("m", "flags", 9, 5)
    assert job.options == {"r": 1, "steps": 6}
    assert len(found) == 6


def test_changes_may_be_lists() -> None:
    made = grid(Block(("easy_vqa",), ("icv",)), seeds=(0,))
    found = entries(made, {"variant": "lora,hificl", "train_size": [5, 6]})
    assert {(entry.job.variant, entry.job.train_size) for entry in found} == {
        ("lora", 5), ("lora", 6), ("hificl", 5), ("hificl", 6),
    }  # fmt: skip


def test_filters_leave_the_rest_for_another_time() -> None:
    made = grid(Block(("easy_vqa",), ("lora", "hificl", "icl"), options={"r": (2, 4)}))
    found = entries(made, None, "variant=hificl,icl", "seed=1")
    wanted = [(entry.job.variant, entry.seed) for entry in found if entry.wanted]
    assert wanted == [("hificl", 1), ("hificl", 1), ("icl", 1)]
    assert len(found) == len(entries(made))


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (Block(("easy_vqq",), ("icl",)), "unknown task 'easy_vqq'; did you mean 'easy_vqa'"),
        (Block(("easy_vqa",), ("loar",)), "unknown method 'loar'; did you mean 'lora'"),
        (Block(("easy_vqa",), ("icl", "lora"), options={"rr": (1,)}), "none of icl, lora takes 'rr'; did you mean 'r'"),
        (Block(("easy_vqa",), ("icl",), options={"r": (1,)}), "none of icl takes 'r'"),
    ],
)
def test_names_are_checked_before_anything_runs(block: Block, said: str) -> None:
    with pytest.raises(InputError, match=said):
        entries(grid(block))


@pytest.mark.parametrize(
    ("changes", "only", "said"),
    [
        ({"tier": "reel"}, (), "tier is 'reel'; it must be embedded or real"),
        ({"tier": "real"}, (), "g: there is no tier 'real'; it has embedded"),
        ({"seedz": 1}, (), "'seedz' is no name of a grid; did you mean 'seeds'"),
        ({"train_size": "many"}, (), "train_size is 'many'; it must be a number"),
        ({"query_size": [1, 2]}, (), "query_size is"),
        ({"dtype": "int8"}, (), "dtype 'int8' is not a floating dtype"),
        ({"dtype": ["float16", "float32"]}, (), "dtype is .*; give one name"),
        ({"task": 3}, (), "task is 3; it must be a name"),
        ({}, ("variant",), "only 'variant': write AXIS=VALUE"),
        ({}, ("varient=icl",), "g has no axis 'varient'; did you mean 'variant'"),
    ],
)
def test_changes_and_filters_are_checked(changes: dict[str, Any], only: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        entries(grid(Block(("easy_vqa",), ("icl",))), changes, *only)
