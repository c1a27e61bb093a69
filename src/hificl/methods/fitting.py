"""What the fit of a training-free method may use, and what it gives back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from peft import PeftModel

from hificl.adapters.stored import new_adapter
from hificl.backbones import Backbone, Encoded, encode
from hificl.data import Example, choose_demonstrations
from hificl.errors import InputError
from hificl.evaluation import generate_answers
from hificl.evaluation.adapter import prompted_for
from hificl.metrics import METRICS
from hificl.tuner.intervention import InterventionConfig
from hificl.tuner.places import Place, find_places

LARGEST_FACTOR = 1e30
"""Beyond it a factor times an activation is no float32."""


@dataclass(frozen=True)
class Fitting:
    """A frozen backbone and the two parts of a support set: one to take values from, one to choose by.

    Raises:
        InputError: There is no example to take values from, or one of either part has no answer.
    """

    backbone: Backbone
    """The frozen model. A fit leaves it as it is."""

    examples: Sequence[Example]
    """Demonstrations, dummy queries and whatever else activations are taken from."""

    held_out: Sequence[Example]
    """Only scored: layers and heads are chosen by them. Never part of a prompt that values are taken from."""

    metric: str
    """Name in ``hificl.metrics.METRICS``."""

    seed: int = 0
    """Seed of everything that is drawn."""

    def __post_init__(self) -> None:
        if not self.examples:
            raise InputError("fit: no example was given to take activations from; pass at least one.")
        for example in (*self.examples, *self.held_out):
            if not example.answers:
                raise InputError(f"example {example.id!r}: no answer to fit on; add one or leave the example out.")

    def check(self, config: InterventionConfig) -> None:
        """Refuse what the backbone does not have, before anything is run.

        Raises:
            InputError: See :meth:`hificl.tuner.InterventionConfig.check`.
        """
        config.check(find_places(self.backbone.model, config.sites[0]))

    def new_model(self, config: InterventionConfig) -> PeftModel:
        """Return an adapter on a module tree of its own over the frozen weights, in eval mode."""
        return new_adapter(self.backbone, config).eval()

    def score(self, model: PeftModel, examples: Sequence[Example] | None = None) -> float:
        """Let a model answer without demonstrations and score its answers.

        Args:
            model: With its adapter on.
            examples: What it is asked; None takes ``held_out``.
        """
        asked = self.held_out if examples is None else examples
        texts = generate_answers(self.backbone, model, asked).texts
        return METRICS[self.metric](texts, [list(example.answers) for example in asked]).score

    def places(self, config: InterventionConfig, site: str) -> list[Place]:
        """Return the places of a site in the layers that a config leaves to the fit (``layers_to_transform``)."""
        wanted = config.layers()
        return [place for place in find_places(self.backbone.model, site) if wanted is None or place.layer in wanted]

    def draw(self, number: int, purpose: str) -> list[Example]:
        """Draw from ``examples`` in a random order, without repetition as far as there are enough.

        Args:
            number: How many; more than there are goes through them again.
            purpose: Draws for different purposes are independent of each other.
        """
        generator = self.generator(purpose)
        order: list[int] = []
        while len(order) < number:
            order += torch.randperm(len(self.examples), generator=generator).tolist()
        return [self.examples[index] for index in order[:number]]

    def generator(self, purpose: str) -> torch.Generator:
        """Return a random stream that depends on the seed and on the purpose alone."""
        digest = hashlib.sha256(f"{self.seed}/{purpose}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))

    def ask(self, query: Example, demonstrations: Sequence[Example] = (), model: PeftModel | None = None) -> Encoded:
        """Encode a query as evaluation asks it, with the ids of its first answer beside it, without end marker.

        Args:
            query: The example.
            demonstrations: Earlier rounds of the prompt.
            model: The adapted model that will be asked; None for the frozen one.
        """
        backbone = prompted_for(self.backbone, model)
        asked = encode(backbone, query, demonstrations=demonstrations)
        # A published form may render training otherwise; the prompt stays that of evaluation.
        taught = encode(backbone, query, demonstrations=demonstrations, answer=query.answers[0])
        return replace(asked, answer_ids=taught.answer_ids[: -len(backbone.end_ids)])

    def prompts(self, number: int, shots: int, purpose: str, *, shuffled: bool = False) -> list[Encoded]:
        """Encode prompts with demonstrations that end in an unanswered dummy query, as ``ask`` does.

        Dummy queries are drawn from ``examples``; the demonstrations too, and never contain the query.

        Args:
            number: How many prompts.
            shots: Demonstrations per prompt.
            purpose: As for :meth:`draw`.
            shuffled: Permute the answers among the demonstrations of each prompt, so that they no longer tell the task.

        Raises:
            InputError: There are too few examples for so many demonstrations, or a prompt is too long.
        """
        generator = self.generator(f"answers of {purpose}")
        encoded = []
        for index, query in enumerate(self.draw(number, purpose)):
            turn = index // len(self.examples)  # a query that comes again gets other demonstrations
            shown = choose_demonstrations(self.examples, query, shots, self.seed + turn)
            if shuffled:
                order = torch.randperm(shots, generator=generator).tolist()
                shown = [replace(one, answers=shown[other].answers) for one, other in zip(shown, order, strict=True)]
            encoded.append(self.ask(query, shown))
        return encoded

    def to_choose_by(self, number: int) -> Sequence[Example]:
        """Return the first ``number`` held-out examples.

        Raises:
            InputError: Nothing is held out.
        """
        if not self.held_out:
            raise InputError(
                "fit: nothing is held out to choose layers or heads by; give holdout a share such as 0.2, or name the "
                "layer or the heads."
            )
        return self.held_out[:number]


@dataclass(frozen=True)
class Fitted:
    """What a fit found."""

    model: PeftModel
    """The backbone with the fitted adapter ``"default"``, in eval mode; its config holds what the fit chose."""

    report: Mapping[str, Any]
    """How it was found, as JSON values: chosen layer and heads, scores, forward passes."""


def check_counts(config: Any, *names: str) -> None:
    """Refuse counts that are not integers of at least 1.

    Raises:
        InputError: With the name of the config, the field and its value.
    """
    for name in names:
        number = getattr(config, name)
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise InputError(f"{type(config).__name__}: {name} is {number!r}; it must be an integer of at least 1.")


def check_factor(config: Any, name: str) -> None:
    """Refuse a factor that is no number of float32.

    Raises:
        InputError: With the name of the config, the field and its value.
    """
    number = getattr(config, name)
    if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) < LARGEST_FACTOR:
        shown = f"{number!r:.40}"
        raise InputError(f"{type(config).__name__}: {name} is {shown}; give a finite number such as 0.1.")
