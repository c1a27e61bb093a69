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
from hificl.methods.fitting import Fitting
from hificl.training.finished import count_stored, count_trainable
from hificl.training.holdout import split_holdout
from hificl.training.lessons import visits_of
from hificl.training.recipes import Recipe, is_fitted, recipe_values
from hificl.training.request import check_method, prompted, resolve_for
from hificl.training.samples import EncodedExamples, check_examples
from hificl.tuner.sidecar import Sidecar

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
    """Number of parameters that would be trained, or learned by a fit."""

    stored_parameters: int
    """Number of values that the adapter's file would hold; for a fitted method, before it chose layer or heads."""

    base_parameters: int
    """Number of parameters of the frozen base."""

    examples: int
    """Number of examples to train on, without those held out."""

    held_out: int
    """Number of examples kept aside to choose the epoch, or what a fitted method chooses."""

    tokens: dict[str, float]
    """Tokens per sample, answer included: ``min``, ``mean`` and ``max``."""

    steps: int
    """Number of optimiser steps; 0 for a fitted method."""

    memory_bytes: int
    """Rough size of weights, adapter with its optimiser state, and activations of one micro batch."""

    recipe: Recipe
    """All numbers of the run."""

    start: str | None = None
    """What the adapter starts from, where it is not random."""

    @property
    def is_fitted(self) -> bool:
        """Whether values are computed instead of trained."""
        return is_fitted(self.method)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return {**asdict(self), "recipe": recipe_values(self.method, self.recipe)}


def plan(
    backbone: Backbone,
    examples: Sequence[Example],
    *,
    method: str | PeftConfig = "hificl",
    recipe: str = "default",
    seed: int = 0,
    **overrides: Any,
) -> Plan:
    """Return what ``train`` would do, without writing anything or training.

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
    check_examples(examples)
    request = resolve_for(backbone, examples, method, recipe, overrides, seed)
    backbone = prompted(backbone, request)
    training, held = split_holdout(len(examples), request.recipe.holdout, seed)
    steps = 0 if request.is_fitted else request.recipe.total_steps(len(training))
    parts = [EncodedExamples(backbone, [examples[index] for index in part], 0) for part in (training, held) if part]
    visits_of(parts[0], request.recipe, steps, seed)
    fitted_to, chosen_by = ([examples[index] for index in part] for part in (training, held))
    check_method(request, Fitting(backbone, fitted_to, chosen_by, request.recipe.metric, seed))
    lengths = [length for part in parts for length in part.lengths]
    model = new_adapter(backbone, request.config)
    trainable = count_trainable(model)
    return Plan(
        method=request.method,
        targets=_targets(model),
        trainable_parameters=trainable,
        stored_parameters=count_stored(model),
        base_parameters=sum(parameter.numel() for parameter in backbone.model.parameters()),
        examples=len(training),
        held_out=len(held),
        tokens={"min": min(lengths), "mean": sum(lengths) / len(lengths), "max": max(lengths)},
        steps=steps,
        memory_bytes=_memory(backbone, trainable, max(lengths), request.recipe),
        recipe=request.recipe,
        start=starts_from(request.config),
    )


def starts_from(config: Any) -> str | None:
    """Say what an adapter of this config starts from; None for random values."""
    if getattr(config, "init", "random") != "demonstrations":
        return None
    captures = f"{config.init_captures} times " if config.init_captures > 1 else ""
    return f"{captures}{config.init_shots} demonstrations"


def _targets(model: nn.Module) -> tuple[str, ...]:
    """Names of the adapted modules in the base model: PEFT puts two levels above it, and a sidecar lies one below."""
    found: dict[str, None] = {}
    for name, module in model.named_modules():
        if isinstance(module, BaseTunerLayer):
            own = name.rpartition(".")[0] if isinstance(module, Sidecar) else name
            found[own.removeprefix("base_model.model.")] = None
    return tuple(found)


def _memory(backbone: Backbone, trainable: int, longest: int, recipe: Recipe) -> int:
    """Weights as they are; adapter, gradient and two moments in float32; activations; logits of the answers aside."""
    weights = sum(parameter.numel() * parameter.element_size() for parameter in backbone.model.parameters())
    text = backbone.text_config
    layers = text.num_hidden_layers
    # A layer that is computed again keeps its input alone, and one layer at a time is there in full.
    kept = layers + ACTIVATIONS_PER_TOKEN if recipe.gradient_checkpointing else layers * ACTIVATIONS_PER_TOKEN
    tokens = longest * recipe.micro_batch_size
    return weights + 16 * trainable + tokens * text.hidden_size * kept * backbone.model.dtype.itemsize
