"""What a model computes at the last token of prompts: its activations at a site, and the loss of the right answer.

Everything runs without gradients in left-padded batches, so that the last token of every row stands at index -1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hificl.backbones import Backbone, Encoded, collate
from hificl.backbones.arguments import sparing
from hificl.errors import InputError
from hificl.methods.head_replacement import HeadReplacement
from hificl.tuner.hooks import on_place
from hificl.tuner.places import Place, find_places

BATCH_TOKENS = 16_384
"""Tokens of a batch. A fixed number, so that the same fit makes the same batches on every machine."""

LARGEST_BATCH = 64
"""Most rows of a batch, however short they are."""


class AnswerStarts(NamedTuple):
    """How a model would begin its answers; each tensor has one entry per prompt, on the CPU."""

    losses: Tensor
    """Negative log-probability of the first token of the right answer, in nats, float32."""

    greedy: Tensor
    """Whether that token is the most likely one, bool."""


def last_token_activations(
    backbone: Backbone, model: Any, prompts: Sequence[Encoded], site: str, *, batch_size: int | None = None
) -> Tensor:
    """Record what every layer puts out at a site, at the last token of each sequence.

    Args:
        backbone: Pads the batches.
        model: Its model, or one with an adapter on it, in eval mode.
        prompts: At least one. The last token is that of the answer where a prompt has one, so give all of them an
            answer or none.
        site: One of ``hificl.tuner.places.SITES``.
        batch_size: Rows per forward; None takes as many as ``BATCH_TOKENS`` and ``LARGEST_BATCH`` allow.

    Returns:
        [prompts layers hidden], for ``"head_output"`` [prompts layers heads value_dim]; float32, on the CPU.

    Raises:
        InputError: The layers differ in size at this site.
    """
    places = find_places(model, site)
    _refuse_uneven(places)
    found: list[Tensor] = []
    for batch in batches(prompts, batch_size):
        seen: dict[int, Tensor] = {}
        handles = [on_place(model, place, partial(_keep, seen, index)) for index, place in enumerate(places)]
        try:
            last_logits(backbone, model, batch)
        finally:
            for handle in handles:
                handle.remove()
        found.append(torch.stack([seen[index] for index in range(len(places))], dim=1))
    return torch.cat(found)


def _keep(seen: dict[int, Tensor], index: int, activation: Tensor) -> None:
    seen[index] = activation[:, -1].float().cpu()


def _refuse_uneven(places: Sequence[Place]) -> None:
    sizes = {(place.hidden, place.heads, place.head_dim): place.name for place in places}
    if len(sizes) > 1:
        (one, first), (other, second) = list(sizes.items())[:2]
        raise InputError(
            f"{first} and {second} differ in (hidden, heads, head_dim): {one} and {other}; this method needs layers of "
            "one size, use hificl or lora on this model."
        )


def answer_starts(
    backbone: Backbone, model: Any, prompts: Sequence[Encoded], *, batch_size: int | None = None
) -> AnswerStarts:
    """Score the first token of the right answer after each prompt.

    Args:
        backbone: Pads the batches.
        model: Its model, or one with an adapter on it, in eval mode.
        prompts: At least one, each with the ids of its answer, of which the first is scored.
        batch_size: As for :func:`last_token_activations`.
    """
    losses, greedy = [], []
    for batch in batches(prompts, batch_size):
        logits = last_logits(backbone, model, [without_answer(prompt) for prompt in batch]).float().cpu()
        right = torch.tensor([prompt.answer_ids[0] for prompt in batch])
        losses.append(torch.nn.functional.cross_entropy(logits, right, reduction="none"))
        greedy.append(logits.argmax(dim=-1) == right)
    return AnswerStarts(torch.cat(losses), torch.cat(greedy))


def losses_with_replaced_heads(
    backbone: Backbone, replacement: HeadReplacement, prompt: Encoded, masks: Tensor, *, batch_size: int | None = None
) -> Tensor:
    """Score the first token of the right answer after one prompt, with other heads replaced in every row.

    Args:
        backbone: As for :func:`answer_starts`.
        replacement: Entered; its model is run.
        prompt: With the ids of its answer.
        masks: Heads to replace, bool [masks places heads].
        batch_size: As for :func:`last_token_activations`.

    Returns:
        Negative log-probabilities [masks], float32, on the CPU.
    """
    losses, done = [], 0
    for batch in batches([prompt] * len(masks), batch_size):
        replacement.masks = masks[done : done + len(batch)]
        losses.append(answer_starts(backbone, replacement.model, batch, batch_size=len(batch)).losses)
        done += len(batch)
    replacement.masks = None
    return torch.cat(losses)


def answer_losses_with_replaced_heads(
    backbone: Backbone, replacement: HeadReplacement, prompt: Encoded, masks: Tensor, *, batch_size: int | None = None
) -> Tensor:
    """Score the whole right answer and its end, with other heads replaced in every row at every token of it.

    One forward over prompt and answer with heads replaced at the last prompt token and at every answer token is what a
    generation that replaces them at its last token in every step computes.

    Args:
        backbone, replacement, masks, batch_size: As for :func:`losses_with_replaced_heads`.
        prompt: With the ids of its answer, without end marker.

    Returns:
        Mean negative log-probabilities of answer and end tokens [masks], float32, on the CPU.
    """
    targets = [*prompt.answer_ids, *backbone.end_ids]
    read = Encoded(prompt.input_ids, targets[:-1], prompt.inputs, prompt.id)
    losses, done = [], 0
    replacement.positions = len(targets)
    for batch in batches([read] * len(masks), batch_size):
        replacement.masks = masks[done : done + len(batch)]
        logits = end_logits(backbone, replacement.model, batch, len(targets)).float().cpu()
        right = torch.tensor(targets).expand(len(batch), -1)
        losses.append(torch.nn.functional.cross_entropy(logits.mT, right, reduction="none").mean(dim=1))
        done += len(batch)
    replacement.masks, replacement.positions = None, 1
    return torch.cat(losses)


def without_answer(prompt: Encoded) -> Encoded:
    """The prompt alone: its last token is the one that predicts the answer."""
    return Encoded(prompt.input_ids, [], prompt.inputs, prompt.id)


def batches(prompts: Sequence[Encoded], batch_size: int | None = None) -> Iterator[Sequence[Encoded]]:
    """Cut prompts into batches, in their order; see :func:`last_token_activations` for the size."""
    longest = max(prompt.length for prompt in prompts)
    size = batch_size or max(1, min(LARGEST_BATCH, BATCH_TOKENS // longest))
    for start in range(0, len(prompts), size):
        yield prompts[start : start + size]


def last_logits(backbone: Backbone, model: Any, prompts: Sequence[Encoded]) -> Tensor:
    """Run one batch, without a cache, and return the logits at the last token, [prompts vocabulary]."""
    return end_logits(backbone, model, prompts, 1)[:, -1]


def end_logits(backbone: Backbone, model: Any, prompts: Sequence[Encoded], positions: int) -> Tensor:
    """Run one batch, without a cache, and return the logits at the last positions, [prompts positions vocabulary]."""
    batch = collate(backbone, prompts, padding_side="left")
    batch.pop("labels", None)
    inputs = {name: tensor.to(backbone.device) for name, tensor in batch.items()}
    with torch.no_grad():
        output = model(**inputs, **sparing(backbone.model, positions))
    logits: Tensor = output.logits[:, -positions:]
    return logits
