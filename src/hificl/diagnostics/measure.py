"""What a measure is: a question about one cell, asked beside its score, and the answer as JSON values."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hificl.backbones import Backbone
from hificl.backbones.control import random_language_model
from hificl.cell import Cell, Setting
from hificl.cell.identity import training_options
from hificl.errors import InputError
from hificl.methods import METHODS
from hificl.tasks import TaskData
from hificl.training import train
from hificl.training.recipes import PLAIN


@dataclass(frozen=True)
class MeasureRequest:
    """What is measured, and with which options."""

    backbone: Backbone
    """The frozen model; a control is made from it by the measure."""

    data: TaskData
    """Support set (training, demonstrations) and queries."""

    task: str
    """Name of the task, for the record of a training."""

    metric: str
    """Name in ``METRICS``, by which a fitted method chooses."""

    cell: Cell
    """Method, shots, seed, options."""

    options: Mapping[str, Any]
    """Those of the measure; what is missing has its default."""

    folder: Path
    """Gets the training run where the method has one; a finished one there is taken up."""

    setting: Setting | None = None
    """How queries are answered; of a training it says where the rows come from."""

    @property
    def name(self) -> str:
        """What the line of the cell is called: its variant, with its shots, such as ``icl_8``."""
        return self.cell.name

    def base(self) -> Backbone:
        """Return the frozen model that the cell stands on, the control where it is one."""
        return random_language_model(self.backbone, self.cell.seed) if self.cell.control else self.backbone

    def train(self, folder: Path, **overrides: Any) -> tuple[Backbone, Any]:
        """Train or fit the method of the cell, or take up what is there; a prompt has the frozen model.

        Args:
            folder: Of the training run.
            **overrides: On top of the options of the cell.

        Returns:
            The backbone in the form that the model is prompted in, and the model.
        """
        base = self.base()
        if METHODS[self.cell.method].kind == "prompt":
            return base, base.model
        run = train(
            base, self.data.support, method=self.cell.method, recipe=PLAIN, output_dir=folder, seed=self.cell.seed,
            task=self.task, source=self.setting.source if self.setting else None,
            **training_options(self.cell, self.metric, {**self.cell.options, **overrides}),
        )  # fmt: skip
        return run.backbone, run.model


@dataclass(frozen=True)
class Measured:
    """What a measure found, as JSON values."""

    results: Mapping[str, Any]
    """The same in every run on one machine."""

    volatile: Mapping[str, Any] = field(default_factory=dict)
    """Seconds and bytes, which differ between runs."""


@dataclass(frozen=True)
class Measure:
    """A measure by name."""

    description: str
    """One sentence for lists and help."""

    options: Mapping[str, int | None]
    """What can be set, with defaults; None lets the measure choose."""

    measure: Callable[[MeasureRequest, Mapping[str, Any]], Measured]
    """Gets the request and all options."""

    def run(self, request: MeasureRequest) -> Measured:
        """Measure one cell.

        Raises:
            InputError: An unknown option, one that is not a number of at least 1, or a method for which the measure is
                not defined.
            RunError: A training or a generation failed.
        """
        for name, value in request.options.items():
            if name not in self.options:
                near = difflib.get_close_matches(name, self.options, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(self.options)}."
                raise InputError(f"measure: unknown option {name!r}; {hint}")
            if (value is None and self.options[name] is None) or (type(value) is int and value >= 1):
                continue
            raise InputError(f"measure: {name} is {value!r}; give a whole number of at least 1.")
        return self.measure(request, {**self.options, **request.options})
