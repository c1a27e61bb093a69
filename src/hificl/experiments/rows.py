"""The rows of a job, and how they are asked and scored: what a protocol says, without a command line."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hificl.backbones import Backbone
from hificl.cell import Setting
from hificl.data import Example
from hificl.errors import InputError
from hificl.evaluation import POSTPROCESS, PRESETS, find_decoding
from hificl.experiments.job import Job
from hificl.records import content_hash
from hificl.tasks import TASKS, Task, TaskData
from hificl.tasks.benchmarks.stemming import learn_stems


@dataclass(frozen=True)
class Rows:
    """What a job learns from and answers."""

    task: Task
    """The task."""

    data: TaskData
    """Support set and queries."""

    kind: str
    """Kind of the task. Captions that are asked for with a question are questions."""

    folder: Path | None
    """Folder of a benchmark; None for other tasks."""

    def setting(self, job: Job, backbone: Backbone) -> Setting | None:
        """Return how the queries of a benchmark are answered; None for other tasks, whose name says all."""
        if self.folder is None or job.protocol is None:
            return None
        preset = job.protocol if job.protocol in PRESETS else "default"
        postprocess = None
        if self.task.name in POSTPROCESS:
            # OK-VQA tells in its training answers how it stems them; the rules are for what it does not tell.
            postprocess = partial(POSTPROCESS[self.task.name], words=learn_stems(self.folder))
        source = {
            "task": self.task.name,
            "kind": self.task.kind,
            "protocol": job.protocol,
            "seed": self.task.protocols[job.protocol].seeds[0],
            "support_size": job.train_size,
            "query_size": job.query_size,
            "skipped": [{"place": row.place, "reason": row.reason} for row in self.data.skipped],
            "warnings": list(self.data.warnings),
        }
        return Setting(find_decoding(preset, backbone, self.kind), postprocess, source)


def load_rows(job: Job) -> Rows:
    """Read the examples of a job.

    Raises:
        InputError: The data are not there or are damaged, a size is out of range, or the task has no such option.
    """
    task, options = TASKS[job.task], dict(job.task_options)
    sizes = {"support_size": job.train_size, "query_size": job.query_size}
    options |= {name: size for name, size in sizes.items() if size is not None}
    taken = inspect.signature(task.load).parameters
    for name in options:
        if name not in taken:
            asked = {"support_size": "train_size"}.get(name, name)
            raise InputError(f"task {task.name!r} has no {asked}, which is {options[name]!r}; leave it out.")
    folder = benchmark_folder(job, task)
    if folder is None:
        data = task.load(**options)
    else:
        data = task.load(folder, protocol=job.protocol, **options)
    return Rows(task, data, _kind(task, data), folder)


def benchmark_folder(job: Job, task: Task) -> Path | None:
    """Return the folder of a benchmark: that of its name below the root, else the root itself; None for other tasks.

    Raises:
        InputError: It is a benchmark and no root is given, or it has no such protocol.
    """
    if task.origin != "root":
        return None
    if job.protocol not in task.protocols:
        known = ", ".join(task.protocols)
        raise InputError(f"task {task.name!r} has no protocol {job.protocol!r}; known are {known}.")
    if job.root is None:
        raise InputError(
            f"task {task.name!r} reads your own files: name with root=DIR the folder that holds them, or holds them in "
            f"{task.name}/; `hificl data validate {task.name} --root DIR` says what belongs there."
        )
    own = Path(job.root) / task.name
    return own if own.is_dir() else Path(job.root)


def _kind(task: Task, data: TaskData) -> str:
    asked = any(example.question.strip() for example in [*data.support[:1], *data.queries[:1]])
    return "vqa" if task.kind == "caption" and asked else task.kind


def example_list(examples: Sequence[Example], task: str, subsets: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return a list of examples as its file holds it: what was asked, every accepted answer, the ids of subsets."""
    ids = [one.id for one in examples]
    return {
        "kind": "examples",
        "task": task,
        "hash": content_hash(ids),
        "ids": ids,
        "questions": [one.question for one in examples],
        "answers": [list(one.answers) for one in examples],
        "subsets": {name: list(known) for name, known in subsets.items()},
    }
