"""Multimodal task vectors: mean outputs of heads, put in the place of those heads that a policy chose.

Huang et al., "Multimodal Task Vectors Enable Many-Shot Multimodal In-Context Learning", arXiv:2406.15334.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from hificl.backbones import Backbone, Encoded
from hificl.errors import InputError
from hificl.evaluation.progress import Progress
from hificl.methods.activations import (
    answer_losses_with_replaced_heads,
    last_token_activations,
    losses_with_replaced_heads,
    without_answer,
)
from hificl.methods.fitting import Fitted, Fitting, check_counts
from hificl.methods.head_replacement import HeadReplacement, check_heads, check_heads_exist, replaced_heads
from hificl.tuner.config import HiFICLPeftType, registered
from hificl.tuner.intervention import Call, Intervention, InterventionConfig
from hificl.tuner.intervention_model import interventions
from hificl.tuner.places import Place

INITIAL_LOGIT = -1.0
"""Where the logit of every head starts: it is replaced with probability 0.27."""


@registered
@dataclass
class MTVConfig(InterventionConfig):
    """Replace the outputs of chosen heads, before the output projection, at the last token of every forward.

    Trains L H logits, one per head, by REINFORCE; they are no part of the saved adapter. Stores the mean outputs of all
    heads, L H d numbers. The chosen heads stand in the config.

    Args:
        heads: The heads as [layer, head] pairs. None: the fit finds them and writes them here.
        shots: Demonstrations per prompt; 4 in the published code, for most tasks.
        prompts: Prompts over which the output of each head is averaged.
        pool: Training examples, asked without demonstrations, of which each step takes one.
        steps: Steps of the policy.
        masks: Sets of heads that are drawn and tried in a step.
        learning_rate: Of Adam on the logits.
        final_masks: Sets of heads drawn from the finished policy, of which the one with the lowest loss is kept.
        held_out_examples: Most held-out examples that measure that loss. The published code takes 50 training examples.
        least_probability: Heads below it are never drawn in the end; 0.8 in the published code for Idefics2.
        answer_tokens: ``"first"``: sets of heads are tried on the first answer token, as in the published code for
            questions. ``"all"``: on the mean over the answer and its end, as in its other form. The heads are replaced
            in every step, so a set that knows the first token may never end: where answers run on, take this.
        budget: Most forward passes of the search, a row counted as one: masks for each step, and final_masks for each
            held-out example. Below the published number (600 * 32 + 10 * 50) fewer steps are taken, never less than
            one. None: no bound.
        layers_to_transform: Layers whose heads may be replaced; all by default.

    Source:
        Huang et al. and their code, by default in its form for questions.
    """

    kind: ClassVar[HiFICLPeftType] = HiFICLPeftType.MTV
    sites: ClassVar[tuple[str, ...]] = ("head_output",)

    heads: list[list[int]] | None = field(default=None, metadata={"help": "[layer, head] pairs; None: found"})
    shots: int = field(default=4, metadata={"help": "demonstrations per prompt"})
    prompts: int = field(default=100, metadata={"help": "prompts whose head outputs are averaged"})
    pool: int = field(default=100, metadata={"help": "examples that the policy is tried on"})
    steps: int = field(default=600, metadata={"help": "steps of the policy"})
    masks: int = field(default=32, metadata={"help": "sets of heads tried in a step"})
    learning_rate: float = field(default=0.1, metadata={"help": "of Adam on the logits"})
    final_masks: int = field(default=10, metadata={"help": "sets drawn in the end, of which the best is kept"})
    held_out_examples: int = field(default=50, metadata={"help": "most held-out examples that choose among them"})
    least_probability: float = field(default=0.0, metadata={"help": "heads below it are not drawn in the end"})
    answer_tokens: str = field(default="first", metadata={"help": "'first' or 'all' answer tokens measure a set"})
    budget: int | None = field(default=None, metadata={"help": "most forward passes of the head search"})

    def __post_init__(self) -> None:
        """Refuse what no policy can have."""
        super().__post_init__()
        counts = ("shots", "prompts", "pool", "steps", "final_masks", "held_out_examples")
        check_counts(self, *counts, *(() if self.budget is None else ("budget",)))
        check_heads(self)
        if isinstance(self.masks, bool) or not isinstance(self.masks, int) or self.masks < 2:
            raise InputError(f"MTVConfig: masks is {self.masks!r}; rewards are compared, so it must be at least 2.")
        if self.answer_tokens not in ("first", "all"):
            raise InputError(f"MTVConfig: answer_tokens is {self.answer_tokens!r}; choose 'first' or 'all'.")
        if not self.learning_rate > 0:
            raise InputError(f"MTVConfig: learning_rate is {self.learning_rate!r}; it must be above 0, such as 0.1.")
        if not 0 <= self.least_probability < 1:
            raise InputError(f"MTVConfig: least_probability is {self.least_probability!r}; give 0 or more, below 1.")

    def check(self, places: Sequence[Place]) -> None:
        """Refuse heads that the model does not have, or in which the config may not act."""
        super().check(places)
        check_heads_exist(self, places, self.layers())

    def build(self, place: Place) -> Intervention:
        """Return the replacement of one layer."""
        return MultimodalTaskVector(place, [head for layer, head in self.heads or () if layer == place.layer])


class MultimodalTaskVector(Intervention):
    """``z[-1, h] <- mean[h]`` for the chosen heads h, in the prefill and in every later step."""

    not_stored: ClassVar[tuple[str, ...]] = ("head_logits",)

    head_means: Tensor

    def __init__(self, place: Place, heads: Sequence[int]) -> None:
        super().__init__()
        self.head_logits = nn.Parameter(torch.full((place.heads,), INITIAL_LOGIT, dtype=torch.float32))
        self.register_buffer("head_means", torch.zeros(place.heads, place.head_dim, dtype=torch.float32))
        self.heads = tuple(heads)

    def forward(self, activation: Tensor, call: Call) -> Tensor:
        """Replace in [batch queries heads head_dim] at the last position."""
        if not self.heads:
            return activation
        chosen = [head in self.heads for head in range(len(self.head_means))]
        return replaced_heads(activation, self.head_means, torch.tensor(chosen, device=activation.device))


def peft_config(backbone: Backbone, options: Mapping[str, Any]) -> MTVConfig:
    """Return the defaults with ``options`` on top."""
    return MTVConfig(**options)


def fit(fitting: Fitting, config: MTVConfig) -> Fitted:
    """Average the heads over prompts with demonstrations and choose those that answer without them.

    Raises:
        InputError: A head that there is not, a budget below one step, too few examples for the shots, a prompt that is
            too long, or nothing held out to choose by.
    """
    fitting.check(config)
    steps = 0 if config.heads is not None else affordable_steps(fitting, config)
    prompts = [without_answer(one) for one in fitting.prompts(config.prompts, config.shots, "head averages")]
    means = last_token_activations(fitting.backbone, fitting.backbone.model, prompts, "head_output").mean(dim=0)
    logits = torch.full(means.shape[:2], INITIAL_LOGIT)
    heads, report = config.heads, dict[str, Any]()
    if heads is None:
        mask, logits, report = _search(fitting, config, means, steps)
        heads = mask.nonzero().tolist()
    model = fitting.new_model(replace(config, heads=heads))
    for (_, layer), intervention in interventions(model).items():
        assert isinstance(intervention, MultimodalTaskVector)
        intervention.head_means.copy_(means[layer])
        intervention.head_logits.data.copy_(logits[layer])
    return Fitted(model, {"prompts": len(prompts), "heads": heads, **report})


def affordable_steps(fitting: Fitting, config: MTVConfig) -> int:
    """Return how many steps of the policy the budget allows, at most ``steps``.

    Raises:
        InputError: Not even one, or nothing is held out.
    """
    if config.budget is None:
        return config.steps
    final = config.final_masks * len(fitting.to_choose_by(config.held_out_examples))
    least = config.masks + final
    if config.budget < least:
        raise InputError(
            f"mtv: the budget of {config.budget} forward passes is below the {least} of one step and the final choice; "
            f"give at least {least}, or lower masks, final_masks or held_out_examples."
        )
    return min(config.steps, (config.budget - final) // config.masks)


def _search(fitting: Fitting, config: MTVConfig, means: Tensor, steps: int) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Train the policy and draw the heads from it.

    Args:
        fitting: Draws the pool, and has the held-out examples of the final choice.
        config: The numbers of the search.
        means: [layers heads head_dim].
        steps: Steps of the policy.

    Returns:
        The chosen heads, bool [layers heads]; the logits [layers heads]; and what the report says about them.
    """
    measure = losses_with_replaced_heads if config.answer_tokens == "first" else answer_losses_with_replaced_heads
    model, generator = fitting.new_model(config), fitting.generator("masks")
    asked = [fitting.ask(one, model=model) for one in fitting.to_choose_by(config.held_out_examples)]
    pool = [fitting.ask(one, model=model) for one in fitting.draw(config.pool, "pool")]
    places = fitting.places(config, "head_output")
    layers = [place.layer for place in places]
    passes = steps * config.masks + config.final_masks * len(asked)
    with (
        HeadReplacement(fitting.backbone.model, places, means[layers]) as replacement,
        Progress(passes, "heads", unit="forward") as progress,
    ):

        def losses(item: Encoded, masks: Tensor) -> Tensor:
            progress.advance(len(masks))
            return measure(fitting.backbone, replacement, item, masks)

        policy = Policy(len(places), means.shape[1], config.learning_rate, generator)
        history = []
        for _ in range(steps):
            item = pool[int(torch.randint(len(pool), (1,), generator=generator))]
            masks = policy.draw(config.masks)
            history.append(policy.update(masks, losses(item, masks)))
        finals = policy.draw(config.final_masks, config.least_probability)
        measured = torch.stack([losses(item, finals) for item in asked]).mean(dim=0)
    mask = torch.zeros(means.shape[:2], dtype=torch.bool)
    logits = torch.full(means.shape[:2], INITIAL_LOGIT)
    mask[layers], logits[layers] = finals[measured.argmin()], policy.logits.detach()
    report = {"steps": steps, "forward_passes": passes, "losses": history, "final_losses": measured.tolist()}
    return mask, logits, report


