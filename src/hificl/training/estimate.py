"""What a training run would do, before it does it: targets, parameters, tokens, steps, memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from peft import PeftConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from hificl.adapters.stored import new_adapter
from hificl.backbones import Backbone
from hificl.data import Example
from hificl.training.holdout import split_holdout
from hificl.training.recipes import Recipe
from hificl.training.request import resolve
from hificl.training.samples import EncodedExamples
from hificl.training.session import count_trainable
from hificl.tuner.redirect import SIDECAR

ACTIVATIONS_PER_TOKEN = 17
"""Values of hidden size that a decoder layer keeps per token for the backward pass (Korthikanti et al.,
arXiv:2205.05198, section 4.1: 34 bytes in 16-bit, without the attention matrix)."""


@dataclass(frozen=True)
class Plan:
    """What ``train`` would do with the same arguments."""

    method: str
    """Name of the method."""

    targets: tuple[str, ...]
    """Full names of the modules that get a part of the adapter."""

    trainable_parameters: int
    """Number of parameters that would be trained."""

    base_parameters: int
    """Number of parameters of the frozen base."""

    examples: int
    """Number of examples to train on, without those held out."""

    held_out: int
    """Number of examples kept aside to choose the epoch."""

    tokens: dict[str, float]
    """Tokens per sample, answer included: ``min``, ``mean`` and ``max``."""

    steps: int
    """Number of optimiser steps."""

    memory_bytes: int
    """Rough size of weights, adapter with its optimiser state, and activations of one micro batch."""

    recipe: Recipe
    """All numbers of the run."""

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return asdict(self)


def plan(
    backbone: Backbone,
    examples: Sequence[Example],
    *,
    method: str | PeftConfig = "hificl",
    recipe: str = "default",
    seed: int = 0,
    **overrides: Any,
) -> Plan:
    """Return what ``train`` would do, without writing anything or running the model.

    Args:
        backbone: As for ``train``.
        examples: As for ``train``; all are encoded, so that whatever ``train`` would refuse is refused here.
        method: As for ``train``.
        recipe: As for ``train``.
        seed: As for ``train``.
        **overrides: As for ``train``.

    Raises:
        InputError: As for ``train``.
    """
    request = resolve(backbone, method, recipe, overrides)
    encoded = EncodedExamples(backbone, examples, kept_bytes=0)
    training, held = split_holdout(len(examples), request.recipe.holdout, seed)
    model = new_adapter(backbone, request.config)
    trainable = count_trainable(model)
    lengths = encoded.lengths
    return Plan(
        method=request.method,
        targets=_targets(model),
        trainable_parameters=trainable,
        base_parameters=sum(parameter.numel() for parameter in backbone.model.parameters()),
        examples=len(training),
        held_out=len(held),
        tokens={"min": min(lengths), "mean": sum(lengths) / len(lengths), "max": max(lengths)},
        steps=request.recipe.total_steps(len(training)),
        memory_bytes=_memory(backbone, trainable, max(lengths) * request.recipe.micro_batch_size),
        recipe=request.recipe,
    )


def _targets(model: nn.Module) -> tuple[str, ...]:
    """Names of the adapted modules in the base model: PEFT puts two levels above it, and a sidecar lies one below."""
    names = [name for name, module in model.named_modules() if isinstance(module, BaseTunerLayer)]
    return tuple(name.removeprefix("base_model.model.").removesuffix(f".{SIDECAR}") for name in names)


def _memory(backbone: Backbone, trainable: int, tokens: int) -> int:
    """Weights as they are; adapter, gradient and two moments in float32; activations; logits of the answers aside."""
    weights = sum(parameter.numel() * parameter.element_size() for parameter in backbone.model.parameters())
    text = backbone.text_config
    element = backbone.model.dtype.itemsize
    activations = tokens * text.num_hidden_layers * text.hidden_size * ACTIVATIONS_PER_TOKEN * element
    return weights + 16 * trainable + activations
