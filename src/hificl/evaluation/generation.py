"""Answers in batches, greedy or by beams: left padding, key-value cache, stop tokens, prompts cut off by length."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList

from hificl.backbones import Backbone, collate
from hificl.data import Example
from hificl.errors import InputError, RunError
from hificl.evaluation.adapter import prompted_for
from hificl.evaluation.batch_sizes import BatchSizes, meter_of
from hificl.evaluation.compiled import CompiledDecoding
from hificl.evaluation.estimate import Estimate, estimate_size
from hificl.evaluation.presets import GREEDY, Decoding
from hificl.evaluation.progress import Progress
from hificl.evaluation.queries import Queries

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Generated:
    """Answers in the order of the examples, and how they were made."""

    texts: list[str]
    """One answer per example, cut at the stop words and stripped; it may be empty."""

    demonstration_ids: list[list[str]]
    """Ids of the demonstrations of each example, in prompt order."""

    estimate: Estimate
    """Tokens, memory and batch size, as estimated before the start."""

    batches: list[dict[str, Any]]
    """Every batch size: ``answered`` queries before it, ``size``, ``why``, and ``used_bytes``, the most that a batch of
    that size was measured to take, None on a CPU."""

    seconds: float
    """Wall time from the first image to the last answer."""

    @property
    def smallest_batch(self) -> int:
        """The smallest batch size: smaller than the estimate's when the memory of the GPU ran out or was measured."""
        return min(int(entry["size"]) for entry in self.batches)


def generate_answers(
    backbone: Backbone,
    model: Any,
    examples: Sequence[Example],
    *,
    shots: int = 0,
    demonstrations: Sequence[Example] = (),
    retrieval: str = "random",
    seed: int = 0,
    batch_size: int | None = None,
    max_new_tokens: int | None = None,
    decoding: Decoding = GREEDY,
    compile: bool = False,
) -> Generated:
    """Answer examples; the same ones in any order and batch get the same prompts. Nothing is sampled.

    Args:
        backbone: Processor, prompt form, stop words. An instruction that the form keeps for frozen models is left out
            where ``model`` has an adapter.
        model: The backbone's model, or one with an adapter on it. It is in eval mode meanwhile.
        examples: The queries. Their answers are not read and may be absent.
        shots: Demonstrations per query.
        demonstrations: Support set from which they are chosen, never the query itself.
        retrieval: ``"random"``, seeded per query, or ``"rices"``: by similar images, the nearest last.
        seed: Seed of that draw.
        batch_size: Queries per batch. None chooses: on a CPU from the memory estimate and a fixed budget, on a GPU from
            the estimate for the first batch and then from what batches were measured to take.
        max_new_tokens: Most tokens of one answer; None takes the number of ``decoding``, else the family's.
        decoding: Beams, length and length penalty; greedy by default.
        compile: Generate with a static cache and a compiled decode step. The first batch pays for the compilation, half
            a minute or more; the answers are the same to rounding. All batches are of one size then.

    Raises:
        InputError: A bad example or option, the message names the sample; or a model that cannot be compiled. Nothing
            was generated then.
        RunError: Generation failed, or the memory does not hold a single query; the message names the samples.
    """
    started = time.perf_counter()
    backbone, search = prompted_for(backbone, model), resolve_decoding(backbone, decoding, max_new_tokens)
    limit = search.max_new_tokens or 0
    queries = Queries(
        backbone, examples, shots=shots, demonstrations=demonstrations, retrieval=retrieval, seed=seed, new_tokens=limit
    )
    estimate = estimate_size(backbone, queries, new_tokens=limit, batch_size=batch_size, num_beams=search.num_beams)
    logger.info("%s: %s", backbone.name, estimate)
    compiled = None
    if compile:
        longest = estimate.longest_prompt
        compiled = CompiledDecoding(model, longest=longest, new_tokens=limit, num_beams=search.num_beams)
    sizes = BatchSizes(
        estimate.batch_size, "estimated" if batch_size is None else "given",
        meter=meter_of(backbone.device), fixed=compile or batch_size is not None,
    )  # fmt: skip
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        texts = _answer_all(backbone, model, queries, sizes, search, compiled)
    finally:
        for module in training:
            module.training = True
    ids = [[one.id for one in drawn] for drawn in queries.demonstrations]
    return Generated(texts, ids, estimate, sizes.history, time.perf_counter() - started)


def resolve_decoding(backbone: Backbone, decoding: Decoding, max_new_tokens: int | None = None) -> Decoding:
    """Fill in the length: ``max_new_tokens`` if given, else that of ``decoding``, else that of the family.

    Raises:
        InputError: ``max_new_tokens`` is below 1.
    """
    limits = (max_new_tokens, decoding.max_new_tokens, backbone.family.generation.max_new_tokens)
    return replace(decoding, max_new_tokens=next(limit for limit in limits if limit is not None))


