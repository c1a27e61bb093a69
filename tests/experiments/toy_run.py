"""A run of toy cells as a process of its own, to be killed: FOLDER WORKERS CELLS."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

from hificl.experiments.folder import WORK, claimed
from hificl.experiments.job import Job
from hificl.experiments.pool import LocalPool
from hificl.experiments.schedule import identify, perform

TOY = (sys.executable, str(Path(__file__).with_name("toy_worker.py")))


def jobs(count: int) -> list[Job]:
    return [Job("toy", "toy", "hificl", seed=seed) for seed in range(count)]


def main(folder: str, workers: str, count: str) -> None:
    root = Path(folder)
    with claimed(root) as lock, closing(LocalPool(int(workers), root / WORK, lock, TOY)) as pool:
        planned = identify(jobs(int(count)), root, pool)
        print("planned", flush=True)
        perform(list(planned.values()), pool, retry_failed=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
