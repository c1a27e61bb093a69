"""Trains the same run many times, each in a forked process that kills itself at a given place; see test_resume.py.

Called with JSON: the folder of a backbone and a list of runs, each with its output, method, options and places. Every
process takes up the run where the one before was killed; the last one ends it. Forking after the imports is fast.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import torch
import transformers
from tiny import colour_examples, load_tiny

from hificl import records
from hificl.adapters import stored
from hificl.training import api, checkpoints, finished
from hificl.training.trainer import AnswerTrainer

# The owner of the attribute and its name, by the name of the place; None kills at the start of the call.
PLACES: dict[str, tuple[Any, str]] = {
    "step": (AnswerTrainer, "training_step"),
    "save": (AnswerTrainer, "_save"),
    "optimizer": (AnswerTrainer, "_save_optimizer_and_scheduler"),
    "seal": (checkpoints, "seal"),
    "prune": (checkpoints, "prune"),
    "evaluate": (AnswerTrainer, "evaluate"),
    "adapter": (finished, "save_adapter"),
    "rename": (stored.os, "replace"),
    "record": (records, "write_json"),
}


def arm(place: str, count: int) -> None:
    """Kill this process, as ``kill -9`` does, at the start of the ``count``-th call of a place."""
    owner, name = PLACES[place]
    inner: Callable[..., Any] = getattr(owner, name)
    calls = iter(range(1, 10**9))

    def counted(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return inner(*args, **kwargs)

    setattr(owner, name, counted)


def start(place: str | None, train: Callable[[], object]) -> None:
    """Train in a forked process and check that it ended as it should: killed, or well."""
    process = os.fork()
    if process == 0:
        if place is not None:
            name, count = place.split(":")
            arm(name, int(count))
        train()
        os._exit(0)
    _, status = os.waitpid(process, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    if killed != (place is not None):
        raise SystemExit(f"{place}: the process ended with status {status}")


def main(jobs: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    backbone = load_tiny(jobs["backbone"])
    gc.freeze()  # or each process would walk, and so copy, all that was imported
    for job in jobs["runs"]:
        for place in [*job["places"], None]:
            start(
                place,
                lambda job=job: api.train(
                    backbone, colour_examples(), method=job["method"], output_dir=job["output"], **job["options"]
                ),
            )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