def _answer_all(
    backbone: Backbone, model: Any, queries: Queries, sizes: BatchSizes, search: Decoding,
    compiled: CompiledDecoding | None,
) -> list[str]:  # fmt: skip
    """Answer all queries, longest first, so that a batch too large for the memory shows at once."""
    order = sorted(range(len(queries)), key=lambda index: (-queries.lengths[index], index))
    texts = [""] * len(queries)
    position = 0
    with Progress(len(queries), "answers") as progress:
        while position < len(order):
            rows = order[position : position + sizes.size]
            # Another number of rows would be another graph: the last batch is filled up.
            filled = rows + rows[-1:] * (sizes.size - len(rows)) if compiled is not None else rows
            sizes.start()
            answers = _answer_batch(backbone, model, queries, filled, search, compiled)
            if answers is None:
                if len(filled) == 1:
                    raise RunError(
                        f"sample {queries.examples[rows[0]].id!r}: its {queries.lengths[rows[0]]} tokens do not fit "
                        "into the memory of the GPU; use fewer shots, smaller images or a smaller dtype."
                    )
                sizes.failed(len(filled), answered=position)
                logger.warning("out of GPU memory: going on with batches of %d", sizes.size)
                continue
            for index, answer in zip(rows, answers, strict=False):
                texts[index] = answer
            position += len(rows)
            sizes.fitted(len(filled), answered=position)
            progress.advance(len(rows))
    return texts


def _answer_batch(
    backbone: Backbone, model: Any, queries: Queries, rows: list[int], search: Decoding,
    compiled: CompiledDecoding | None,
) -> list[str] | None:  # fmt: skip
    """Answer a few queries in one batch; None when the memory of the GPU ran out."""
    batch = collate(backbone, [queries.encoded(index) for index in rows], padding_side="left")
    device, stops = next(model.parameters()).device, _stop_ids(backbone, model)
    config = plain_decoding(stops, backbone.pad_id, search)
    if compiled is not None:
        config = compiled.configure(config)
    try:
        inputs = {name: tensor.to(device) for name, tensor in batch.items()}
        with torch.no_grad(), nullcontext() if compiled is None else compiled.step():
            output = model.generate(
                **inputs,
                generation_config=config,
                stopping_criteria=StoppingCriteriaList([_EndMarker(backbone.end_ids)]),
            )
    except torch.OutOfMemoryError:
        return None
    except InputError:
        raise
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        names = ", ".join(repr(queries.examples[index].id) for index in dict.fromkeys(rows))
        remedy = "" if compiled is None else "; it may go without compile."
        message = f"generation failed for the samples {names}: {type(error).__name__}: {error}{remedy}"
        raise RunError(message) from error
    prompt_length = inputs["input_ids"].shape[1]
    return [_read_answer(backbone, stops, row) for row in output[:, prompt_length:].tolist()]


def plain_decoding(stops: list[int], pad_id: int, search: Decoding) -> GenerationConfig:
    """Plain decoding: what a checkpoint recommends for chatting (penalties, sampling) does not apply."""
    return GenerationConfig(
        max_new_tokens=search.max_new_tokens,
        do_sample=False,
        num_beams=search.num_beams,
        length_penalty=search.length_penalty,
        early_stopping=False,
        temperature=1.0,
        top_p=1.0,
        top_k=50,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        use_cache=True,
        eos_token_id=stops or None,
        pad_token_id=pad_id,
    )


def _stop_ids(backbone: Backbone, model: Any) -> list[int]:
    """Tokens that end an answer besides the end marker: the end-of-text tokens of the model and of the tokenizer."""
    own = model.generation_config.eos_token_id
    ids = {int(token) for token in (own if isinstance(own, list) else [own]) if token is not None}
    if backbone.tokenizer.eos_token_id is not None:
        ids.add(int(backbone.tokenizer.eos_token_id))
    return sorted(ids)


class _EndMarker(StoppingCriteria):
    """Stops a row whose last tokens are the end marker of the prompt form, one token or several."""

    def __init__(self, marker: tuple[int, ...]) -> None:
        self.marker = torch.tensor(marker)

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        marker = self.marker.to(input_ids.device)
        return (input_ids[:, -len(marker) :] == marker).all(dim=1)


def _read_answer(backbone: Backbone, stops: list[int], new_ids: list[int]) -> str:
    """Cut at the end marker and the stop tokens, decode, cut at the stop words, strip."""
    marker = list(backbone.end_ids)
    for index in range(len(new_ids)):
        if new_ids[index] in stops or new_ids[index : index + len(marker)] == marker:
            new_ids = new_ids[:index]
            break
    text = backbone.tokenizer.decode(new_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False).strip()
    for word in backbone.stop_words:
        text = text.split(word, 1)[0]
    return str(text).strip()
