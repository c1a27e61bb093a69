"""Grids: what an experiment runs. A list stands for an axis, a block for the product of its axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hificl.comparison.differences import REFERENCE
from hificl.experiments.job import SCORE

EMBEDDED, REAL = "embedded", "real"
TIERS = (EMBEDDED, REAL)


@dataclass(frozen=True)
class Block:
    """Cells of a tier: the product of its axes. Where a list may stand, a single value is a list of one."""

    tasks: tuple[str, ...] = ()
    """Names in ``TASKS``."""

    variants: tuple[str, ...] = ()
    """Names in ``hificl.comparison.VARIANTS``, or ``all`` or ``variants``."""

    measure: str = SCORE
    """``score``, or a name in ``hificl.diagnostics.MEASURES``."""

    models: tuple[str, ...] | None = None
    """Models, in place of those of the tier."""

    seeds: tuple[int, ...] | None = None
    """Seeds or their number, in place of those of the tier."""

    train_size: tuple[int | None, ...] = (None,)
    """Numbers of support examples; none: as the task says."""

    query_size: int | None = None
    """Number of queries; none: as the task says."""

    shots: tuple[int | None, ...] = (None,)
    """Demonstrations of icl; none: what a search chose, else 8."""

    control: tuple[str | None, ...] = (None,)
    """``random_lm``, or nothing for the backbone itself."""

    protocol: tuple[str | None, ...] = (None,)
    """Published choices of rows of benchmarks."""

    prompt: str | None = None
    """Prompt form; none: the default one."""

    dtype: str | None = None
    """Numbers of the models, in place of those of the tier."""

    options: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Axes over fields of the recipe or of the PEFT config; they hold for the methods that take them."""

    task_options: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Axes over further arguments of ``Task.load``."""

    measure_options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the measure, handed on as they are."""


@dataclass(frozen=True)
class Speed:
    """A script of ``benchmarks/`` that belongs to a grid; it runs alone, after all cells."""

    script: str
    """Name of the script."""

    sizes: tuple[int, ...] = ()
    """Its ``--sizes``; none: its own."""

    decoders: tuple[str, ...] = ()
    """Its ``--decoders``; none: its own."""

    device: str = "cpu"
    """Its ``--device``."""


@dataclass(frozen=True)
class Tier:
    """The experiment on one kind of models."""

    models: tuple[str, ...] = ()
    """As for ``load_backbone``."""

    seeds: tuple[int, ...] = (0,)
    """Seeds, or their number."""

    cells: tuple[Block, ...] = ()
    """What is run."""

    speed: tuple[Speed, ...] = ()
    """Scripts of ``benchmarks/``."""

    cpus: int = 1
    """Processors of one cell on a cluster."""

    gpus: float = 0
    """GPUs of one cell on a cluster."""

    dtype: str | None = None
    """Numbers of the frozen models, as for ``load_backbone``; none: its default."""


@dataclass(frozen=True)
class Grid:
    """One experiment."""

    name: str
    """Name of its file."""

    title: str
    """A few words."""

    artefact: str
    """The table or figure of the paper that it redraws."""

    question: str
    """What it answers, in one sentence."""

    tiers: Mapping[str, Tier]
    """``embedded`` and ``real``."""

    command: str = ""
    """How it is run, as its opening comment says."""

    reference: str = REFERENCE
    """The variant that all others are tested against."""
