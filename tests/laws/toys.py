"""Two small methods that stand for all that act at places: one adds a trained vector, one sets the last position."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from peft.mapping import PEFT_TYPE_TO_PREFIX_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
from torch import Tensor, nn

from hificl.tuner import SITES, Call, Intervention, InterventionConfig, InterventionModel, Place, registered


class ToyType(str, enum.Enum):  # noqa: UP042  (as PEFT's own)
    """Their names in PEFT's tables."""

    SHIFT = "TOY_SHIFT"
    LAST = "TOY_LAST"


def activation_size(place: Place) -> tuple[int, ...]:
    """Return the axes of one token's activation at a place."""
    return (place.heads, place.head_dim) if place.site == "head_output" else (place.hidden,)


class Shift(Intervention):
    """Adds a trained vector."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.shift_vector = nn.Parameter(torch.randn(activation_size(place)) * 0.5)

    def forward(self, activation: Tensor, call: Call) -> Tensor:
        return activation + self.shift_vector.to(activation.dtype)


class LastState(Intervention):
    """Replaces the activation of the last token by an extracted one, in the first forward or in all."""

    not_stored = ("search_logits",)

    def __init__(self, place: Place, every_step: bool) -> None:
        super().__init__()
        self.every_step = every_step
        self.register_buffer("last_state", torch.randn(activation_size(place)))
        self.search_logits = nn.Parameter(torch.full((3,), -1.0))
        self.calls: list[bool] = []

    def forward(self, activation: Tensor, call: Call) -> Tensor:
        self.calls.append(call.is_prefill)
        if not (call.is_prefill or self.every_step):
            return activation
        state: Any = self.last_state
        replaced = activation.clone()
        replaced[:, -1] = state.to(activation.dtype)
        return replaced


@registered
@dataclass
class ShiftConfig(InterventionConfig):
    """``only``: the one site to act at; all four by default."""

    kind: ClassVar[Any] = ToyType.SHIFT
    sites: ClassVar[tuple[str, ...]] = SITES

    only: str | None = field(default=None)

    def build(self, place: Place) -> Intervention | None:
        return Shift(place) if self.only in (None, place.site) else None


@registered
@dataclass
class LastStateConfig(InterventionConfig):
    """``every_step``: act in every forward of a generation."""

    kind: ClassVar[Any] = ToyType.LAST
    sites: ClassVar[tuple[str, ...]] = ("residual",)

    every_step: bool = field(default=False)

    def build(self, place: Place) -> Intervention | None:
        return LastState(place, self.every_step)


for _kind in ToyType:
    _name: Any = _kind
    PEFT_TYPE_TO_TUNER_MAPPING[_name] = InterventionModel
    PEFT_TYPE_TO_PREFIX_MAPPING[_name] = InterventionModel.prefix
