"""Start an adapter as in-context learning: its pairs are those of real demonstrations, compressed without training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from peft import PeftModel
from torch.random import fork_rng

from hificl.adapters.stored import new_adapter
from hificl.backbones import Backbone, Encoded, collate, encode, with_opening
from hificl.context.boundary import context_of
from hificl.context.capture import Captured, capture, side_by_side
from hificl.context.compression import COMPRESSIONS, error
from hificl.context.positions import check_decoder
from hificl.context.queries import ask, full_adapter
from hificl.context.written import (
    adapter_layers,
    constant_offset,
    whole_context,
    write,
    write_whole,
    written_context,
)
from hificl.data import Example
from hificl.errors import InputError
from hificl.tuner import HiFICLConfig
from hificl.tuner.sites import text_decoder

MOST_QUERIES = 64
"""Examples that queries are sampled from."""


@dataclass(frozen=True)
class Started:
    """What a start from demonstrations leaves beside the pairs."""

    backbone: Backbone
    """The backbone in the prompt form in which the adapter must be asked: without begin mark, instruction and system
    turn, which the pairs hold."""

    report: Mapping[str, Any]
    """``tokens`` captured and ``pairs`` made of them, per head, ``compression``, ``fit_error`` per layer, on
    the queries that they were fitted to: JSON values."""


@fork_rng(devices=[])  # the adapter that captures draws initial values
def capture_demonstrations(
    backbone: Backbone, examples: Sequence[Example], *, shots: int | None = None
) -> Captured:  # fmt: skip
    """Capture demonstrations, with the opening of the prompt before them, as pairs of the frozen model.

    Args:
        backbone: The frozen model; it stays as it is.
        examples: Demonstrations in prompt order, each with an answer.
        shots: Demonstrations in one prompt, where there are more examples than fit into one: several captures then
            stand side by side, and together have the mass of one.

    Raises:
        InputError: No example; more than fit into the context; a model whose keys cannot be moved (see
            :func:`hificl.context.capture.capture`).
    """
    encoded = encode_demonstrations(backbone, examples, shots)
    return side_by_side([capture(backbone, collate(backbone, [one])) for one in encoded])


def encode_demonstrations(backbone: Backbone, examples: Sequence[Example], shots: int | None = None) -> list[Encoded]:
    """Encode the texts that :func:`capture_demonstrations` runs, with whatever it refuses about them."""
    if not examples:
        raise InputError("capture_demonstrations: no demonstration was given; pass at least one.")
    if shots is not None and (isinstance(shots, bool) or not isinstance(shots, int) or shots < 1):
        raise InputError(f"capture_demonstrations: shots is {shots!r}; it must be an integer of at least 1, or None.")
    check_decoder(text_decoder(backbone.model))
    size = shots or len(examples)
    parts = [examples[first : first + size] for first in range(0, len(examples), size)]
    return [context_of(backbone, part, part[0]) for part in parts]


@fork_rng(devices=[])
def rehearse(backbone: Backbone, context: Encoded, query: Example | None) -> None:
    """Capture one text and, where a query is given, make one pair of it, for whatever refuses that; nothing is kept.

    Raises:
        InputError: As for :func:`capture_demonstrations` and :func:`initialise_from_demonstrations`.
    """
    captured = capture(backbone, collate(backbone, [context]))
    if query is not None:
        little: Any = new_adapter(backbone, HiFICLConfig(num_virtual_tokens=1, r=1))
        initialise_from_demonstrations(little, captured, backbone=backbone, queries=[query], compression="keep")


@fork_rng(devices=[])
def initialise_from_demonstrations(
    model: PeftModel,
    examples: Sequence[Example] | Captured,
    *,
    backbone: Backbone,
    queries: Sequence[Example] = (),
    compression: str = "fit",
    adapter_name: str = "default",
) -> Started:
    """Give an adapter the pairs of real demonstrations, so that it begins as in-context learning with them.

    With as many pairs as captured tokens of one prompt (``num_virtual_tokens=captured.tokens, factorize_key=False,
    factorize_value=False``), in all layers, the query alone gives the logits that it has behind the demonstrations, up
    to rounding. With fewer the pairs are chosen, weighed and fitted to what sampled queries see; with factors they are
    then the nearest products of rank ``r``.

    Args:
        model: With a HiFICL adapter over the weights of ``backbone``; the adapter is written in place.
        examples: Demonstrations in prompt order, or what :func:`capture_demonstrations` made of them.
        backbone: Processor and prompt form; what was captured is the frozen model.
        queries: Labelled examples to sample queries from, without the demonstrations where there are enough; by default
            the demonstrations themselves. Only read where pairs are fewer than tokens.
        compression: ``"fit"``, ``"cluster"`` or ``"keep"``; see :mod:`hificl.context.compression`.
        adapter_name: Which adapter.

    Returns:
        The backbone in the form in which the adapter must be asked (``evaluate(replace(started.backbone,
        model=model), ...)``), and a report. Asked with the opening written the adapter sees it twice: only about right.

    Raises:
        InputError: ``model`` has no such HiFICL adapter, or one that is no plain joint softmax; more pairs than tokens;
            queries are needed and there are none, or one has no answer; an unknown compression; all tokens of several
            captures without a learned offset; or as for :func:`capture_demonstrations`.
    """
    layers = adapter_layers(model, adapter_name)
    captured = examples if isinstance(examples, Captured) else capture_demonstrations(backbone, examples)
    asking = with_opening(backbone, "in_adapter")
    pairs = int(model.peft_config[adapter_name].num_virtual_tokens)  # type: ignore[attr-defined]
    if compression not in COMPRESSIONS:
        raise InputError(f"unknown compression {compression!r}; known are {', '.join(COMPRESSIONS)}.")
    check_pairs(pairs, captured.tokens)
    shown = [] if isinstance(examples, Captured) else list(examples)
    report: dict[str, Any] = {"tokens": captured.tokens, "pairs": pairs}
    if pairs == captured.tokens:
        write_whole(model, captured, adapter_name)
        return Started(asking, report)
    asked = list(queries or shown)[:MOST_QUERIES]
    if not asked:
        raise InputError(
            f"initialise_from_demonstrations: {captured.tokens} tokens are compressed to {pairs} pairs by what queries "
            "see of them, and no queries were given; pass labelled examples as queries."
        )
    for one in asked:
        if not one.answers:
            raise InputError(f"query {one.id!r} has no answer to read; add one or leave it out.")
    encoded = [encode(asking, one, answer=one.answers[0]) for one in asked]
    found = ask(full_adapter(backbone, captured), backbone, encoded)
    report |= {"compression": compression, "queries": len(asked), "fit_error": {}}
    for layer in layers:
        context = whole_context(captured, layer, adapter_name)
        question = found[layer.name].of_heads(context.key.shape[0])
        few = COMPRESSIONS[compression](context, question, pairs, constant_offset(layer, adapter_name))
        write(layer, adapter_name, few)
        report["fit_error"][layer.name] = error(written_context(layer, adapter_name), context, question)
    return Started(asking, report)


def check_pairs(pairs: int, tokens: int) -> None:
    """Refuse an adapter without pairs, or with more pairs than captured tokens."""
    if pairs < 1:
        raise InputError("num_virtual_tokens is 0: there is no pair to take from demonstrations.")
    if pairs > tokens:
        raise InputError(
            f"num_virtual_tokens is {pairs}, but the demonstrations have {tokens} tokens; take at most that many pairs "
            "or more demonstrations."
        )
