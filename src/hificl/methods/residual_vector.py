"""What task vectors and function vectors share: one vector at one layer of the residual stream, and its choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from peft import PeftModel
from torch import Tensor

from hificl.errors import InputError
from hificl.methods.fitting import Fitting, check_counts
from hificl.tuner.intervention import Intervention, InterventionConfig
from hificl.tuner.intervention_model import interventions
from hificl.tuner.places import Place


@dataclass
class ResidualVectorConfig(InterventionConfig):
    """The options that both have; see the configs derived from it."""

    sites: ClassVar[tuple[str, ...]] = ("residual",)

    layer: int | None = field(default=None, metadata={"help": "where it acts; None: chosen by the fit"})
    shots: int = field(default=4, metadata={"help": "demonstrations per prompt"})
    prompts: int = field(default=100, metadata={"help": "prompts whose activations are averaged"})
    held_out_examples: int = field(default=50, metadata={"help": "most held-out examples that score a layer"})

    def __post_init__(self) -> None:
        """Refuse what no vector can have."""
        super().__post_init__()
        check_counts(self, "shots", "prompts", "held_out_examples")
        layer = self.layer
        if layer is not None and (isinstance(layer, bool) or not isinstance(layer, int) or layer < 0):
            raise InputError(f"{type(self).__name__}: layer is {layer!r}; give an index from 0, or None to choose it.")

    def check(self, places: Sequence[Place]) -> None:
        """Refuse a layer that the model does not have, or that the config itself leaves out."""
        super().check(places)
        if self.layer is None:
            return
        if self.layer >= len(places):
            raise InputError(
                f"{type(self).__name__}: layer is {self.layer}, and the text decoder has {len(places)} layers with "
                f"self-attention; give one from 0 to {len(places) - 1}, or None to choose it."
            )
        if self.layer not in (self.layers() or [self.layer]):
            raise InputError(
                f"{type(self).__name__}: layer is {self.layer}, and layers_to_transform={self.layers_to_transform!r} "
                "leaves it out; give one of these, or leave layers_to_transform out."
            )

    def acts_in(self, layer: int) -> bool:
        """Say whether the vector stands at a layer; before a fit has chosen one, at the first it may take."""
        return layer == (min(self.layers() or [0]) if self.layer is None else self.layer)


class ResidualVector(Intervention):
    """Holds ``residual_vector`` [hidden], float32, zero until it is fitted."""

    residual_vector: Tensor

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.register_buffer("residual_vector", torch.zeros(hidden, dtype=torch.float32))


def at_best_layer(fitting: Fitting, config: ResidualVectorConfig, vectors: Tensor) -> tuple[PeftModel, dict[str, Any]]:
    """Put a vector at each layer in turn and keep the layer with the highest held-out score, the earliest among equals.

    Args:
        fitting: Scores on its held-out part.
        config: A ``layer`` that it names is taken without scoring.
        vectors: What to put at each layer, [layers hidden].

    Returns:
        The filled model, and for the report the layer and the score of each layer that was tried.

    Raises:
        InputError: Nothing is held out, and no layer is named.
    """
    if config.layer is not None:
        return _filled(fitting, config, vectors), {"layer": config.layer, "layer_scores": {}}
    asked = fitting.to_choose_by(config.held_out_examples)
    best: PeftModel | None = None
    chosen, scores = -1, dict[int, float]()
    for place in fitting.places(config, "residual"):
        model = _filled(fitting, replace(config, layer=place.layer), vectors)
        scores[place.layer] = fitting.score(model, asked)
        if best is None or scores[place.layer] > scores[chosen]:
            best, chosen = model, place.layer
    assert best is not None
    return best, {"layer": chosen, "layer_scores": {str(layer): score for layer, score in scores.items()}}


def _filled(fitting: Fitting, config: ResidualVectorConfig, vectors: Tensor) -> PeftModel:
    model = fitting.new_model(config)
    for (_, layer), intervention in interventions(model).items():
        assert isinstance(intervention, ResidualVector)
        intervention.residual_vector.copy_(vectors[layer])
    return model
