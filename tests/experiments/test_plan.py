"""The dry run: cells, parameters, sizes and seconds, without weights, data or a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hificl.errors import InputError
from hificl.experiments import plan_grids
from hificl.experiments.estimate import Estimates, measured_seconds, store_seconds
from hificl.experiments.job import Job
from hificl.experiments.needs import needs_of, sizes_of
from hificl.records import read_json, write_json

GRID = """title: T
artefact: A
question: Q
embedded:
  models: embedded
  seeds: 2
  cells:
    - {tasks: easy_vqa, variants: [zero_shot, hificl], train_size: 40, query_size: 60, options: {r: [2, 8]}}
real:
  models: [idefics2, /no/such/folder]
  seeds: 1
  cells:
    - {tasks: [vqav2, ok_vqa], variants: [icl, hificl, lora], prompt: official}
"""


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    file = tmp_path / "g.yaml"
    file.write_text(GRID)
    return file


def test_the_embedded_tier_is_counted_and_timed(grid: Path) -> None:
    found = plan_grids([grid], workers=2)
    (planned,) = found["grids"]
    cells = planned["cells"]
    assert [(one["variant"], one["seed"], one["point"].get("r")) for one in cells] == [
        ("zero_shot", 0, None), ("hificl", 0, 2), ("hificl", 0, 8),
        ("zero_shot", 1, None), ("hificl", 1, 2), ("hificl", 1, 8),
    ]  # fmt: skip
    assert [one["trainable_parameters"] for one in cells[:3]] == [0, 18432 // 4, 18432]
    # Zero-shot draws nothing, so its cell is that of the first seed.
    assert [one["is_shared"] for one in cells] == [False, False, False, True, False, False]
    assert planned["seconds"] == pytest.approx(sum(one["seconds"] for one in cells if not one["is_shared"]))
    assert found["hours"] == pytest.approx(planned["seconds"] / 7200)
    assert (planned["unknown"], list(found["needs"])) == (0, ["easy_vqa"])
    json.dumps(found)


def test_the_real_tier_needs_neither_weights_nor_data(grid: Path) -> None:
    found = plan_grids([grid], changes={"tier": "real", "root": "DATA"})
    cells = [one for one in found["grids"][0]["cells"] if one["model"] == "idefics2"]
    assert {(one["variant"], one["trainable_parameters"]) for one in cells} == {
        ("icl", 0), ("hificl", 2_228_224), ("lora", 13_631_488),
    }  # fmt: skip
    assert {(one["task"], one["train_size"], one["query_size"]) for one in cells} == {
        ("vqav2", 1000, 10_000), ("ok_vqa", 1000, 5_046),
    }  # fmt: skip
    assert all(one["error"] is None and one["seconds"] is None for one in cells)
    lost = [one for one in found["grids"][0]["cells"] if one["model"] != "idefics2"]
    assert all("/no/such/folder" in one["error"] and one["trainable_parameters"] is None for one in lost)
    assert "hificl data validate vqav2 --root DATA" in found["needs"]["vqav2"]


def test_a_prompt_form_that_a_family_lacks_is_said(grid: Path) -> None:
    found = plan_grids([grid], changes={"tier": "real", "model": "idefics2", "prompt": "offical"})
    assert "no prompt form 'offical'" in found["grids"][0]["cells"][0]["error"]


def test_filters_hold_in_a_dry_run(grid: Path) -> None:
    cells = plan_grids([grid], only=["seed=1", "r=2"])["grids"][0]["cells"]
    assert [(one["variant"], one["seed"], one["point"]["r"]) for one in cells] == [("hificl", 1, 2)]
    with pytest.raises(InputError, match="g has no axis"):
        plan_grids([grid], only=["sead=1"])


def test_sizes_are_those_of_the_job_else_of_the_task() -> None:
    job = Job("m", "easy_vqa", "icl")
    assert sizes_of(job) == (300, 500)
    assert sizes_of(Job("m", "easy_vqa", "icl", train_size=7, query_size=9)) == (7, 9)
    assert sizes_of(Job("m", "vqav2", "icl", protocol="none")) == (None, None)
    assert "hificl data fetch flags" in needs_of(Job("m", "flags", "icl"))
    assert "pip" not in needs_of(job)


def test_seconds_grow_with_examples_queries_and_shots(tmp_path: Path) -> None:
    variants = {
        "zero_shot": {"fit": 0.0, "answer": 0.01, "shots": 0},
        "icl": {"fit": 0.0, "answer": 0.05, "shots": 4},
        "lora": {"fit": 0.5, "answer": 0.02, "shots": 0},
        "mtv": {"fit": 0.5, "answer": 0.02, "shots": 0},
        "measures": {"fidelity": 30.0},
    }
    write_json(tmp_path / "s.json", {"m": {"t": variants}, "embedded": {"t": variants}})
    known = Estimates(tmp_path / "s.json")

    def seconds(variant: str, **options: object) -> float | None:
        return known.seconds(Job("m", "t", variant, **options), 100, 200)  # type: ignore[arg-type]

    # Twelve passes over 100 examples in batches of 4; on the embedded model 16 of them in batches of 16.
    assert seconds("lora") == pytest.approx(2 + 0.5 * 300 + 0.02 * 200)
    assert known.seconds(Job("embedded", "t", "lora"), 100, 200) == pytest.approx(2 + 0.5 * 100 + 0.02 * 200)
    assert seconds("lora", options={"batch_size": 8, "epochs": 4.0}) == pytest.approx(2 + 0.5 * 50 * 2 + 0.02 * 200)
    assert seconds("mtv") == pytest.approx(2 + 0.5 * 100 + 0.02 * 200)
    assert seconds("lora", options={"batch_size": -1}) == pytest.approx(2 + 0.02 * 200)
    assert seconds("dora") == seconds("lora")
    assert seconds("lora", options={"steps": 10}) == pytest.approx(2 + 0.5 * 10 + 0.02 * 200)
    assert seconds("icl", shots=8) == pytest.approx(2 + (0.01 + 0.04 * 2) * 200)
    assert seconds("lora", measure="fidelity") == pytest.approx(2 + 150 + 30)
    assert (seconds("mimic"), seconds("lora", measure="real_mass")) == (None, None)
    assert known.seconds(Job("other", "t", "lora"), 100, 200) is None
    assert known.seconds(Job("m", "t", "lora"), None, 200) is None


def test_seconds_are_medians_over_the_seeds(tmp_path: Path) -> None:
    rows = [
        {
            "subset": "all", "control": control, "variant": None, "method": "lora", "score": 1.0, "shots": 0,
            "train_seconds": seconds, "seconds_per_answer": 0.25,
        }
        for seconds, control in ((30.0, None), (60.0, None), (900.0, None), (1.0, "random_lm"))
    ]  # fmt: skip
    trained = [{**row, "options": {"steps": 30}} for row in rows]
    summary = {"rows": [*trained, *({**rows[0], "options": {"steps": 0}} for _ in range(9))], "train_size": 7}
    assert measured_seconds(summary, "m") == {"lora": {"fit": 2.0, "answer": 0.25, "shots": 0}}
    file = tmp_path / "s.json"
    write_json(file, {"m": {"t": {"measures": {"x": 1.0}}}})
    store_seconds(summary, "m", "t", file)
    assert read_json(file) == {"m": {"t": {"measures": {"x": 1.0}, "lora": {"fit": 2.0, "answer": 0.25, "shots": 0}}}}
