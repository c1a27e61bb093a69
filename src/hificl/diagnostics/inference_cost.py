"""What an answer costs: tokens, counted operations, bytes of the key-value cache, time of the first and later tokens.

Everything is measured in ``generate``, one query at a time, as it runs for answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from hificl.backbones import Backbone, collate
from hificl.data import Example
from hificl.diagnostics.distances import rounded
from hificl.diagnostics.flops import count_flops
from hificl.diagnostics.lines import ZERO_SHOT
from hificl.diagnostics.measure import Measured, MeasureRequest
from hificl.diagnostics.timing import clock_name, in_turns, spread
from hificl.evaluation import Queries
from hificl.evaluation.adapter import prompted_for
from hificl.evaluation.generation import plain_decoding
from hificl.evaluation.likelihood import NO_TOKEN
from hificl.evaluation.presets import Decoding


@dataclass(frozen=True)
class Asking:
    """A model with its prompts."""

    backbone: Backbone
    model: Any
    queries: Queries

    @classmethod
    def of(
        cls, backbone: Backbone, model: Any, queries: Sequence[Example], support: Sequence[Example], shots: int,
        *, new_tokens: int, retrieval: str = "random", seed: int = 0,
    ) -> Asking:  # fmt: skip
        """Encode the prompts as an evaluation does; arguments and errors are those of ``Queries``."""
        backbone = prompted_for(backbone, model)
        prompts = Queries(
            backbone, queries, shots=shots, demonstrations=support, retrieval=retrieval, seed=seed,
            new_tokens=new_tokens,
        )  # fmt: skip
        return cls(backbone, model, prompts)

    def generate(self, index: int, new_tokens: int) -> Any:
        """Write exactly so many tokens after one prompt; the output holds the cache."""
        batch = collate(self.backbone, [self.queries.encoded(index)])
        inputs = {name: tensor.to(self.backbone.device) for name, tensor in batch.items()}
        config = plain_decoding([NO_TOKEN], self.backbone.pad_id, Decoding(max_new_tokens=new_tokens))
        config.return_dict_in_generate = True
        with torch.no_grad():
            return self.model.generate(**inputs, generation_config=config)

    def answer_all(self, new_tokens: int) -> None:
        """Write so many tokens after every prompt."""
        for index in range(len(self.queries)):
            self.generate(index, new_tokens)

    def counts(self, new_tokens: int) -> dict[str, Any]:
        """Tokens, operations and cache, as means over the queries."""
        lengths = self.queries.lengths
        first = count_flops(partial(self.answer_all, 1)) / len(lengths)
        whole = count_flops(partial(self.answer_all, 1 + new_tokens)) / len(lengths)
        caches = [cache_bytes(self.generate(index, 1).past_key_values) for index in range(len(lengths))]
        return {
            "prompt_tokens": rounded(sum(lengths) / len(lengths)),
            "longest_prompt": max(lengths),
            "flops_prefill": round(first),
            "flops_per_token": round((whole - first) / new_tokens),
            "kv_bytes": round(sum(caches) / len(caches)),
        }


def cache_bytes(cache: Any) -> int:
    """Return the bytes of all keys and values of a cache, as its tensors are."""
    tensors = [getattr(layer, name, None) for layer in cache.layers for name in ("keys", "values")]
    return sum(tensor.nbytes for tensor in tensors if isinstance(tensor, Tensor))


def inference_cost(
    askings: Mapping[str, Asking], *, new_tokens: int = 8, rounds: int = 5
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Count and time answers of several models, in turns.

    Args:
        askings: By name of their line, at least one; the same queries.
        new_tokens: Tokens after the first one; they are written whatever the model would say.
        rounds: Rounds of timing; in each, every model writes one token, and one and ``new_tokens`` more, for all
            queries.

    Returns:
        Results: ``queries``, ``new_tokens`` and for every line the mean ``prompt_tokens``, the ``longest_prompt``,
        ``flops_prefill`` (image features included), ``flops_per_token`` (mean over the later tokens) and ``kv_bytes``
        after the first token. Volatile: ``clock``, and for every line median and quartiles over the rounds of
        ``seconds_to_first_token`` and ``seconds_per_token``, each the mean of a query.
    """
    one = next(iter(askings.values()))
    number, device = len(one.queries), one.backbone.device
    calls: dict[str, Callable[[], object]] = {}
    for name, asking in askings.items():
        calls[f"{name} first"] = partial(asking.answer_all, 1)
        calls[f"{name} whole"] = partial(asking.answer_all, 1 + new_tokens)
    results = {
        "queries": number, "new_tokens": new_tokens,
        "lines": {name: asking.counts(new_tokens) for name, asking in askings.items()},
    }  # fmt: skip
    seconds = in_turns(calls, device, rounds=rounds)
    lines = {}
    for name in askings:
        first, whole = seconds[f"{name} first"], seconds[f"{name} whole"]
        later = [(all_ - start) / new_tokens / number for start, all_ in zip(first, whole, strict=True)]
        lines[name] = {
            "seconds_to_first_token": spread([value / number for value in first]),
            "seconds_per_token": spread(later),
        }
    return results, {"clock": clock_name(device), "lines": lines}


def measure_inference_cost(request: MeasureRequest, options: Mapping[str, Any]) -> Measured:
    """Count and time the answers of a cell beside zero-shot; see :func:`inference_cost`."""
    backbone, model = request.train(request.folder)
    cell, data = request.cell, request.data
    queries, new_tokens = data.queries[: options["queries"]], options["new_tokens"]
    ask = partial(Asking.of, backbone, queries=queries, support=data.support, new_tokens=new_tokens + 1, seed=cell.seed)
    askings = {request.name: ask(model=model, shots=cell.shots, retrieval=cell.retrieval)}
    askings.setdefault(ZERO_SHOT, ask(model=backbone.model, shots=0))
    results, volatile = inference_cost(askings, new_tokens=new_tokens, rounds=options["rounds"])
    for name, line in results["lines"].items():
        line["shots"] = cell.shots if name == request.name else 0
    return Measured(results, volatile)
