"""Kill -9 anywhere: what is finished stays whole, the rest is done by the next run, and nobody is left behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from experiments import toy_run
from hificl.records import read_json

CELLS = 24
SCRIPT = Path(toy_run.__file__)


def start(folder: Path, workers: int, seconds: float) -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(SCRIPT.parent.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "TOY_SECONDS": str(seconds), "PYTHONPATH": path}
    words = [sys.executable, str(SCRIPT), str(folder), str(workers), str(CELLS)]
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run_to_the_end(folder: Path, workers: int = 2) -> None:
    process = start(folder, workers, 0)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told.decode()


def contents(folder: Path) -> dict[str, Any]:
    """Every record without its volatile block, and every list, by path."""
    found = {}
    for file in sorted(folder.rglob("*.json")):
        record = read_json(file)
        record.pop("volatile", None)
        found[file.relative_to(folder).as_posix()] = record
    return found


def children(process: subprocess.Popen[bytes]) -> list[int]:
    tasks = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(word) for word in tasks.read_text().split()] if tasks.exists() else []


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What an uninterrupted run leaves."""
    folder = tmp_path_factory.mktemp("whole")
    run_to_the_end(folder, workers=1)
    found = contents(folder)
    assert len(found) == CELLS + 1
    return found


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the children of a process in /proc")
@pytest.mark.parametrize("target", ["runner", "worker"])
def test_records_do_not_know_of_kills(target: str, whole: dict[str, Any], tmp_path: Path) -> None:
    draw = random.Random(target)
    for _ in range(5):
        process = start(tmp_path, 2, seconds=0.03)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(draw.uniform(0, 0.25))
        workers = children(process)
        victims = [process.pid] if target == "runner" else workers[:1]
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        if target == "runner":
            process.communicate(timeout=60)
            assert all(map(ended_soon, workers))
        else:
            assert process.communicate(timeout=60)[1] == b""
    run_to_the_end(tmp_path)
    assert contents(tmp_path) == whole
    assert not list(tmp_path.rglob("*.part"))


def ended_soon(pid: int) -> bool:
    """Whether a process is gone, or nothing but its exit code is left, within a second."""
    state = Path(f"/proc/{pid}/stat")
    for _ in range(100):
        try:
            if state.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False


def test_the_number_of_workers_leaves_no_trace(whole: dict[str, Any], tmp_path: Path) -> None:
    run_to_the_end(tmp_path, workers=3)
    assert contents(tmp_path) == whole
