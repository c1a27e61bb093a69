"""One grid, comparison or quickstart as its records tell it, in one form whatever file it was read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hificl.reporting.document import Hole
from hificl.reporting.names import REFERENCE, method_label

Ends = tuple[float, float]


@dataclass(frozen=True)
class Row:
    """One score: a cell on one subset of the queries."""

    task: str
    method: str
    variant: str
    shots: int
    seed: int
    control: str | None
    point: Mapping[str, Any]
    train_size: int | None
    subset: str
    headline: bool
    metric: str
    scale: float | None
    score: float | None
    score_ci95: Ends | None
    details: Mapping[str, Any] | None
    costs: Mapping[str, float | None]
    """``trainable_parameters``, ``stored_bytes``, ``train_seconds``, ``seconds_per_answer``, ``peak_memory_bytes``."""

    record: Path
    stale: str | None = None
    """Why the number no longer stands in its record; None where it does."""


@dataclass(frozen=True)
class Mean:
    """A variant at one point of a grid, over its seeds."""

    task: str
    method: str
    variant: str
    shots: int
    control: str | None
    point: Mapping[str, Any]
    train_size: int | None
    subset: str
    headline: bool
    metric: str
    scale: float | None
    rows: tuple[Row, ...]
    """One per finished seed."""

    score: float | None
    seed_ci95: Ends | None
    score_ci95: Ends | None
    difference: float | None
    difference_ci95: Ends | None
    p_holm: float | None
    hole: Hole | None = None
    """Why there is no number; None where there is one."""

    difference_seed_ci95: Ends | None = None
    """The interval of the difference over seeds."""

    reference: bool | None = None
    """Whether it is what the others are compared with; None where its file does not say."""

    where: str = ""
    """Options of the task and, where a grid has several, the model: means are compared within the same ones."""

    also_at: tuple[Mapping[str, Any], ...] = ()
    """Other points of the grid at which the same cells stand, for there an axis names what holds anyway."""

    items: int | None = None
    """Its queries; None where its file does not say."""

    where_names: frozenset[str] = frozenset()
    """Axes that ``where`` tells already."""

    @property
    def label(self) -> str:
        """Its name for people."""
        return method_label(self.variant, self.shots, self.control)

    @property
    def is_reference(self) -> bool:
        """Whether it is what the others are compared with."""
        plain = self.variant == REFERENCE and self.control is None
        return plain if self.reference is None else self.reference

    @property
    def ends(self) -> Ends | None:
        """The interval over seeds where there are several, else that over the queries."""
        return self.seed_ci95 or self.score_ci95

    def cost(self, name: str) -> float | None:
        """Mean of a cost over the seeds; of memory the largest."""
        values = [value for row in self.rows if (value := row.costs.get(name)) is not None]
        if not values:
            return None
        return max(values) if name == "peak_memory_bytes" else sum(values) / len(values)

    def at(self, axis: str) -> Any:
        """Where it stands on an axis of the grid."""
        return self.point.get(axis, getattr(self, axis, None))


@dataclass(frozen=True)
class Measurement:
    """One measurement that is not a score."""

    measure: str
    task: str
    variant: str
    seed: int | None
    point: Mapping[str, Any]
    results: Mapping[str, Any]
    volatile: Mapping[str, Any]
    record: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the recipe or of the PEFT config that the cell sets."""

    method: str = ""
    """Name in ``METHODS``; empty where its file does not say."""


@dataclass(frozen=True)
class Grid:
    """What one summary tells."""

    name: str
    kind: str
    """``grid``, ``comparison`` or ``quickstart``."""

    title: str
    artefact: str
    question: str
    tier: str
    backbone: str
    revision: str | None
    planned: int | None
    finished: int | None
    axes: tuple[str, ...]
    path: Path
    """The summary, where the means stand."""

    means: tuple[Mean, ...]
    measurements: tuple[Measurement, ...] = ()
    holes: tuple[Hole, ...] = ()
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    reference: str = REFERENCE
    """The variant that the others are tested against."""

    @property
    def headline(self) -> tuple[Mean, ...]:
        """The means that count: those of each task's headline subset."""
        return tuple(mean for mean in self.means if mean.headline)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Its tasks, in the order of the file."""
        return tuple(dict.fromkeys(mean.task for mean in self.means))
