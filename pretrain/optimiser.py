"""AdamW on fp32 master weights, with warm-up, cosine decay and clipping; the model itself may be bf16."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch


class MasterAdamW:
    """AdamW whose parameters are fp32 copies of the model's, written back after every step.

    parameters: name -> parameter of the model, fp32 or bf16; a bf16 parameter is the rounded master.
    shares: part of a name -> share of the learning rate of the parameters that have it in their name; 0 freezes them.
    Every step's learning rate depends on the step alone, so a resumed run repeats an uninterrupted one.
    """

    def __init__(
        self,
        parameters: Mapping[str, torch.nn.Parameter],
        *,
        learning_rate: float,
        final_rate: float,
        steps: int,
        warmup: int,
        weight_decay: float,
        shares: Mapping[str, float] | None = None,
    ) -> None:
        self.parameters = dict(parameters)
        self.masters = {name: p.detach().float().clone() for name, p in self.parameters.items()}
        groups: dict[tuple[float, float], list[torch.Tensor]] = {}
        for name, master in self.masters.items():
            share = next((share for part, share in (shares or {}).items() if part in name), 1.0)
            groups.setdefault((share, weight_decay if master.ndim > 1 else 0.0), []).append(master)
        self.adam = torch.optim.AdamW(
            [{"params": group, "share": share, "weight_decay": decay} for (share, decay), group in groups.items()],
            lr=learning_rate,
            betas=(0.9, 0.98),
            foreach=True,
        )
        self.learning_rate, self.final_rate = learning_rate, final_rate
        self.steps, self.warmup = steps, warmup

    def rate(self, step: int) -> float:
        """Return the learning rate of `step` (from 0)."""
        progress = min(1.0, step / self.steps)
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        decayed = self.final_rate + (self.learning_rate - self.final_rate) * cosine
        return decayed * min(1.0, (step + 1) / max(1, self.warmup))

    def step(self, step: int) -> None:
        """Apply the gradients that the model holds, then clear them."""
        for group in self.adam.param_groups:
            group["lr"] = self.rate(step) * group["share"]
        for name, parameter in self.parameters.items():
            gradient = parameter.grad
            self.masters[name].grad = None if gradient is None else gradient.float()
        torch.nn.utils.clip_grad_norm_(self.masters.values(), 1.0)
        self.adam.step()
        self.write_back()
        for parameter in self.parameters.values():
            parameter.grad = None

    @torch.no_grad()
    def write_back(self) -> None:
        """Copy the masters into the model's parameters."""
        for name, parameter in self.parameters.items():
            parameter.copy_(self.masters[name])

    def load(self, masters: Mapping[str, torch.Tensor], state: dict[str, Any]) -> None:
        """Continue from the masters and the Adam state of a checkpoint."""
        with torch.no_grad():
            for name, master in self.masters.items():
                master.copy_(masters[name])
        self.adam.load_state_dict(state)
        self.write_back()
