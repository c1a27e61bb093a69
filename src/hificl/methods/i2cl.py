"""I2CL: mean activations of single demonstrations, mixed in by two learned numbers per module (arXiv:2405.14660)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from hificl.attention.kernels import wide
from hificl.tuner.config import HiFICLPeftType, registered
from hificl.tuner.intervention import Call, Intervention, InterventionConfig
from hificl.tuner.intervention_model import interventions

if TYPE_CHECKING:
    from peft import PeftModel

    from hificl.backbones import Backbone
    from hificl.methods.fitting import Fitting
    from hificl.tuner.places import Place

NOISE = 0.001
"""Noise of the calibration, as a share of the norm of what it is added to."""


class ContextMixture(Intervention):
    """Gives ``b * activation + a * context_vector`` at every position.

    ``context_vector`` [hidden] is extracted, not learned; ``mixture_weights`` holds the learned (a, b).

    Args:
        hidden: Size of the activation.
    """

    context_vector: Tensor

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.register_buffer("context_vector", torch.zeros(hidden))
        self.mixture_weights = nn.Parameter(torch.tensor([0.1, 1.0]))

    def forward(self, activation: Tensor, call: Call) -> Tensor:
        """Return ``activation`` [... hidden] mixed with the vector; in training with noise of a 1000th of its norm."""
        of_context, of_activation = self.mixture_weights.unbind()
        mixed = of_activation * wide(activation) + of_context * self.context_vector
        if self.training:
            norm = torch.linalg.vector_norm(mixed.detach(), dim=-1, keepdim=True)
            mixed = mixed + NOISE * norm * torch.randn_like(mixed)
        return mixed.to(activation.dtype)


@registered
@dataclass
class I2CLConfig(InterventionConfig):
    """Extract two vectors per layer and learn two numbers for each: ``4 L`` trained, ``2 L D + 4 L`` stored.

    Args:
        layers_to_transform: Indices of the layers to adapt; all by default.

    Source:
        Li et al., arXiv:2405.14660.
    """

    kind: ClassVar[HiFICLPeftType] = HiFICLPeftType.I2CL
    sites: ClassVar[tuple[str, ...]] = ("attention_output", "mlp_output")

    def build(self, place: Place) -> Intervention | None:
        """Return the mixture of one branch of one layer, its vector still zero."""
        return ContextMixture(place.hidden)


def peft_config(backbone: Backbone, options: Mapping[str, Any]) -> I2CLConfig:
    """Return a mixture after attention and one after the feed-forward of every layer, with ``options`` on top."""
    return I2CLConfig(**options)


def prepare(fitting: Fitting, model: PeftModel) -> dict[str, int]:
    """Fill the vectors of an adapter with what the frozen model computes on the demonstrations, before it is trained.

    Every example is run alone, question and answer. What attention and feed-forward give at its last token, before the
    residual is added, is averaged over the examples.

    Args:
        fitting: Its examples are the demonstrations; nothing is chosen by its held-out part.
        model: The backbone with the adapter on it.

    Returns:
        Report: ``demonstrations``, how many were run.
    """
    from hificl.methods.activations import last_token_activations

    shown = [fitting.ask(example, model=model) for example in fitting.examples]
    mixtures = interventions(model)
    for site in I2CLConfig.sites:
        means = last_token_activations(fitting.backbone, fitting.backbone.model, shown, site).mean(dim=0)
        for (acts_at, layer), mixture in mixtures.items():
            if acts_at == site and isinstance(mixture, ContextMixture):
                mixture.context_vector.copy_(means[layer])
    return {"demonstrations": len(shown)}
