"""In-context vectors: the main direction from question to answer, added after every MLP without changing the norm.

Liu et al., "In-context Vectors", arXiv:2311.06668.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from hificl.backbones import Backbone, Encoded
from hificl.methods.activations import last_token_activations, without_answer
from hificl.methods.fitting import Fitted, Fitting, check_counts, check_factor
from hificl.tuner.config import HiFICLPeftType, registered
from hificl.tuner.intervention import Call, Intervention, InterventionConfig
from hificl.tuner.intervention_model import interventions
from hificl.tuner.places import Place, find_places


@registered
@dataclass
class ICVConfig(InterventionConfig):
    """Shift the output of every MLP towards a stored direction, at all tokens of all steps, and keep its norm.

    Trains nothing; stores L D numbers.

    Args:
        scale: Strength of the shift, the paper's lambda. 0.1 is what the authors use; their parser's default is 0.8.
        demonstrations: Examples whose change from question to answer is looked at, each twice on its own. The authors
            take the few that would fit into a prompt; more cost little and estimate the direction better.
        layers_to_transform: Layers to act in; all by default.

    Source:
        Liu et al. and their code. With images, source and target share them: x is the prompt of image and question, y
        the same with the answer. States are taken after each layer and before the first one; the authors' last one
        has passed the final norm as well.
    """

    kind: ClassVar[HiFICLPeftType] = HiFICLPeftType.ICV
    sites: ClassVar[tuple[str, ...]] = ("mlp_output",)

    scale: float = field(default=0.1, metadata={"help": "strength of the shift (lambda)"})
    demonstrations: int = field(default=100, metadata={"help": "examples that the direction is taken from"})

    def __post_init__(self) -> None:
        """Refuse what no direction can have."""
        super().__post_init__()
        check_counts(self, "demonstrations")
        check_factor(self, "scale")

    def build(self, place: Place) -> Intervention:
        """Return the shift of one layer."""
        return InContextVector(place, self.scale)


class InContextVector(Intervention):
    """``x <- |x| n(n(x) + scale * (1 + max(0, cos(x, -v))) * n(v))``, with n(x) = x / |x|.

    ``shift_vector`` [hidden], float32, is zero until it is fitted.
    """

    shift_vector: Tensor

    def __init__(self, place: Place, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("shift_vector", torch.zeros(place.hidden, dtype=torch.float32))

    def forward(self, activation: Tensor, call: Call) -> Tensor:
        """Shift [batch queries hidden] in float32; float64 stays as it is."""
        wide = activation.to(torch.promote_types(activation.dtype, torch.float32))
        unit, direction = normalize(wide, dim=-1), normalize(self.shift_vector.to(wide.dtype), dim=-1)
        against = (unit * -direction).sum(dim=-1).clamp(min=0)  # autocast would round a matrix product
        shifted = unit + self.scale * (1 + against)[..., None] * direction
        return (wide.norm(dim=-1, keepdim=True) * normalize(shifted, dim=-1)).to(activation.dtype)


def peft_config(backbone: Backbone, options: Mapping[str, Any]) -> ICVConfig:
    """Return the defaults with ``options`` on top."""
    return ICVConfig(**options)


def fit(fitting: Fitting, config: ICVConfig) -> Fitted:
    """Take the direction from question to answer out of a few examples.

    Raises:
        InputError: A sequence is too long for the context.
    """
    model = fitting.new_model(config)
    targets = [fitting.ask(one, model=model) for one in fitting.draw(config.demonstrations, "demonstrations")]
    sources = [without_answer(one) for one in targets]
    change = hidden_states(fitting, targets) - hidden_states(fitting, sources)
    vectors, share = main_direction(change)
    for (_, layer), intervention in interventions(model).items():
        assert isinstance(intervention, InContextVector)
        intervention.shift_vector.copy_(vectors[1 + layer])  # row 0 is the state before the first layer
    return Fitted(model, {"demonstrations": len(targets), "share_of_variance": share})


def main_direction(change: Tensor) -> tuple[Tensor, float]:
    """Return the mean plus the first principal component of some changes; the mean alone where they do not vary.

    Args:
        change: [examples layers hidden]; the component is one of all layers together.

    Returns:
        The direction [layers hidden], and the share of the variance that the component explains (0 without any).
    """
    flat = change.flatten(start_dim=1)
    mean = flat.mean(dim=0)
    left, sizes, right = torch.linalg.svd(flat - mean, full_matrices=False)
    if sizes[0] <= len(flat) * torch.finfo(flat.dtype).eps * flat.norm():  # nothing but the rounding of the mean
        return mean.view(change.shape[1:]), 0.0
    # A component has no sign of its own: the example that weighs most in it gets a positive weight.
    sign = left[:, 0][left[:, 0].abs().argmax()].sign()
    share = float(sizes[0] ** 2 / (sizes**2).sum().clamp(min=torch.finfo(sizes.dtype).tiny))
    return (mean + sign * right[0]).view(change.shape[1:]), share


def hidden_states(fitting: Fitting, sequences: Sequence[Encoded]) -> Tensor:
    """Return the states of the residual stream at the last token, before and after each layer.

    Returns:
        [sequences layers+1 hidden], float32.
    """
    base = fitting.backbone
    first = base.model.get_submodule(find_places(base.model, "residual")[0].name)
    entering: list[Tensor] = []

    def keep(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hidden = args[0] if args else kwargs["hidden_states"]
        entering.append(hidden[:, -1].float().cpu())

    handle = first.register_forward_pre_hook(keep, with_kwargs=True)
    try:
        leaving = last_token_activations(base, base.model, sequences, "residual")
    finally:
        handle.remove()
    return torch.cat([torch.cat(entering)[:, None], leaving], dim=1)
