"""Activations and answer starts against plain hooks, one prompt at a time."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from closeness import assert_close, rounding_budget
from hificl.backbones import Backbone, Encoded
from hificl.errors import InputError
from hificl.methods.activations import (
    answer_starts,
    last_token_activations,
    losses_with_replaced_heads,
    without_answer,
)
from hificl.methods.fitting import Fitting
from hificl.methods.head_replacement import HeadReplacement, replaced_heads
from hificl.tuner import find_places

from .by_hand import after, before, decoder_layers, logits_of


@pytest.fixture(scope="module")
def prompts(fitting: Fitting) -> list[Encoded]:
    """Five prompts with answers, of different lengths."""
    found = fitting.prompts(5, 2, "test")
    assert len({one.length for one in found}) > 1
    return found


def recorded_by_hand(backbone: Backbone, prompt: Encoded, site: str) -> Tensor:
    """Last-token activation of every layer for one prompt alone, [layers ...]."""
    model, seen = backbone.model, list[Tensor]()

    def keep(activation: Tensor) -> None:
        seen.append(activation[0, -1].clone())

    with ExitStack() as stack:
        for layer in decoder_layers(model):
            if site == "head_output":
                stack.enter_context(before(layer.self_attn.o_proj, keep))
            else:
                modules = {"attention_output": layer.self_attn, "mlp_output": layer.mlp, "residual": layer}
                stack.enter_context(after(modules[site], keep))
        logits_of(backbone, model, [prompt])
    found = torch.stack(seen)
    return found.unflatten(-1, (6, 10)) if site == "head_output" else found


@pytest.mark.parametrize("site", ["head_output", "attention_output", "mlp_output", "residual"])
@pytest.mark.parametrize("batch_size", [None, 2])
def test_activations_of_a_padded_batch_are_those_of_each_prompt_alone(
    fitting: Fitting, double: Backbone, prompts: list[Encoded], site: str, batch_size: int | None
) -> None:
    plain = [without_answer(one) for one in prompts]
    found = last_token_activations(fitting.backbone, fitting.backbone.model, plain, site, batch_size=batch_size)
    expected, exact = (
        torch.stack([recorded_by_hand(base, one, site) for one in prompts]) for base in (fitting.backbone, double)
    )
    assert_close(found, expected, rounding_budget(expected, exact), site)


def test_with_an_answer_the_last_token_is_that_of_the_answer(fitting: Fitting, prompts: list[Encoded]) -> None:
    base = fitting.backbone
    whole = replace(prompts[0], input_ids=prompts[0].input_ids + prompts[0].answer_ids, answer_ids=[])
    found = last_token_activations(base, base.model, [prompts[0]], "residual")
    expected = last_token_activations(base, base.model, [whole], "residual")
    assert_close(found, expected, 0.0)
    assert not torch.equal(found, last_token_activations(base, base.model, [without_answer(whole)], "mlp_output"))


def chances_of(backbone: Backbone, prompts: list[Encoded]) -> Tensor:
    """Log-probabilities of the next token, one prompt at a time, [prompts vocabulary]."""
    return torch.cat([logits_of(backbone, backbone.model, [one]) for one in prompts]).log_softmax(dim=-1)


def test_answer_starts_score_the_first_token(fitting: Fitting, double: Backbone, prompts: list[Encoded]) -> None:
    base = fitting.backbone
    chances = chances_of(base, prompts)
    likely = [replace(one, answer_ids=[int(row.argmax())]) for one, row in zip(prompts, chances, strict=True)]
    asked = [*likely[:2], *prompts[2:]]
    found = answer_starts(base, base.model, asked)
    expected = -torch.stack([row[one.answer_ids[0]] for one, row in zip(asked, chances, strict=True)])
    assert_close(found.losses, expected, rounding_budget(chances, chances_of(double, prompts)))
    assert found.greedy.tolist() == [
        int(row.argmax()) == one.answer_ids[0] for one, row in zip(asked, chances, strict=True)
    ]
    assert found.greedy[:2].all()


def loss_with_heads(backbone: Backbone, prompt: Encoded, means: Tensor, mask: Tensor) -> Tensor:
    """Loss of the first answer token with some heads [layers heads] overwritten in front of the output projection."""
    with ExitStack() as stack:
        for layer, mean, chosen in zip(decoder_layers(backbone.model), means, mask, strict=True):
            positions = chosen.repeat_interleave(10)

            def change(heads: Tensor, mean: Tensor = mean, positions: Tensor = positions) -> Tensor:
                heads = heads.clone()
                heads[:, -1, positions] = mean.flatten()[positions].to(heads)
                return heads

            stack.enter_context(before(layer.self_attn.o_proj, change))
        return -chances_of(backbone, [prompt])[0, prompt.answer_ids[0]]


def test_each_row_has_its_own_heads_replaced(fitting: Fitting, double: Backbone, prompts: list[Encoded]) -> None:
    """Five masks over two layers of six heads, in batches of three; the last one replaces nothing."""
    base, prompt = fitting.backbone, prompts[1]
    generator = torch.Generator().manual_seed(5)
    means = torch.randn(2, 6, 10, generator=generator)
    masks = torch.rand(5, 2, 6, generator=generator) < 0.4
    masks[4] = False
    with HeadReplacement(base.model, find_places(base.model, "head_output"), means) as replacement:
        found = losses_with_replaced_heads(base, replacement, prompt, masks, batch_size=3)
        untouched = answer_starts(base, base.model, [prompt]).losses
    expected, exact = (
        torch.stack([loss_with_heads(one, prompt, means, mask) for mask in masks]) for one in (base, double)
    )
    budget = rounding_budget(expected, exact)
    assert_close(found, expected, budget)
    assert (found[:4, None] - found[None, 4:]).abs().min() > 100 * budget
    assert_close(untouched, expected[4:], budget, "without masks")


def test_nothing_is_left_of_a_replacement(fitting: Fitting) -> None:
    base = fitting.backbone
    module = decoder_layers(base.model)[0].self_attn
    before_it = type(module.config)
    with HeadReplacement(base.model, find_places(base.model, "head_output"), torch.zeros(2, 6, 10)):
        assert type(module.config) is not before_it
    assert type(module.config) is before_it


def test_replaced_heads_keep_dtype_and_earlier_positions() -> None:
    outputs = torch.randn(3, 4, 5, 7).bfloat16()
    found = replaced_heads(outputs, torch.ones(5, 7), torch.tensor([True, False, False, True, False]))
    assert found.dtype == torch.bfloat16
    assert torch.equal(found[:, :3], outputs[:, :3])
    assert torch.equal(found[:, -1, [1, 2, 4]], outputs[:, -1, [1, 2, 4]])
    assert (found[:, -1, [0, 3]] == 1).all()


def test_layers_of_different_sizes_are_refused(
    fitting: Fitting, prompts: list[Encoded], monkeypatch: pytest.MonkeyPatch
) -> None:
    places = find_places(fitting.backbone.model, "residual")
    monkeypatch.setattr("hificl.methods.activations.find_places", lambda *_: [places[0], replace(places[1], heads=3)])
    with pytest.raises(InputError, match=r"layers.0 and .*layers.1 differ in .*\(60, 6, 10\) and \(60, 3, 10\)"):
        last_token_activations(fitting.backbone, fitting.backbone.model, prompts, "residual")
