"""Replace the outputs of chosen heads at the last tokens: what MTV does, and how function vectors find their heads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from hificl.errors import InputError
from hificl.tuner.hooks import on_place
from hificl.tuner.places import Place


def check_heads(config: Any) -> None:
    """Refuse ``heads`` that are not pairs of indices.

    Raises:
        InputError: With the name of the config and the pair.
    """
    for pair in config.heads or ():
        if len(pair) != 2 or not all(isinstance(index, int) and index >= 0 for index in pair):
            raise InputError(
                f"{type(config).__name__}: heads has {pair!r}; each must be [layer, head], counted from 0, or None "
                "for all to let the fit choose."
            )


def check_heads_exist(config: Any, places: Sequence[Place], layers: Sequence[int] | None = None) -> None:
    """Refuse ``heads`` that a model does not have, or that stand in other layers than those that are to change.

    Args:
        config: Of the method.
        places: Those of one site, one for each layer.
        layers: Layers in which heads may be named; all by default.

    Raises:
        InputError: With the name of the config, the pair and the sizes of the model.
    """
    for layer, head in config.heads or ():
        if layer >= len(places):
            raise InputError(
                f"{type(config).__name__}: heads has {[layer, head]}, and the text decoder has {len(places)} layers "
                f"with self-attention; layers go from 0 to {len(places) - 1}."
            )
        if head >= places[layer].heads:
            raise InputError(
                f"{type(config).__name__}: heads has {[layer, head]}, and layer {layer} has {places[layer].heads} "
                f"heads; they go from 0 to {places[layer].heads - 1}."
            )
        if layers is not None and layer not in layers:
            raise InputError(
                f"{type(config).__name__}: heads has {[layer, head]}, and layers_to_transform="
                f"{config.layers_to_transform!r} leaves layer {layer} out; name it there, or leave the head out."
            )


def replaced_heads(head_output: Tensor, means: Tensor, mask: Tensor, positions: int = 1) -> Tensor:
    """Put means in the place of some heads' outputs at the last token, or at the last few.

    Args:
        head_output: [batch queries heads value_dim].
        means: [heads value_dim].
        mask: True where a head is replaced, [heads] or [batch heads].
        positions: How many positions, counted from the right end.

    Returns:
        A new tensor of the shape and dtype of ``head_output``, which differs at these positions only.
    """
    before, last = head_output[:, :-positions], head_output[:, -positions:]
    last = torch.where(mask.unsqueeze(-2).unsqueeze(-1), means.to(head_output), last)
    return torch.cat([before, last], dim=1)


class HeadReplacement:
    """While entered, every forward of a model replaces the heads that :attr:`masks` names, each row its own.

    Args:
        model: Any model with a text decoder.
        places: Places of the site ``"head_output"``.
        means: What the heads put out instead, [places heads value_dim].
    """

    def __init__(self, model: nn.Module, places: Sequence[Place], means: Tensor) -> None:
        self.model, self.places, self.means = model, places, means
        self.masks: Tensor | None = None
        """Which heads are replaced in which row, bool [rows places heads]; None replaces none."""
        self.positions = 1
        """At how many positions, counted from the right end."""
        self.handles: list[Any] = []

    def __enter__(self) -> HeadReplacement:
        self.handles = [
            on_place(self.model, place, partial(self._replace, index)) for index, place in enumerate(self.places)
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self.handles:
            handle.remove()

    def _replace(self, index: int, head_output: Tensor) -> Tensor | None:
        if self.masks is None:
            return None
        mask = self.masks[:, index].to(head_output.device)
        return replaced_heads(head_output, self.means[index], mask, self.positions)
