"""The same messages on a Ray of two workers on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from experiments.toy_worker import FAILS, Toy
from hificl.errors import InputError
from hificl.experiments import ray_pool
from hificl.experiments.job import Job
from hificl.experiments.ray_pool import RayPool

DIES_WHERE = "TOY_DIES"


class Mortal(Toy):
    """Dies over seed 5 until a file says that it did, and over seed 6 always."""

    def handle(self, message: Mapping[str, Any]) -> dict[str, Any]:
        seed, marks = message["job"]["seed"], Path(message["job"]["root"])
        with (marks / f"pid_{os.getpid()}").open("a"):
            pass
        mark = marks / f"died_{seed}"
        if seed == 6 or (seed == 5 and not mark.exists()):
            mark.touch()
            os.kill(os.getpid(), 9)
        return super().handle(message)


@pytest.fixture(scope="module")
def pool() -> Iterator[RayPool]:
    ray = pytest.importorskip("ray")
    # The nodes import what the tests import.
    path = os.pathsep.join(str(Path(__file__).parents[up]) for up in (1, 2))
    os.environ["PYTHONPATH"] = os.pathsep.join([path, os.environ.get("PYTHONPATH", "")])
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    with closing(RayPool("auto", make=Mortal)) as made:
        yield made
    ray.shutdown()
    assert sys.modules["ray"] is ray


def message(seed: int, marks: Path) -> dict[str, Any]:
    return {
        "do": "perform",
        "job": Job("toy", "toy", "hificl", seed=seed, root=str(marks)).to_dict(),
        "folder": "/never",
    }


@pytest.mark.slow
def test_two_workers_answer_every_message_once(pool: RayPool, tmp_path: Path) -> None:
    assert pool.size == 2
    found = dict(pool.answers([message(seed, tmp_path) for seed in (*range(5), FAILS)]))
    assert [found[number]["record"]["seed"] for number in range(5)] == list(range(5))
    assert found[5]["error"]["message"] == "no luck"
    assert 1 <= len(list(tmp_path.glob("pid_*"))) <= 2


@pytest.mark.slow
def test_a_lost_worker_is_replaced_and_its_cell_tried_once_more(pool: RayPool, tmp_path: Path) -> None:
    found = dict(pool.answers([message(seed, tmp_path) for seed in (0, 5, 6, 1)]))
    assert [found[number]["record"]["seed"] for number in (0, 1, 3)] == [0, 5, 1]
    assert found[2]["error"]["type"] == "WorkerDied"
    assert "lost 2 times" in found[2]["error"]["message"]


def test_a_cluster_without_room_is_refused() -> None:
    assert ray_pool._room({"CPU": 7.0, "GPU": 2.0}, 2, 0) == 3
    assert ray_pool._room({"CPU": 7.0, "GPU": 2.0}, 2, 1) == 2
    assert ray_pool._room({"CPU": 7.0}, 2, 1) == 0


def test_a_missing_ray_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'hificl\[ray\]'"):
        RayPool("auto")
