"""The summary over queries, layers and types against sums by hand; what values say against the matrices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from peft import PeftModel

from hificl.adapters.stored import new_adapter
from hificl.backbones import Backbone, encode
from hificl.data import Example
from hificl.diagnostics import real_mass
from hificl.diagnostics.token_types import token_types
from hificl.diagnostics.value_words import last_norm, output_projection, value_words
from hificl.diagnostics.watched import Mass, watched
from hificl.errors import InputError
from hificl.methods.activations import end_logits
from hificl.tuner import HiFICLConfig
from methods.small_decoder import HEAD_DIM, HEADS, HIDDEN, small_decoder

VIRTUAL, LAYERS = 3, 2


@pytest.fixture(scope="module")
def model(double: Backbone) -> PeftModel:
    torch.manual_seed(11)
    config = HiFICLConfig(num_virtual_tokens=VIRTUAL, r=2, init_weights=False)
    adapter = new_adapter(double, config).double().eval()
    for parameter in adapter.parameters():
        if parameter.requires_grad:
            parameter.data *= 3
    return adapter


def one_by_one(base: Backbone, model: Any, queries: list[Example]) -> list[tuple[list[str], list[int], list[Mass]]]:
    """For each query, read alone: the types and ids of its tokens, and what each layer did."""
    found = []
    for query in queries:
        encoded = encode(base, query, answer=query.answers[0])
        seen: dict[int, Mass] = {}
        with watched(model, seen.__setitem__):
            end_logits(base, model, [encoded], 1)
        ids = [*encoded.input_ids, *encoded.answer_ids]
        found.append((token_types(base, query, encoded), ids, [seen[layer] for layer in range(LAYERS)]))
    return found


def test_alpha_by_layer_head_and_type(double: Backbone, model: PeftModel, examples: list[Example]) -> None:
    queries = examples[4:9]
    found = real_mass(double, model, queries, listed=1000)
    assert (found["queries"], found["layers"], found["heads"], found["virtual"]) == (5, LAYERS, 6, VIRTUAL)
    parts = one_by_one(double, model, queries)
    for name in ("all", "template", "image", "question", "answer"):
        means = []
        for types, _, layers in parts:
            rows = torch.tensor([name in ("all", one) for one in types])
            means.append(torch.stack([mass.alpha[0][:, rows].mean(dim=1) for mass in layers]))
        by_query = torch.stack(means)
        told = found["alpha"][name]
        assert torch.allclose(torch.tensor(told["mean"]).double(), by_query.mean(0), rtol=1e-5)
        assert torch.allclose(torch.tensor(told["q50"]).double(), by_query.median(0).values, rtol=1e-5)
        assert torch.allclose(torch.tensor(told["q95"]).double(), by_query.quantile(0.95, dim=0), rtol=1e-5)
    assert found["tokens"]["image"] == 5 * 16
    assert sum(found["tokens"].values()) == sum(len(types) for types, _, _ in parts)


def test_what_pairs_are_attended_from(double: Backbone, model: PeftModel, examples: list[Example]) -> None:
    queries = examples[4:9]
    found = real_mass(double, model, queries, listed=1000)
    pairs = found["pairs"]
    assert len(pairs) == found["pairs_in_all"] == LAYERS * 6 * VIRTUAL
    assert [one["mass"] for one in pairs] == sorted((one["mass"] for one in pairs), reverse=True)
    alpha = torch.tensor(found["alpha"]["all"]["mean"])
    for layer, head in ((0, 0), (1, 4)):
        sum_of_pairs = sum(one["mass"] for one in pairs if (one["layer"], one["head"]) == (layer, head))
        assert sum_of_pairs + float(alpha[layer, head]) == pytest.approx(1, abs=1e-5)
    parts = one_by_one(double, model, queries)
    for one in pairs[:3]:
        by_token: dict[int, list[float]] = {}
        for _, ids, layers in parts:
            weights = layers[one["layer"]].weights[0, one["head"], :, one["pair"]]
            for token, weight in zip(ids, weights.tolist(), strict=True):
                by_token.setdefault(token, []).append(weight)
        means = sorted(((sum(seen) / len(seen), token) for token, seen in by_token.items()), reverse=True)[:5]
        assert one["from"] == [
            [double.tokenizer.decode([token]), pytest.approx(mean, rel=1e-5)] for mean, token in means
        ]
    assert len(real_mass(double, model, queries, listed=7)["pairs"]) == 7


def test_batches_do_not_matter(double: Backbone, model: PeftModel, examples: list[Example]) -> None:
    whole, single = (real_mass(double, model, examples[4:9], batch_size=size) for size in (5, 1))
    for name, told in whole["alpha"].items():
        assert torch.allclose(torch.tensor(told["q05"]), torch.tensor(single["alpha"][name]["q05"]), rtol=1e-4)


def test_unusable_input(double: Backbone, model: PeftModel, examples: list[Example]) -> None:
    with pytest.raises(InputError, match="no query was given"):
        real_mass(double, model, [])
    with pytest.raises(InputError, match="'q4' has no answer"):
        real_mass(double, model, [replace(examples[4], answers=[])])
    with pytest.raises(InputError, match="no virtual pairs are active"):
        real_mass(double, double.model, examples[:2])


def test_words_of_a_value_are_those_of_the_matrices() -> None:
    model = small_decoder()
    attention = model.model.layers[1].self_attn
    # What it adds whatever the heads say is none of a value's words.
    attention.o_proj.bias = torch.nn.Parameter(9 * torch.randn(HIDDEN, dtype=torch.float64), requires_grad=False)
    values = torch.randn(HEADS, VIRTUAL, HEAD_DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    found = value_words(model, attention, values, top=4)
    assert found is not None
    for head, pair in ((0, 0), (5, 2)):
        slot = attention.o_proj.weight[:, head * HEAD_DIM : (head + 1) * HEAD_DIM]
        logits = model.lm_head(model.model.norm(slot @ values[head, pair]))
        expected = logits.topk(4)
        assert [token for token, _ in found[head][pair]] == expected.indices.tolist()
        assert [number for _, number in found[head][pair]] == pytest.approx(expected.values.tolist(), rel=1e-5)


def test_what_cannot_be_read_is_none() -> None:
    model = small_decoder()
    attention = model.model.layers[0].self_attn
    assert output_projection(attention, HEADS * HEAD_DIM) is attention.o_proj
    assert value_words(model, attention, torch.ones(HEADS, VIRTUAL, HEAD_DIM + 1), top=2) is None
    assert last_norm(model) is model.model.norm
