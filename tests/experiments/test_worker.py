"""What a worker finds, runs and returns, on a tiny model with easy-VQA."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hificl.cell import Cell, run_cell
from hificl.diagnostics import Measure, Measured, MeasureRequest
from hificl.experiments import worker as workers
from hificl.experiments.estimate import Estimates
from hificl.experiments.job import Job
from hificl.experiments.stored import list_name, unfold
from hificl.experiments.worker import Worker
from hificl.records import read_json
from hificl.tasks import easy_vqa
from training.tiny import save_tiny_llava


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny_llava(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def worker() -> Worker:
    return Worker()


@pytest.fixture(scope="module")
def job(model: str) -> Job:
    return Job(model, "easy_vqa", "hificl", seed=1, train_size=6, query_size=5, options={"steps": 2, "r": 2})


def ask(worker: Worker, do: str, job: Job, folder: Path | None = None) -> dict[str, Any]:
    return worker.handle({"do": do, "job": job.to_dict(), "folder": None if folder is None else str(folder)})


def test_a_record_is_that_of_the_cell_with_lists_in_place_of_ids(
    worker: Worker, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ask(worker, "perform", job, tmp_path / "one")
    lists = ask(worker, "lists", job)["lists"]
    record = unfold(found["record"], lists)
    data = easy_vqa.load(support_size=6, query_size=5)
    assert record["sample_ids"]["train"] == [one.id for one in data.support]
    assert [one["id"] for one in record["results"]["predictions"]] == [one.id for one in data.queries]
    assert [one["answers"] for one in record["results"]["predictions"]] == [list(one.answers) for one in data.queries]
    plain = run_cell(
        Cell("hificl", seed=1, options=dict(job.options)), worker._load(job.model, None), data, task="easy_vqa",
        metric="exact_match", output_dir=tmp_path / "two",
        subsets={"open": [one.id for one in data.queries if one.meta["open"]]},
    )  # fmt: skip
    for prediction in record["results"]["predictions"]:
        del prediction["question"]
    for part in ("kind", "config", "seed", "sample_ids", "results"):
        assert record[part] == plain.record[part], part
    assert (tmp_path / "one" / "adapter").is_dir()


def test_lists_hold_questions_answers_subsets_and_a_few_images(worker: Worker, job: Job) -> None:
    found = ask(worker, "lists", job)
    data = easy_vqa.load(support_size=6, query_size=5)
    queries = found["lists"][list_name("easy_vqa", [one.id for one in data.queries])]
    assert queries["questions"] == [one.question for one in data.queries]
    assert queries["subsets"] == {"open": [one.id for one in data.queries if one.meta["open"]]}
    types = [one.meta["type"] for one in data.queries]
    assert list(found["images"]) == [data.queries[types.index(name)].id for name in dict.fromkeys(types)]


def test_the_hash_knows_everything_that_changes_the_result(
    worker: Worker, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = {
        name: ask(worker, "identify", other)["hash"]
        for name, other in {
            "itself": job,
            "seed": replace(job, seed=2),
            "dtype": replace(job, dtype="bfloat16"),
            "train_size": replace(job, train_size=7),
            "query_size": replace(job, query_size=6),
            "options": replace(job, options={"steps": 3, "r": 2}),
            "control": replace(job, control="random_lm"),
            "method": replace(job, variant="lora"),
            "shots": replace(job, variant="icl", options={}, shots=2),
            "other shots": replace(job, variant="icl", options={}, shots=3),
        }.items()
    }
    monkeypatch.setattr(workers.records, "environment", lambda: {"torch": "another", "commit": "c"})
    hashes["versions"] = ask(Worker(), "identify", job)["hash"]
    assert len(set(hashes.values())) == len(hashes)
    monkeypatch.setattr(workers.records, "environment", lambda: {"torch": "another", "commit": "d"})
    assert ask(Worker(), "identify", job)["hash"] == hashes["versions"]


def test_the_default_dtype_makes_no_other_cell(worker: Worker, job: Job) -> None:
    plain = ask(worker, "identify", job)
    assert ask(worker, "identify", replace(job, dtype="float32")) == plain
    half = ask(worker, "identify", replace(job, dtype="bfloat16"))
    assert (plain["dtype"], half["dtype"]) == (None, "bfloat16")
    assert "bfloat16" in half["name"]


def test_options_equal_to_the_default_make_no_other_cell(worker: Worker, job: Job) -> None:
    plain = ask(worker, "identify", replace(job, options={"steps": 2}))
    same = ask(worker, "identify", replace(job, options={"steps": 2, "r": 8, "num_virtual_tokens": 8}))
    other = ask(worker, "identify", replace(job, options={"steps": 2, "r": 4}))
    assert same["hash"] == plain["hash"]
    assert (same["asked"], same["name"]) == ({"steps": 2}, plain["name"])
    assert other["hash"] != plain["hash"]
    assert other["name"] == "hificl_steps2_r4_size6_seed1"


def test_passes_take_the_place_of_the_least_steps_of_a_recipe(worker: Worker, job: Job) -> None:
    robust = replace(job, variant="hificl_robust", options={"epochs": 2.0})
    assert "least_steps" not in worker._prepare(robust).cell.options
    assert worker._prepare(replace(robust, options={"r": 2})).cell.options["least_steps"] == 300
    known = replace(robust, model="embedded")
    passes, plain = (Estimates().seconds(one, 100, 10) for one in (known, replace(known, options={})))
    assert (passes or 0) < (plain or 0)


def test_what_fails_is_an_answer(worker: Worker, job: Job) -> None:
    refused = ask(worker, "identify", replace(job, train_size=10**6))
    assert refused["error"]["type"] == "InputError"
    assert refused["error"]["traceback"] is None
    wrong = ask(worker, "perform", replace(job, measure="weight"))
    assert "unknown measure 'weight'" in wrong["error"]["message"]
    size = ask(worker, "identify", replace(job, task="relabel", train_size=4))
    assert "has no train_size, which is 4" in size["error"]["message"]


def test_an_unexpected_error_brings_its_traceback(worker: Worker, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("nobody meant this")

    monkeypatch.setattr(workers, "run_cell", broken)
    error = ask(worker, "perform", job)["error"]
    assert (error["type"], error["message"]) == ("ZeroDivisionError", "nobody meant this")
    assert error["traceback"][-1].endswith("in broken")
    assert any(one.startswith("hificl/experiments/worker.py:") for one in error["traceback"])


def test_a_measurement_is_recorded_like_a_cell_and_takes_up_the_training_of_its_score(
    worker: Worker, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[MeasureRequest] = []

    def measure(request: MeasureRequest, options: Mapping[str, Any]) -> Measured:
        seen.append(request)
        return Measured({"trained": (request.folder / "record.json").is_file(), **options}, {"seconds": 3.0})

    monkeypatch.setattr(workers, "MEASURES", {"toy": Measure("toy", {"queries": 9}, measure)})
    asked = replace(job, measure="toy", measure_options={"queries": 4})
    alone = ask(worker, "perform", asked, tmp_path / "alone")["record"]
    assert alone["results"] == {"trained": False, "queries": 4}
    assert alone["volatile"]["seconds"] == 3.0
    assert (alone["kind"], alone["measure"], alone["seed"]) == ("measurement", "toy", 1)
    assert seen[0].cell == Cell("hificl", seed=1, options=dict(job.options), variant="hificl")
    told = ask(worker, "identify", job)
    ask(worker, "perform", job, tmp_path / f"{told['name']}-{told['hash'][:12]}")
    assert ask(worker, "perform", asked, tmp_path / "beside")["record"]["results"]["trained"]
    assert read_json(tmp_path / "beside" / "run.json")["seed"] == 1
    hashes = {
        ask(worker, "identify", one)["hash"] for one in (job, asked, replace(asked, measure_options={"queries": 5}))
    }
    assert len(hashes) == 3
