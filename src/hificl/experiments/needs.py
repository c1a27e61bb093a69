"""What data a job needs and how many examples it comes to, as the tasks themselves say; nothing is read."""

from __future__ import annotations

from hificl.experiments.job import Job
from hificl.tasks import TASKS
from hificl.tasks.benchmarks import BENCHMARKS


def needs_of(job: Job) -> str:
    """Return in words where the rows of a job come from."""
    task = TASKS[job.task]
    if task.origin == "package":
        return f"{task.source}, which hificl installs"
    if task.origin == "fetch":
        return f"{task.source}; run: hificl data fetch {job.task}"
    benchmark = BENCHMARKS[job.task]
    protocol = task.protocols.get(job.protocol or "")
    splits = {protocol.support_split, protocol.query_split} if protocol else set(benchmark.splits)
    files = [file.name for file in benchmark.files if splits & set(file.splits)]
    root = job.root or "ROOT"
    return (
        f"{root}/{job.task}/ or {root}/ with {', '.join(dict.fromkeys(files))}, or the parquet files of a mirror; "
        f"check with: hificl data validate {job.task} --root {root}"
    )


def sizes_of(job: Job) -> tuple[int | None, int | None]:
    """Return the numbers of support examples and queries of a job; None where only the data can tell."""
    task = TASKS[job.task]
    support, queries = task.support_size, task.query_size
    if task.origin == "root":
        protocol, counts = task.protocols.get(job.protocol or ""), BENCHMARKS[job.task].counts
        if protocol is None:
            return job.train_size, job.query_size
        support = protocol.support_size or counts.get(protocol.support_split or "")
        queries = protocol.query_size or counts.get(protocol.query_split)
    return job.train_size or support, job.query_size or queries
