"""The mean of an adapter's weights over the last steps: it lies where single steps only scatter around."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

MEAN = "mean.safetensors"
"""Name of the file of a checkpoint that holds the mean so far."""

_COUNT = "steps in the mean"


class MeanOfLastSteps(TrainerCallback):
    """Keeps the mean of the trained parameters in float32, over the last steps of a run.

    Args:
        model: Its parameters that need a gradient are averaged.
        steps: Optimiser steps of the run.
        share: Share of them, the last ones, that count; at least the last step does.
    """

    def __init__(self, model: nn.Module, steps: int, share: float) -> None:
        self.parameters = {name: one for name, one in model.named_parameters() if one.requires_grad}
        self.after = steps - math.ceil(round(share * steps, 9))
        self.mean: dict[str, Tensor] = {}
        self.count = 0

    @torch.no_grad()
    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Take the step into the mean, if it is one of the last."""
        if state.global_step <= self.after:
            return
        self.count += 1
        for name, parameter in self.parameters.items():
            mean = self.mean.setdefault(name, torch.zeros_like(parameter, dtype=torch.float32))
            mean += (parameter.float() - mean) / self.count

    def save(self, checkpoint: Path) -> None:
        """Write the mean so far beside a checkpoint's other files; nothing before the first step that counts."""
        if self.count:
            save_file({**self.mean, _COUNT: torch.tensor(self.count)}, checkpoint / MEAN)

    def load(self, checkpoint: Path) -> None:
        """Go on with the mean of a checkpoint."""
        file = checkpoint / MEAN
        self.mean = load_file(file) if file.is_file() else {}
        self.count = int(self.mean.pop(_COUNT)) if self.mean else 0
        devices = {name: parameter.device for name, parameter in self.parameters.items()}
        self.mean = {name: one.to(devices[name]) for name, one in self.mean.items()}

    @torch.no_grad()
    def apply(self) -> None:
        """Give the model the mean."""
        for name, mean in self.mean.items():
            self.parameters[name].copy_(mean)
