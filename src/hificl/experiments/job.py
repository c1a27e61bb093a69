"""A job: one cell as a grid asks for it, in JSON values, so that any process can be told to do it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from hificl.records import content_hash

SCORE = "score"
"""The measure of an ordinary cell: fit the method, answer the queries, score the answers."""


@dataclass(frozen=True)
class Job:
    """What is asked for. What it comes to (options, rows, identity) is found where model and data are."""

    model: str
    """As for ``load_backbone``."""

    task: str
    """Name in ``TASKS``."""

    variant: str
    """Name in ``hificl.comparison.VARIANTS``."""

    seed: int = 0
    """Seed of the cell."""

    measure: str = SCORE
    """``"score"``, or a name in ``hificl.diagnostics.MEASURES``."""

    train_size: int | None = None
    """Support examples; None: as many as the task or its protocol says."""

    query_size: int | None = None
    """Queries, likewise."""

    shots: int | None = None
    """Demonstrations of in-context learning; None: the number that a search chose, else 8."""

    control: str | None = None
    """``"random_lm"``: on the backbone with a random language model."""

    protocol: str | None = None
    """Published choice of rows of a benchmark; None for other tasks."""

    prompt: str | None = None
    """Prompt form; None: the default one."""

    root: str | None = None
    """Folder with the files of benchmarks, or with one folder per benchmark; None for other tasks."""

    dtype: str | None = None
    """Numbers of the model; None: the default of ``load_backbone``."""

    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Fields of the recipe or of the PEFT config."""

    task_options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Further arguments of ``Task.load``."""

    measure_options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Options of the measure."""

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        return asdict(self)

    @property
    def key(self) -> str:
        """A hash over all fields: jobs with the same one are the same."""
        return content_hash(self.to_dict())

    @property
    def name(self) -> str:
        """A readable name of its folder, such as ``hificl_r4_size100_seed2``; not unique."""
        parts = [] if self.measure == SCORE else [self.measure]
        parts.append(self.variant)
        parts += [f"{name}{value}" for name, value in {**self.options, **self.task_options}.items()]
        parts += [self.dtype] if self.dtype is not None else []
        parts += [f"{self.shots}shots"] if self.shots is not None else []
        parts += [self.control] if self.control is not None else []
        parts += [f"size{self.train_size}"] if self.train_size is not None else []
        return re.sub(r"[^A-Za-z0-9_.-]+", "-", "_".join([*parts, f"seed{self.seed}"]))

    @property
    def label(self) -> str:
        """What people read while it runs."""
        return f"{self.task}, {self.name.replace('_', ' ')}"
