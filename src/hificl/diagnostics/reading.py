"""What a model computes where it reads a query and its answer: activations at some places, and logits of the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hificl.attention.kernels import wide
from hificl.backbones import Backbone, Encoded, collate
from hificl.evaluation.generation import plain_decoding
from hificl.evaluation.likelihood import NO_TOKEN
from hificl.evaluation.presets import Decoding
from hificl.methods.activations import end_logits, without_answer
from hificl.tuner import Place, on_place
from hificl.tuner.intervention_layer import InterventionLayer


class Reading(NamedTuple):
    """What one model computed for one query, in float32; states and logits of a float64 model in that.

    Logits of steps are always float32: a generation hands them over so.
    """

    states: list[Tensor]
    """Activations at each place, [tokens size]: the last tokens that were read."""

    logits: Tensor
    """Logits that predict the tokens of the answer and its end, [answers vocabulary]."""


class Text(NamedTuple):
    """What is read: a prompt with its answer."""

    encoded: Encoded
    """Its answer ends before the last token of the end marker: nothing is predicted from that one."""

    tokens: int
    """How many of its last tokens are looked at."""

    answers: int
    """How many tokens are predicted: those of the answer and its end marker."""


def reads_step_by_step(model: nn.Module) -> bool:
    """Say whether a model must read its prompt first and then the answer token by token, as in a generation.

    Some interventions act at the last token of a forward, which must be that of the prompt.
    """
    return any(isinstance(module, InterventionLayer) for module in model.modules())


def read(backbone: Backbone, model: Any, texts: Sequence[Text], places: Sequence[Place]) -> list[Reading]:
    """Let a model read some prompts with their answers, without gradients.

    Args:
        backbone: Pads the batch.
        model: Its model, or one with an adapter on it, in eval mode.
        texts: At least one. They are one batch, unless :func:`reads_step_by_step`.
        places: Where activations are kept; found in ``model``.
    """
    if reads_step_by_step(model):
        return [_read_in_steps(backbone, model, text, places) for text in texts]
    tokens, answers = max(text.tokens for text in texts), max(text.answers for text in texts)
    with _kept(model, places, tokens) as seen:
        logits = end_logits(backbone, model, [text.encoded for text in texts], answers)
    rows = [[torch.cat(parts, dim=1)[row] for parts in seen] for row in range(len(texts))]
    return [
        Reading([state[-text.tokens :] for state in states], wide(row[-text.answers :]))
        for text, states, row in zip(texts, rows, logits, strict=True)
    ]


def _read_in_steps(backbone: Backbone, model: Any, text: Text, places: Sequence[Place]) -> Reading:
    """Let a generation write the answer that is given."""
    batch = collate(backbone, [without_answer(text.encoded)])
    inputs = {name: tensor.to(backbone.device) for name, tensor in batch.items()}
    # What the last step writes is not read any more: any token will do.
    written, start = [*text.encoded.answer_ids, 0], inputs["input_ids"].shape[1]
    config = plain_decoding([NO_TOKEN], backbone.pad_id, Decoding(max_new_tokens=text.answers))
    config.output_logits = config.return_dict_in_generate = True

    def allowed(_: int, ids: Tensor) -> list[int]:
        return [written[len(ids) - start]]

    with torch.no_grad(), _kept(model, places, text.tokens) as seen:
        made = model.generate(**inputs, generation_config=config, prefix_allowed_tokens_fn=allowed)
    states = [torch.cat(parts, dim=1)[0, -text.tokens :] for parts in seen]
    return Reading(states, wide(torch.cat(made.logits)))


@contextmanager
def _kept(model: nn.Module, places: Sequence[Place], tokens: int) -> Iterator[list[list[Tensor]]]:
    """Keep the last tokens of every forward inside, after everything that adapters do: by place, one part a forward."""
    seen: list[list[Tensor]] = [[] for _ in places]

    def keeper(parts: list[Tensor]) -> Any:
        def keep(activation: Tensor) -> None:
            parts.append(wide(activation[:, -tokens:].flatten(2).clone()))

        return keep

    handles = [on_place(model, place, keeper(parts)) for place, parts in zip(places, seen, strict=True)]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
