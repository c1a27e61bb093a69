"""The real mass alpha per layer, head and type of token; from where virtual pairs are attended, and what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hificl.backbones import Backbone, Encoded, encode
from hificl.data import Example
from hificl.diagnostics.distances import rounded
from hificl.diagnostics.measure import Measured, MeasureRequest
from hificl.diagnostics.token_types import TOKEN_TYPES, token_types
from hificl.diagnostics.value_words import value_words
from hificl.diagnostics.watched import Mass, watched
from hificl.errors import InputError
from hificl.evaluation.progress import Progress
from hificl.methods.activations import batches, end_logits
from hificl.tuner.pairs import Pairs

QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
ALL = "all"
"""Stands for the tokens of all types."""

TOP = 5
"""Tokens that are named per pair."""


class _Query(NamedTuple):
    encoded: Encoded
    means: Tensor
    """[types tokens], each row takes the mean over the tokens of one type; zeros for a type that there is none of."""
    ids: Tensor
    """Index of each token among all distinct ones, [tokens]."""


def real_mass(
    backbone: Backbone, model: Any, queries: Sequence[Example], *, listed: int = 64, batch_size: int | None = None
) -> dict[str, Any]:
    """Measure where attention goes in a model with virtual pairs, which reads queries with their first answers.

    Args:
        backbone: The backbone in the prompt form of the adapter.
        model: With an adapter of virtual pairs (HiFICL, prefix tuning as pairs, MimIC), in eval mode.
        queries: At least one, each with an answer; they are read without demonstrations.
        listed: Pairs that are described, those with the most mass.
        batch_size: Queries per forward; None takes what fits.

    Returns:
        ``queries``, ``layers``, ``heads``, ``virtual``; ``tokens``, how many of each type were read; ``alpha`` for
        "all" and each type, the mass on real keys as ``mean`` and quantiles over queries, [layers heads]; and the
        pairs: ``mass``, ``by_type`` (mean mass on it), ``from`` (the tokens with the highest mean mass on it), ``says``
        (see :func:`hificl.diagnostics.value_words.value_words`) and ``value_norm``. With additive mixing alpha is the
        share that the softmax would leave to real keys, which is not applied there; with ``compat="official"`` it is
        taken over all keys, as that form does.

    Raises:
        InputError: No query, one without answer, no active virtual pairs, or an attention that is no plain softmax.
    """
    asked, known = _ask(backbone, queries)
    sums = _Sums(len(known), asked)
    with watched(model, sums.watch) as modules, Progress(len(asked), "real mass", "sample") as progress:
        for batch in batches([one.encoded for one in asked], batch_size):
            sums.begin(batch)
            end_logits(backbone, model, batch, 1)
            progress.advance(len(batch))
    return {"queries": len(asked), **sums.results(backbone, model, modules, known, listed)}


def _ask(backbone: Backbone, queries: Sequence[Example]) -> tuple[list[_Query], list[int]]:
    """Encode the queries; the ids are those of all distinct tokens."""
    if not queries:
        raise InputError("real_mass: no query was given; pass at least one.")
    known: dict[int, int] = {}
    asked = []
    for query in queries:
        if not query.answers:
            raise InputError(f"sample {query.id!r} has no answer to read; add one or leave the sample out.")
        encoded = encode(backbone, query, answer=query.answers[0])
        types = token_types(backbone, query, encoded)
        rows = torch.tensor([[name in (ALL, told) for told in types] for name in (ALL, *TOKEN_TYPES)])
        means = rows.double() / rows.sum(dim=1, keepdim=True).clamp_min(1)
        ids = [known.setdefault(token, len(known)) for token in (*encoded.input_ids, *encoded.answer_ids)]
        asked.append(_Query(encoded, means, torch.tensor(ids)))
    return asked, list(known)


class _Sums:
    """What the watched layers add up, in float64 on the CPU."""

    def __init__(self, distinct: int, asked: Sequence[_Query]) -> None:
        self.asked, self.distinct = asked, distinct
        self.place = 0
        self.batch: Sequence[_Query] = ()
        self.alpha: dict[int, list[Tensor]] = {}
        self.mass: dict[int, list[Tensor]] = {}
        self.by_token: dict[int, Tensor] = {}
        self.pairs: dict[int, Pairs] = {}
        counts = torch.cat([one.ids for one in asked])
        self.occurrences = torch.bincount(counts, minlength=distinct)

    def begin(self, batch: Sequence[Encoded]) -> None:
        """Say which queries the next forward reads."""
        self.batch = self.asked[self.place : self.place + len(batch)]
        self.place += len(batch)

    def watch(self, layer: int, mass: Mass) -> None:
        """Add one attention call; padding stands on the left."""
        self.pairs[layer] = mass.pairs
        for row, query in enumerate(self.batch):
            tokens = len(query.ids)
            alpha = mass.alpha[row, :, -tokens:].double().cpu()
            weights = mass.weights[row, :, -tokens:].double().cpu()
            self.alpha.setdefault(layer, []).append(query.means @ alpha.T)
            self.mass.setdefault(layer, []).append(torch.einsum("yt,htv->yhv", query.means, weights))
            if layer not in self.by_token:
                self.by_token[layer] = weights.new_zeros(self.distinct, *weights.shape[::2])
            self.by_token[layer].index_add_(0, query.ids, weights.transpose(0, 1))

    def results(
        self, backbone: Backbone, model: Any, modules: Sequence[nn.Module], known: Sequence[int], listed: int
    ) -> dict[str, Any]:
        """Summarise, given the attention modules and the ids of the distinct tokens."""
        layers = range(len(modules))
        alpha = torch.stack([torch.stack(self.alpha[layer]) for layer in layers], dim=1)  # [queries layers types heads]
        mass = torch.stack([torch.stack(self.mass[layer]) for layer in layers], dim=1)  # [... types heads virtual]
        there = torch.stack([one.means.sum(dim=1) > 0 for one in self.asked])
        counts = {name: int((one > 0).sum()) for name, one in self._types()}
        types = [(row, name) for row, name in enumerate((ALL, *TOKEN_TYPES)) if there[:, row].any()]
        by_type = {name: mass[there[:, row], :, row].mean(dim=0) for row, name in types}
        return {
            "layers": len(modules),
            "heads": alpha.shape[-1],
            "virtual": mass.shape[-1],
            "tokens": {name: counts[name] for _, name in types if name != ALL},
            "alpha": {name: _spread(alpha[there[:, row], :, row]) for row, name in types},
            "pairs_in_all": by_type[ALL].numel(),
            "pairs": self._described(backbone, model, modules, known, listed, by_type),
        }

    def _types(self) -> list[tuple[str, Tensor]]:
        every = torch.cat([one.means for one in self.asked], dim=1)
        return list(zip((ALL, *TOKEN_TYPES), every, strict=True))

    def _described(
        self, backbone: Backbone, model: Any, modules: Sequence[nn.Module], known: Sequence[int], listed: int,
        by_type: Mapping[str, Tensor],
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Describe the pairs with the most mass, most first."""
        values = {layer: self.pairs[layer].value for layer in self.pairs}
        words = {layer: value_words(model, modules[layer], values[layer], TOP) for layer in values}
        order = by_type[ALL].flatten().argsort(descending=True, stable=True)[:listed]
        places = torch.stack(torch.unravel_index(order, by_type[ALL].shape), dim=1).tolist()
        found = []
        for layer, head, pair in places:
            means = self.by_token[layer][:, head, pair] / self.occurrences
            nearest = means.topk(min(TOP, len(known)))
            said = words[layer]
            shares = {name: rounded(float(mean[layer, head, pair])) for name, mean in by_type.items()}
            found.append(
                {
                    "layer": layer, "head": head, "pair": pair, "mass": shares.pop(ALL), "by_type": shares,
                    "from": _named(backbone, [known[place] for place in nearest.indices], nearest.values.tolist()),
                    "says": None if said is None else _named(backbone, *zip(*said[head][pair], strict=True)),
                    "value_norm": rounded(float(values[layer][head, pair].norm())),
                }
            )  # fmt: skip
        return found


def _spread(alpha: Tensor) -> dict[str, list[list[float]]]:
    """Mean and quantiles over queries of [queries layers heads]."""
    found = {"mean": alpha.mean(dim=0)}
    found |= {name: alpha.quantile(share, dim=0) for name, share in QUANTILES.items()}
    return {name: [[rounded(value) for value in heads] for heads in layers] for name, layers in found.items()}


def _named(backbone: Backbone, ids: Sequence[int], numbers: Sequence[float]) -> list[list[Any]]:
    return [[backbone.tokenizer.decode([token]), rounded(number)] for token, number in zip(ids, numbers, strict=True)]


def measure_real_mass(request: MeasureRequest, options: Mapping[str, Any]) -> Measured:
    """Measure the pairs of a cell; see :func:`real_mass`."""
    backbone, model = request.train(request.folder)
    return Measured(real_mass(backbone, model, request.data.queries[: options["queries"]], listed=options["listed"]))
