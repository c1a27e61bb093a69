"""How likely a model finds an answer that is given to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from hificl.backbones import IGNORED_LABEL, Backbone, Encoded, collate, encode
from hificl.data import Example
from hificl.evaluation.generation import plain_decoding
from hificl.evaluation.presets import Decoding
from hificl.tuner.intervention_layer import InterventionLayer

NO_TOKEN = 2**31 - 1
"""Id of no token, so that nothing ends an answer before its last one."""


@dataclass(frozen=True)
class AnswerLoss:
    """The loss of one answer after the prompt of evaluation, without its end marker."""

    total: float
    """Sum over its tokens of the negative log-likelihood, in nats."""

    tokens: int
    """Number of its tokens."""

    greedy: bool
    """Whether greedy decoding would write it."""


def answer_loss(
    backbone: Backbone, model: Any, example: Example, answer: str, *, demonstrations: Sequence[Example] = ()
) -> AnswerLoss:
    """Score an answer after the prompt of evaluation; logits and losses are float32.

    One forward pass reads both. With interventions on the model the prompt is read first and then the answer token by
    token, as in generation: some of them act at the last token of a forward, which must not be one of the answer.

    Args:
        backbone: Processor and prompt form.
        model: The backbone's model, or one with an adapter on it, in eval mode.
        example: The query; its own answers are not read.
        answer: The answer to score.
        demonstrations: Earlier rounds of the prompt.

    Raises:
        InputError: A bad example, or an answer of no token.
    """
    asked = encode(backbone, example, demonstrations=demonstrations)
    taught = encode(backbone, example, demonstrations=demonstrations, answer=answer)
    wanted = taught.answer_ids[: -len(backbone.end_ids)]
    stepwise = any(isinstance(module, InterventionLayer) for module in model.modules())
    score = _logits_of_steps if stepwise else _logits_of_one_forward
    logits = score(backbone, model, Encoded(asked.input_ids, wanted, asked.inputs, asked.id)).float().cpu()
    targets = torch.tensor(wanted)
    total = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    return AnswerLoss(float(total), len(targets), bool((logits.argmax(dim=-1) == targets).all()))


def _logits_of_one_forward(backbone: Backbone, model: Any, asked: Encoded) -> Tensor:
    """Read prompt and answer together and return the logits for the tokens of the answer, [tokens vocabulary]."""
    batch = _on_device(model, collate(backbone, [asked]))
    labels = batch.pop("labels")[0, 1:]
    with torch.no_grad():
        logits: Tensor = model(**batch).logits[0, :-1]
    return logits[labels != IGNORED_LABEL]


def _logits_of_steps(backbone: Backbone, model: Any, asked: Encoded) -> Tensor:
    """Let a generation write the answer and return the logits of its steps, [tokens vocabulary]."""
    batch = _on_device(model, collate(backbone, [Encoded(asked.input_ids, [], asked.inputs, asked.id)]))
    config = plain_decoding([NO_TOKEN], backbone.pad_id, Decoding(max_new_tokens=len(asked.answer_ids)))
    config.output_logits = config.return_dict_in_generate = True
    with torch.no_grad():
        made = model.generate(
            **batch,
            generation_config=config,
            logits_processor=LogitsProcessorList([_Writes(asked.answer_ids, batch["input_ids"].shape[1])]),
        )
    return torch.cat(made.logits)


def _on_device(model: Any, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    device = next(model.parameters()).device
    return {name: tensor.to(device) for name, tensor in batch.items()}


class _Writes(LogitsProcessor):
    """Leaves each step of a generation nothing but the token that is given."""

    def __init__(self, answer_ids: Sequence[int], prompt_length: int) -> None:
        self.answer_ids, self.prompt_length = answer_ids, prompt_length

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # type: ignore[override]
        only = torch.full_like(scores, -torch.inf)
        only[:, self.answer_ids[input_ids.shape[1] - self.prompt_length]] = 0
        return only


def share_of_yes(backbone: Backbone, model: Any, example: Example, *, demonstrations: Sequence[Example] = ()) -> float:
    """Probability of "yes" among "yes" and "no"; for ROC-AUC.

    Raises:
        InputError: As for :func:`answer_loss`.
    """
    losses = [
        answer_loss(backbone, model, example, word, demonstrations=demonstrations).total for word in ("yes", "no")
    ]
    return float(torch.softmax(-torch.tensor(losses), dim=0)[0])
