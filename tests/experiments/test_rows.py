"""Rows of benchmarks as their protocols want them: folders, sizes, beams, post-processing."""

from __future__ import annotations

from pathlib import Path

import pytest

from hificl.backbones import Backbone
from hificl.errors import InputError
from hificl.experiments.job import Job
from hificl.experiments.rows import load_rows
from hificl.experiments.worker import Worker
from tasks.benchmarks.layouts import LAYOUTS
from training.tiny import load_tiny, save_tiny_llava


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llava(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def backbone(model: Path) -> Backbone:
    return load_tiny(model)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    for name in ("ok_vqa", "vqav2"):
        LAYOUTS[name](folder / name)
    return folder


def job(model: Path, task: str, root: Path | None, **options: object) -> Job:
    sizes = {"train_size": 2, "query_size": 3}
    given = {"protocol": "hificl", "root": None if root is None else str(root), **sizes, **options}
    return Job(str(model), task, "icl", shots=1, **given)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore::hificl.tasks.TaskWarning")
def test_a_protocol_says_how_its_queries_are_answered(model: Path, backbone: Backbone, root: Path) -> None:
    asked = job(model, "ok_vqa", root)
    rows = load_rows(asked)
    assert (len(rows.data.support), len(rows.data.queries), rows.kind) == (2, 3, "vqa")
    assert rows.folder == root / "ok_vqa"
    setting = rows.setting(asked, backbone)
    assert setting is not None
    assert (setting.decoding.num_beams, setting.decoding.max_new_tokens) == (3, 20)
    assert setting.postprocess is not None
    assert setting.postprocess("horses") == "horse"
    assert (setting.source or {})["protocol"] == "hificl"
    other = job(model, "vqav2", root, protocol="evaluation", train_size=None)
    plain = load_rows(other).setting(other, backbone)
    assert plain is not None
    assert (plain.decoding.num_beams, plain.postprocess) == (1, None)


@pytest.mark.filterwarnings("ignore::hificl.tasks.TaskWarning")
def test_one_folder_may_hold_the_files_of_all(model: Path, root: Path) -> None:
    inside = load_rows(job(model, "vqav2", root))
    itself = load_rows(job(model, "vqav2", root / "vqav2"))
    assert [one.id for one in inside.data.queries] == [one.id for one in itself.data.queries]


@pytest.mark.filterwarnings("ignore::hificl.tasks.TaskWarning")
def test_a_cell_of_a_benchmark_runs_like_any_other(model: Path, root: Path, tmp_path: Path) -> None:
    worker, asked = Worker(), job(model, "ok_vqa", root)
    told = worker.handle({"do": "identify", "job": asked.to_dict()})
    found = worker.handle({"do": "perform", "job": asked.to_dict(), "folder": str(tmp_path)})
    assert "error" not in found, found
    assert found["hash"] == told["hash"]
    record = found["record"]
    assert record["config"]["evaluation"]["generation"]["num_beams"] == 3
    assert record["config"]["setting"]["source"]["protocol"] == "hificl"
    assert "vqa_accuracy_normalised" in record["results"]["details"]


def test_what_is_missing_is_said(model: Path, root: Path) -> None:
    with pytest.raises(InputError, match="name with root=DIR the folder that holds them"):
        load_rows(job(model, "vqav2", None))
    with pytest.raises(InputError, match="has no protocol 'hificll'; known are hificl"):
        load_rows(job(model, "vqav2", root, protocol="hificll"))