class Policy:
    """Replaces each head with a probability of its own, trained by REINFORCE; no gradient goes through the model."""

    def __init__(self, layers: int, heads: int, learning_rate: float, generator: torch.Generator) -> None:
        self.logits = torch.full((layers, heads), INITIAL_LOGIT, requires_grad=True)
        self.optimizer = torch.optim.Adam([self.logits], lr=learning_rate)
        self.generator = generator

    def probabilities(self) -> Tensor:
        """Return the probability with which each head is replaced, in [0.001, 0.999]: [layers heads]."""
        return self.logits.sigmoid().clamp(1e-3, 1 - 1e-3)

    def draw(self, number: int, least_probability: float = 0.0) -> Tensor:
        """Draw sets of heads, bool [number layers heads]; none has a head below ``least_probability``."""
        probabilities = self.probabilities().detach()
        probabilities = torch.where(probabilities < least_probability, 0.0, probabilities)
        return torch.bernoulli(probabilities.expand(number, -1, -1), generator=self.generator).bool()

    def update(self, masks: Tensor, losses: Tensor) -> float:
        """Make sets with a lower loss than their fellows more likely; return the mean loss.

        Args:
            masks: [masks layers heads], as drawn.
            losses: Loss of the model with each of them, [masks].
        """
        reward = (losses - losses.mean()) / (losses.std() + 1e-3)
        with torch.enable_grad():
            probabilities = self.probabilities()
            log_likelihood = torch.where(masks, probabilities, 1 - probabilities).log().sum(dim=(1, 2))
            self.optimizer.zero_grad()
            (reward * log_likelihood).sum().backward()
        self.optimizer.step()
        return float(losses.mean())
