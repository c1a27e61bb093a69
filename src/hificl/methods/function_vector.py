"""Function vectors: what the heads that carry the task write into the residual stream, added at one layer.

Todd et al., "Function Vectors in Large Language Models", arXiv:2310.15213.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from hificl.backbones import Backbone, Encoded
from hificl.errors import InputError
from hificl.evaluation.progress import Progress
from hificl.methods.activations import (
    answer_starts,
    last_token_activations,
    losses_with_replaced_heads,
    without_answer,
)
from hificl.methods.fitting import Fitted, Fitting, check_counts, check_factor
from hificl.methods.head_replacement import HeadReplacement, check_heads, check_heads_exist
from hificl.methods.residual_vector import ResidualVector, ResidualVectorConfig, at_best_layer
from hificl.tuner.config import HiFICLPeftType, registered
from hificl.tuner.hooks import on_place
from hificl.tuner.intervention import Call, Intervention
from hificl.tuner.places import Place, find_places


@registered
@dataclass
class FunctionVectorConfig(ResidualVectorConfig):
    """Add a stored vector of D numbers to the residual stream after one layer, at the last token of every forward.

    Trains nothing; stores D (the hidden size).

    Args:
        layer: The layer, from 0. None: the fit tries all of them and writes the best one here.
        shots: Demonstrations per prompt. The paper has 10 of a line each; prompts with images take 4 to 8.
        prompts: Prompts over which the output of each head is averaged.
        only_correct: Leave out of the averages the prompts that the model does not begin to answer correctly, as
            in the paper (if it answers none, all are taken). The published code filters its validation set instead.
        shuffled_prompts: Prompts with shuffled answers on which the effect of each head is measured.
        num_heads: Heads that make up the vector; 10 in the published code for a model of 6 billion parameters, more
            for larger ones in the paper.
        heads: The heads as [layer, head] pairs. None: the fit finds them and writes them here.
        budget: Most forward passes of the search for heads, a row counted as one: L H for each shuffled prompt. Below
            the published number (25 L H) fewer prompts are used, never less than one. None: no bound.
        scale: Factor on the vector.
        held_out_examples: Most held-out examples that score a layer. The paper puts the vector near L/3 or sweeps.
        layers_to_transform: Layers whose heads are searched, and that the vector may be put at; all by default.

    Source:
        Todd et al. and their code. A head is ranked by the probability of the right first answer token with its output
        replaced by the average; the probability without replacement, which they subtract, is the same for all heads.
    """

    kind: ClassVar[HiFICLPeftType] = HiFICLPeftType.FUNCTION_VECTOR

    only_correct: bool = field(default=True, metadata={"help": "average over correctly answered prompts only"})
    shuffled_prompts: int = field(default=25, metadata={"help": "prompts that measure the effect of heads"})
    num_heads: int = field(default=10, metadata={"help": "heads that make up the vector"})
    heads: list[list[int]] | None = field(default=None, metadata={"help": "[layer, head] pairs; None: found"})
    budget: int | None = field(default=None, metadata={"help": "most forward passes of the head search"})
    scale: float = field(default=1.0, metadata={"help": "factor on the vector"})

    def __post_init__(self) -> None:
        """Refuse what no function vector can have."""
        super().__post_init__()
        check_counts(self, "shuffled_prompts", "num_heads", *(() if self.budget is None else ("budget",)))
        check_heads(self)
        check_factor(self, "scale")

    def check(self, places: Sequence[Place]) -> None:
        """Refuse a layer or heads that the model does not have."""
        super().check(places)
        check_heads_exist(self, places)

    def build(self, place: Place) -> Intervention | None:
        """Return the addition at the layer, None elsewhere."""
        return FunctionVector(place.hidden, self.scale) if self.acts_in(place.layer) else None


class FunctionVector(ResidualVector):
    """``h[-1] <- h[-1] + scale * FV``, in the prefill and in every later step."""

    def __init__(self, hidden: int, scale: float) -> None:
        super().__init__(hidden)
        self.scale = scale

    def forward(self, activation: Tensor, call: Call) -> Tensor:
        """Add to the last position of [batch queries hidden]; the sum is taken in float32."""
        last = (activation[:, -1:] + self.scale * self.residual_vector).to(activation.dtype)
        return torch.cat([activation[:, :-1], last], dim=1)


def peft_config(backbone: Backbone, options: Mapping[str, Any]) -> FunctionVectorConfig:
    """Return the defaults with ``options`` on top."""
    return FunctionVectorConfig(**options)


def fit(fitting: Fitting, config: FunctionVectorConfig) -> Fitted:
    """Average the heads over prompts, find the heads that restore the task, sum what they write, choose the layer.

    Raises:
        InputError: A layer or head that there is not, a budget below one pass per head, more heads than there are, too
            few examples for the shots, a prompt that is too long, or nothing held out to choose by.
    """
    fitting.check(config)
    base = fitting.backbone
    number = 0 if config.heads is not None else _affordable_prompts(fitting, config)
    prompts = fitting.prompts(config.prompts, config.shots, "head averages")
    correct = answer_starts(base, base.model, prompts).greedy.tolist()
    used = [one for one, right in zip(prompts, correct, strict=True) if right or not config.only_correct] or prompts
    plain = [without_answer(one) for one in used]
    means = last_token_activations(base, base.model, plain, "head_output").mean(dim=0)
    heads, search = (config.heads, {}) if config.heads is not None else _find_heads(fitting, config, means, number)
    vector = sum_of_heads(fitting, means, heads, plain[0])
    model, report = at_best_layer(fitting, replace(config, heads=heads), vector.expand(len(means), -1))
    counts = {"prompts": len(prompts), "correct_prompts": sum(correct), "averaged_prompts": len(used)}
    return Fitted(model, {**report, **counts, "heads": heads, **search})


def _affordable_prompts(fitting: Fitting, config: FunctionVectorConfig) -> int:
    """Return how many prompts the search may use, each with one forward pass per head."""
    heads = sum(place.heads for place in fitting.places(config, "head_output"))
    if config.num_heads > heads:
        raise InputError(
            f"function_vector: num_heads is {config.num_heads} and the layers to search have {heads} heads; lower it."
        )
    if config.budget is None:
        return config.shuffled_prompts
    if config.budget < heads:
        raise InputError(
            f"function_vector: the budget of {config.budget} forward passes is below the {heads} of one prompt, one "
            f"per head; give at least {heads}, or search fewer layers with layers_to_transform."
        )
    return min(config.shuffled_prompts, config.budget // heads)


def _find_heads(
    fitting: Fitting, config: FunctionVectorConfig, means: Tensor, number: int
) -> tuple[list[list[int]], dict[str, Any]]:
    """Rank heads by how likely the right answer gets when each alone puts out its average.

    Args:
        fitting: Draws the prompts.
        config: Says which layers are searched, and how many heads are wanted.
        means: Average output of every head, [layers heads head_dim].
        number: Prompts with shuffled answers.

    Returns:
        The best heads as [layer, head], best first, and what the report says about them.
    """
    places = fitting.places(config, "head_output")
    layers = [place.layer for place in places]
    one_head_each = torch.eye(means[layers].shape[:2].numel(), dtype=torch.bool).unflatten(1, means[layers].shape[:2])
    prompts = fitting.prompts(number, config.shots, "shuffled", shuffled=True)
    likely = torch.zeros(len(one_head_each), dtype=torch.float64)
    base = fitting.backbone
    with (
        HeadReplacement(base.model, places, means[layers]) as replacement,
        Progress(number * len(one_head_each), "heads", unit="forward") as progress,
    ):
        for prompt in prompts:
            likely += losses_with_replaced_heads(base, replacement, prompt, one_head_each).neg().exp() / number
            progress.advance(len(one_head_each))
    best = likely.argsort(descending=True, stable=True)[: config.num_heads].tolist()
    heads = [[layers[index // means.shape[1]], index % means.shape[1]] for index in best]
    probabilities = [float(likely[index]) for index in best]
    passes = number * len(one_head_each)
    return heads, {"shuffled_prompts": number, "forward_passes": passes, "probabilities": probabilities}


def sum_of_heads(fitting: Fitting, means: Tensor, heads: Sequence[Sequence[int]], prompt: Encoded) -> Tensor:
    """Sum what the output projections make of the averages of some heads, without biases.

    The attention module is affine in its heads' outputs, whatever its projection is called: what it returns for these
    averages and zeros elsewhere, minus what it returns for zeros, is the part that is looked for. Two rows of one
    forward pass have it for all layers.

    Args:
        fitting: Its backbone has the projections.
        means: Average output of every head, [layers heads head_dim].
        heads: The heads as [layer, head].
        prompt: Any prompt; nothing of it is left in the result.

    Returns:
        [hidden], float32.
    """
    base = fitting.backbone
    chosen = torch.zeros_like(means)
    for layer, head in heads:
        chosen[layer, head] = means[layer, head]
    rows = torch.stack([torch.zeros_like(chosen), chosen])
    handles = [
        on_place(base.model, place, partial(_instead, rows[:, place.layer]))
        for place in find_places(base.model, "head_output")
    ]
    try:
        written = last_token_activations(base, base.model, [prompt, prompt], "attention_output", batch_size=2)
    finally:
        for handle in handles:
            handle.remove()
    return (written[1] - written[0]).sum(dim=0)


def _instead(rows: Tensor, head_output: Tensor) -> Tensor:
    """Give every position of row b the heads ``rows[b]`` [heads head_dim]."""
    return rows[:, None].to(head_output).expand_as(head_output)
