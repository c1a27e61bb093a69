"""Worker processes: every message is answered once, whoever dies; nobody outlives the parent."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from experiments.toy_run import TOY, jobs
from experiments.toy_worker import DIES, DIES_ONCE, FAILS
from hificl.errors import InputError
from hificl.experiments.folder import claimed
from hificl.experiments.job import Job
from hificl.experiments.pool import LocalPool


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[LocalPool]:
    with closing(LocalPool(3, tmp_path / "log", command=TOY)) as made:
        yield made


def message(seed: int, folder: Path) -> dict[str, Any]:
    return {"do": "perform", "job": Job("toy", "toy", "hificl", seed=seed).to_dict(), "folder": str(folder)}


def test_every_message_is_answered_once(pool: LocalPool, tmp_path: Path) -> None:
    messages = [message(seed, tmp_path) for seed in range(11)]
    found = list(pool.answers(messages))
    assert sorted(number for number, _ in found) == list(range(11))
    assert all(answer["record"]["seed"] == number for number, answer in found)
    assert len({answer["record"]["volatile"]["pid"] for _, answer in found}) <= 3


def test_a_worker_that_dies_is_started_anew_and_its_cell_tried_once_more(pool: LocalPool, tmp_path: Path) -> None:
    seeds = [0, DIES_ONCE, 1, DIES, 2]
    found = dict(pool.answers([message(seed, tmp_path / str(seed)) for seed in seeds]))
    assert [found[number]["record"]["seed"] for number in (0, 1, 2, 4)] == [0, DIES_ONCE, 1, 2]
    assert found[3]["error"]["type"] == "WorkerDied"
    assert "signal 9" in found[3]["error"]["message"]


def test_an_error_is_an_answer_like_any_other(pool: LocalPool, tmp_path: Path) -> None:
    ((number, answer),) = pool.answers([message(FAILS, tmp_path)])
    assert (number, answer["error"]["message"]) == (0, "no luck")


def test_messages_can_follow_messages(pool: LocalPool, tmp_path: Path) -> None:
    for seed in (4, 5):
        ((_, answer),) = pool.answers([message(seed, tmp_path)])
        assert answer["record"]["seed"] == seed


def test_workers_have_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    script = tmp_path / "threads.py"
    script.write_text(
        "import os, socket, sys\n"
        "from hificl.experiments.serving import serve\n"
        "serve(lambda message: {'threads': os.environ['OMP_NUM_THREADS']}, socket.socket(fileno=int(sys.argv[1])))\n"
    )
    with closing(LocalPool(1, tmp_path, command=(sys.executable, str(script)))) as pool:
        assert list(pool.answers([{}])) == [(0, {"threads": "1"})]


def test_closing_ends_workers_in_the_middle_of_a_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_SECONDS", "60")
    pool = LocalPool(1, tmp_path, command=TOY)
    worker = pool._idle()
    assert worker is not None
    pool._send(worker, 0, message(0, tmp_path))
    pid = worker.process.pid
    pool.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_folder_belongs_to_one_run_until_its_last_worker_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hificl.experiments.folder.PATIENCE_SECONDS", 0.2)
    with claimed(tmp_path) as lock:
        pool = LocalPool(1, tmp_path, lock, TOY)
        worker = pool._idle()
        assert worker is not None
    with pytest.raises(InputError, match="another run works in this folder"), claimed(tmp_path):
        pass
    os.kill(worker.process.pid, signal.SIGKILL)
    worker.process.wait()
    with claimed(tmp_path):
        pool.close()


def test_jobs_have_readable_names() -> None:
    one = Job("m", "t", "hificl", 2, train_size=100, options={"r": 4}, control="random_lm", shots=None)
    assert one.name == "hificl_r4_random_lm_size100_seed2"
    assert (
        Job("m", "t", "icl", measure="fidelity", shots=8, options={"x": "a/b c"}).name
        == "fidelity_icl_xa-b-c_8shots_seed0"
    )
    assert len({job.key for job in [*jobs(5), one]}) == 6
