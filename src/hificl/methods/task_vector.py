"""Task vectors: the state at the end of prompts with demonstrations takes the place of the query's own.

Hendel et al., "In-Context Learning Creates Task Vectors", arXiv:2310.15916.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from hificl.backbones import Backbone
from hificl.methods.activations import last_token_activations, without_answer
from hificl.methods.fitting import Fitted, Fitting
from hificl.methods.residual_vector import ResidualVector, ResidualVectorConfig, at_best_layer
from hificl.tuner.config import HiFICLPeftType, registered
from hificl.tuner.intervention import Call, Intervention
from hificl.tuner.places import Place


@registered
@dataclass
class TaskVectorConfig(ResidualVectorConfig):
    """Replace the residual stream after one layer, at the last prompt token, by a stored vector of D numbers.

    Trains nothing; stores D (the hidden size).

    Args:
        layer: The layer, from 0. None: the fit tries all of them and writes the best one here.
        shots: Demonstrations per prompt that the vector is taken from.
        prompts: Prompts whose states are averaged, each with demonstrations and a dummy query of its own.
        held_out_examples: Most held-out examples that score a layer. The published code takes 50.
        layers_to_transform: Layers that the fit may choose from; all by default.

    Source:
        Hendel et al. and their code: 50 development examples, one prediction of one token. There a vector comes from
        one demonstration set and two dummy queries, or from the average over several sets; the latter is what is done
        here, with image and question of a random training example as the dummy query. An answer of several tokens
        goes on from the patched cache, as in its ports to multimodal models.
    """

    kind: ClassVar[HiFICLPeftType] = HiFICLPeftType.TASK_VECTOR

    def build(self, place: Place) -> Intervention | None:
        """Return the replacement at the layer, None elsewhere."""
        return TaskVector(place.hidden) if self.acts_in(place.layer) else None


class TaskVector(ResidualVector):
    """``h[-1] <- theta``, in the forward that reads the prompt; later steps find it in the cache."""

    def forward(self, activation: Tensor, call: Call) -> Tensor:
        """Replace the last position of [batch queries hidden] in the first forward of a generation."""
        if not call.is_prefill:
            return activation
        last = self.residual_vector.to(activation.dtype).expand(activation.shape[0], 1, -1)
        return torch.cat([activation[:, :-1], last], dim=1)


def peft_config(backbone: Backbone, options: Mapping[str, Any]) -> TaskVectorConfig:
    """Return the defaults with ``options`` on top."""
    return TaskVectorConfig(**options)


def fit(fitting: Fitting, config: TaskVectorConfig) -> Fitted:
    """Average the last-token states of prompts with demonstrations and choose the layer.

    Raises:
        InputError: A layer that there is not, too few examples for the shots, a prompt that is too long, or nothing
            held out to choose by.
    """
    fitting.check(config)
    base = fitting.backbone
    prompts = [without_answer(one) for one in fitting.prompts(config.prompts, config.shots, "task vector")]
    states = last_token_activations(base, base.model, prompts, "residual").mean(dim=0)
    model, report = at_best_layer(fitting, config, states)
    return Fitted(model, {**report, "prompts": len(prompts)})
