"""What a grid says at its end: drawn from records alone, compared within tables, holes included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hificl.experiments.changes import read_changes
from hificl.experiments.entries import Entry, entries_of
from hificl.experiments.folder import place_of
from hificl.experiments.grid import Block, Grid, Tier
from hificl.experiments.schedule import Planned
from hificl.experiments.stored import fold, list_name
from hificl.experiments.summary import cells_of, keys_of, summarise
from hificl.records import content_hash, write_json
from hificl.reporting.evidence import Evidence
from hificl.reporting.reading import grid_from_summary
from hificl.statistics import holm, paired_test, t_interval

IDS = [f"q{number}" for number in range(8)]
OPEN = IDS[:5]
LIST = list_name("easy_vqa", IDS)


def grid(*blocks: Block) -> Grid:
    return Grid("g", "Title", "Artefact", "Question", {"embedded": Tier(("embedded",), (0, 1, 2), blocks)}, "run")


def scores(entry: Entry) -> list[float]:
    """Half of the items right, shifted by the seed; lora has one more, icl none."""
    right = {"lora": 5, "icl": 0}.get(entry.job.variant, 4) + (entry.job.options.get("r") == 2)
    return [float((number + entry.job.seed) % 8 < right) for number in range(8)]


def record(entry: Entry, root: Path) -> dict[str, Any]:
    values = scores(entry)
    told = [
        {"id": name, "prediction": "p", "answers": ["a"], "score": score}
        for name, score in zip(IDS, values, strict=True)
    ]

    def scored(ids: Sequence[str]) -> dict[str, Any]:
        found = [100 * score for name, score in zip(IDS, values, strict=True) if name in ids]
        return {"score": sum(found) / len(found), "score_ci95": [0.0, 100.0], "items": len(found)}

    plain = {
        "kind": "cell",
        "config": {"metric": "exact_match"},
        "sample_ids": {"queries": IDS},
        "results": {
            "trainable_parameters": 3, "stored_parameters": 4, "stored_bytes": 16, "scale": 100.0,
            "subsets": {"all": scored(IDS), "open": scored(OPEN)}, "predictions": told,
            "details": {"chair_i": 0.1 * entry.job.seed, "by": {"x": 1.0}},
        },
        "volatile": {"timing": {"train_seconds": 7.0, "seconds_per_answer": 0.5}, "memory": {"peak_bytes": 99}},
    }  # fmt: skip
    return fold(plain, {LIST: IDS})


def planned(entries: Sequence[Entry], root: Path, skip: Mapping[str, str] | None = None) -> dict[str, Planned]:
    """Finish every job but those of the skipped variants: ``missing`` or ``failed``."""
    write_json(
        root / LIST,
        {
            "kind": "examples", "task": "easy_vqa", "hash": content_hash(IDS), "ids": IDS, "questions": IDS,
            "answers": [["a"]] * 8, "subsets": {"open": OPEN},
        },
    )  # fmt: skip
    found = {}
    for entry in entries:
        job = entry.job
        asked = {name: value for name, value in job.options.items() if (name, value) != ("r", 8)}
        facts = {
            "backbone": "embedded", "revision": "rev", "train_size": job.train_size or 300, "query_size": 8,
            "shots": 8 if entry.method == "icl" else 0, "options": asked, "lists": ["data/s.json", LIST],
            "queries": LIST,
            "headline": "open", "values": {"source": "stored", "record": "r.json"}, "asked": asked,
        }  # fmt: skip
        one = Planned(job, place_of(root, job, job.name, content_hash([job.key])), facts)
        state = (skip or {}).get(job.variant)
        if state == "failed":
            one.place.fail(job, {"type": "RunError", "message": "no luck", "traceback": None})
        elif state is None:
            one.place.finish(record(entry, root))
        found[job.key] = one
    return found


def summary(made: Grid, root: Path, skip: Mapping[str, str] | None = None) -> dict[str, Any]:
    entries = entries_of(made, read_changes({}))
    return summarise(made, "embedded", entries, planned(entries, root, skip), root)


def by_line(found: Mapping[str, Any], subset: str = "open") -> dict[str, dict[str, Any]]:
    return {mean["line"]: mean for mean in found["means"] if mean["subset"] == subset}


def test_rows_hold_what_the_records_hold(tmp_path: Path) -> None:
    found = summary(grid(Block(("easy_vqa",), ("lora", "hificl"))), tmp_path)
    assert (found["planned"], found["finished"], len(found["rows"])) == (6, 6, 12)
    assert (found["backbone"], found["revision"], found["headline_subset"]) == ("embedded", "rev", {"easy_vqa": "open"})
    assert found["data"] == {"easy_vqa": {"queries": [LIST], "support": ["data/s.json"]}}
    row = next(row for row in found["rows"] if row["variant"] == "lora" and row["seed"] == 1 and row["headline"])
    assert (row["subset"], row["items"], row["score"]) == ("open", 5, 80.0)
    assert (row["train_seconds"], row["seconds_per_answer"], row["peak_memory_bytes"]) == (7.0, 0.5, 99)
    assert row["point"] == {"task": "easy_vqa", "variant": "lora"}
    assert (tmp_path / row["record"]).is_file()


def test_means_are_over_seeds_and_tests_over_the_same_queries(tmp_path: Path) -> None:
    found = by_line(summary(grid(Block(("easy_vqa",), ("icl", "lora", "hificl"))), tmp_path))
    lora, hificl, icl = found["lora"], found["hificl"], found["icl, 8 shots"]
    assert lora["seeds"] == [0, 1, 2]
    # Right are 5, 4 and 3 of the 5 open queries.
    assert lora["seed_scores"] == pytest.approx([100.0, 80.0, 60.0])
    low, high = t_interval([100.0, 80.0, 60.0])
    assert lora["seed_ci95"] == pytest.approx([low, 100.0])
    assert high > 100.0
    items = {
        name: [
            100 * sum((number + seed) % 8 < right for seed in range(3)) / 3 for number in range(5)
        ]
        for name, right in (("lora", 5), ("hificl", 4), ("icl", 0))
    }  # fmt: skip
    tests = {name: paired_test(items[name], items["hificl"]) for name in ("icl", "lora")}
    assert lora["difference"] == pytest.approx(tests["lora"].difference)
    assert lora["p_value"] == tests["lora"].p_value
    assert [icl["p_holm"], lora["p_holm"]] == holm([tests["icl"].p_value, tests["lora"].p_value])
    assert (hificl["is_reference"], hificl["difference"], hificl["p_holm"]) == (True, None, None)
    assert lora["details"] == {"chair_i": pytest.approx(0.1)}


def test_sizes_are_tables_of_their_own(tmp_path: Path) -> None:
    found = summary(grid(Block(("easy_vqa",), ("lora", "hificl"), train_size=(50, 100))), tmp_path)
    sizes = [(mean["train_size"], mean["line"], mean["p_holm"]) for mean in found["means"] if mean["headline"]]
    assert [(size, line) for size, line, _ in sizes] == [(50, "lora"), (50, "hificl"), (100, "lora"), (100, "hificl")]
    # One test in each table, so that nothing is adjusted.
    lora = [mean for mean in found["means"] if mean["line"] == "lora" and mean["headline"]]
    assert all(mean["p_holm"] == mean["p_value"] for mean in lora)


def test_the_default_of_an_axis_is_the_reference(tmp_path: Path) -> None:
    found = summary(grid(Block(("easy_vqa",), ("hificl",), options={"r": (2, 8)})), tmp_path)
    lines = by_line(found)
    assert (lines["hificl, r = 8"]["is_reference"], lines["hificl, r = 2"]["is_reference"]) == (True, False)
    assert lines["hificl, r = 2"]["difference"] is not None
    assert lines["hificl, r = 2"]["point"] == {"task": "easy_vqa", "variant": "hificl", "r": 2}
    # The plain cell beside it is the same line, and tested once.
    both = summary(
        grid(Block(("easy_vqa",), ("hificl",), options={"r": (2, 8)}), Block(("easy_vqa",), ("hificl",))), tmp_path
    )
    assert list(by_line(both)) == ["hificl, r = 2", "hificl, r = 8"]
    assert by_line(both)["hificl, r = 8"]["also_at"] == [{"task": "easy_vqa", "variant": "hificl", "r": None}]
    assert "also_at" not in lines["hificl, r = 8"]


def test_options_that_all_share_do_not_cost_the_reference(tmp_path: Path) -> None:
    block = Block(("easy_vqa",), ("lora", "hificl"), options={"r": (2,), "learning_rate": (0.1,)})
    found = by_line(summary(grid(block), tmp_path))
    assert found["hificl"]["is_reference"]
    assert found["lora"]["difference"] is not None


def test_one_cell_for_all_seeds_says_nothing_about_seeds(tmp_path: Path) -> None:
    found = by_line(summary(grid(Block(("easy_vqa",), ("zero_shot", "hificl"))), tmp_path))
    zero = found["zero_shot"]
    assert (zero["seeds"], len(zero["records"])) == ([0, 1, 2], 1)
    assert (zero["seed_sd"], zero["seed_ci95"]) == (None, None)
    assert zero["difference"] is not None


def test_holes_know_their_place(tmp_path: Path) -> None:
    skip = {"lora": "missing", "mimic": "failed"}
    found = summary(grid(Block(("easy_vqa",), ("lora", "mimic", "hificl"))), tmp_path, skip)
    assert (found["planned"], found["finished"]) == (9, 3)
    assert {(one["variant"], one["seed"]) for one in found["missing"]} == {("lora", seed) for seed in range(3)}
    failed = found["failed"][0]
    assert (failed["variant"], failed["error"], failed["point"]["variant"]) == ("mimic", "RunError: no luck", "mimic")
    assert (tmp_path / failed["record"]).is_file()
    assert {mean["variant"] for mean in found["means"]} == {"hificl"}


def test_without_a_reference_nothing_is_compared(tmp_path: Path) -> None:
    found = by_line(summary(grid(Block(("easy_vqa",), ("lora", "icl"))), tmp_path))
    assert [mean["difference"] for mean in found.values()] == [None, None]


def test_other_numbers_of_the_model_are_told_and_make_other_cells(tmp_path: Path) -> None:
    made = grid(Block(("easy_vqa",), ("hificl",)))
    entries = entries_of(made, read_changes({}))
    plain = planned(entries, tmp_path)
    half = {key: replace(one, facts={**one.facts, "dtype": "bfloat16"}) for key, one in plain.items()}
    told = summarise(made, "embedded", entries, half, tmp_path)
    assert told["dtype"] == "bfloat16"
    assert "dtype" not in summarise(made, "embedded", entries, plain, tmp_path)
    assert not cells_of(told) & keys_of(entries, plain)
    assert grid_from_summary(told, tmp_path / "grid.json", Evidence()).backbone == "embedded in bfloat16"


def test_cells_are_known_whatever_their_hash(tmp_path: Path) -> None:
    made = grid(Block(("easy_vqa",), ("lora", "hificl"), options={"r": (2, 8)}))
    entries = entries_of(made, read_changes({}))
    jobs = planned(entries, tmp_path, {"lora": "missing"})
    keys, there = keys_of(entries, jobs), cells_of(summarise(made, "embedded", entries, jobs, tmp_path))
    assert len(keys) == 12
    assert there < keys
    assert len(there) == 6
    fewer = entries_of(made, read_changes({"seeds": 2}))
    assert there - keys_of(fewer, jobs)


def test_a_grid_may_gain_an_axis(tmp_path: Path) -> None:
    first = Block(("easy_vqa",), ("hificl",), options={"steps": (100,), "r": (2,)})
    before = entries_of(grid(first), read_changes({}))
    told = summarise(grid(first), "embedded", before, planned(before, tmp_path), tmp_path)
    wider = grid(first, Block(("easy_vqa",), ("hificl",), options={"steps": (200,), "r": (2,)}))
    entries = entries_of(wider, read_changes({}))
    assert cells_of(told) < keys_of(entries, planned(entries, tmp_path))


def test_a_grid_may_name_what_the_others_are_tested_against(tmp_path: Path) -> None:
    made = replace(grid(Block(("easy_vqa",), ("lora", "icl", "hificl"))), reference="lora")
    found = by_line(summary(made, tmp_path))
    assert [name for name, mean in found.items() if mean["is_reference"]] == ["lora"]
    assert {mean["reference"] for mean in found.values()} == {"lora"}
    assert found["hificl"]["difference"] == pytest.approx(found["hificl"]["score"] - found["lora"]["score"])
    assert found["lora"]["difference"] is None
    # A cell that is not there keeps its place: it is the reference where its variant is, and no other is one.
    holes = summary(made, tmp_path / "holes", {"lora": "missing", "hificl": "failed"})
    for told in (summary(made, tmp_path), holes):
        named = grid_from_summary(told, tmp_path / "grid.json", Evidence())
        assert named.reference == "lora"
        assert {mean.variant for mean in named.means if mean.is_reference} == {"lora"}
