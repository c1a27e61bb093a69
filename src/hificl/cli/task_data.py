"""Rows to learn from and to score, whether they come from a file, a task or the folder of a benchmark."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hificl.cli.settings import nearest
from hificl.errors import InputError

if TYPE_CHECKING:
    from hificl.backbones import Backbone
    from hificl.data import Example
    from hificl.tasks import Task, TaskData

DEFAULT_PROTOCOL = "hificl"


@dataclass(frozen=True)
class DataOptions:
    """The keys of a recipe file that say where rows come from."""

    data: str | None = None
    images: str | None = None
    columns: dict[str, str] | None = None
    task: str | None = None
    root: str | None = None
    protocol: str | None = None
    on_bad: str = "fail"
    support_size: int | None = None
    query_size: int | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Rows:
    """What was read."""

    support: list[Example]
    """Rows to learn from; empty for a file of rows, which is read as ``queries``."""

    queries: list[Example]
    """Rows to score."""

    seed: int
    """The seed that was asked for, else the first of the protocol, else 0."""

    task: Task | None = None
    """The task; None for a file."""

    source: Mapping[str, Any] | None = None
    """What the record says about them; None for a file."""

    skipped: list[str] = field(default_factory=list)
    """Bad rows that were left out, each with its place and the reason."""

    @property
    def kind(self) -> str:
        """Kind of the task. Captions that are asked for with a question are questions."""
        if self.task is None:
            return "vqa"
        asked = any(example.question.strip() for example in [*self.support[:1], *self.queries[:1]])
        return "vqa" if self.task.kind == "caption" and asked else self.task.kind


def read_rows(chosen: DataOptions) -> Rows:
    """Read the file or the task that the options name.

    Raises:
        InputError: Neither or both are named, options do not belong together, or the data are not usable.
    """
    from hificl.cli.inputs import one_of, read_examples

    if one_of(data=chosen.data, task=chosen.task) == "task":
        return _read_task(chosen)
    for name in ("root", "protocol", "support_size", "query_size"):
        if getattr(chosen, name) is not None:
            raise InputError(f"--{name.replace('_', '-')} belongs to --task; a file of rows is taken whole.")
    return Rows([], read_examples(chosen.data or "", chosen.images, chosen.columns), chosen.seed or 0)


def with_prompt(backbone: Backbone, form: str | None, rows: Rows) -> Backbone:
    """The backbone with the prompt form for these rows.

    Raises:
        InputError: The family has no such form for this kind of task.
    """
    return backbone.with_prompt(form or "default", rows.kind)


def _read_task(chosen: DataOptions) -> Rows:
    from hificl.cli.inputs import find_task

    task = find_task(chosen.task or "")
    protocol = check_task_options(task, chosen)
    sizes = {"support_size": chosen.support_size, "query_size": chosen.query_size}
    options: dict[str, Any] = {name: size for name, size in sizes.items() if size is not None}
    if chosen.seed is not None:
        options["seed"] = chosen.seed
    for name in options.keys() - inspect.signature(task.load).parameters.keys():
        raise InputError(f"--{name.replace('_', '-')} is no option of the task {task.name!r}; leave it out.")
    if task.origin == "root":
        options |= {"protocol": protocol, "on_bad": chosen.on_bad, "images": chosen.images, "columns": chosen.columns}
        loaded = task.load(chosen.root, **options)
    else:
        loaded = task.load(**options)
    seeds = task.protocols[protocol].seeds if protocol else (0,)
    seed = chosen.seed if chosen.seed is not None else seeds[0]
    source = _source(task, protocol, chosen, loaded, seed)
    skipped = [f"{row.place}: {row.reason}" for row in loaded.skipped]
    return Rows(loaded.support, loaded.queries, seed, task, source, skipped)


def check_task_options(task: Task, chosen: DataOptions) -> str | None:
    """Return the protocol of a benchmark, None for another task.

    Raises:
        InputError: A benchmark without ``--root``, another task with one, or an unknown protocol or ``on_bad``.
    """
    if chosen.on_bad not in ("fail", "skip"):
        raise InputError(f"on_bad is {chosen.on_bad!r}; it must be 'fail' or 'skip'.")
    if task.origin != "root":
        for name in ("root", "protocol", "images", "columns"):
            if getattr(chosen, name) is not None:
                raise InputError(f"--{name} does not belong to the task {task.name!r}, which brings its own data.")
        return None
    if chosen.root is None:
        raise InputError(
            f"task {task.name!r} reads your own files: name their folder with --root DIR; "
            f"`hificl data validate {task.name} --root DIR` says what belongs there."
        )
    protocol = chosen.protocol or DEFAULT_PROTOCOL
    if protocol not in task.protocols:
        raise InputError(f"task {task.name!r} has no protocol {protocol!r}{nearest(protocol, task.protocols)}")
    return protocol


def _source(task: Task, protocol: str | None, chosen: DataOptions, loaded: TaskData, seed: int) -> dict[str, Any]:
    """What a record says about the rows. Sizes that were asked for are not those of the protocol, and are named."""
    asked = {"support_size": chosen.support_size, "query_size": chosen.query_size}
    return {
        "task": task.name,
        "kind": task.kind,
        "protocol": protocol,
        "seed": seed,
        **{name: size for name, size in asked.items() if size is not None},
        "on_bad": chosen.on_bad,
        "skipped": [{"place": row.place, "reason": row.reason} for row in loaded.skipped],
        "warnings": list(loaded.warnings),
    }
