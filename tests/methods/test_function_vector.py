"""Function vectors against sums, searches and additions by hand."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from closeness import assert_close, rounding_budget
from hificl.errors import InputError
from hificl.methods.activations import AnswerStarts, last_token_activations, without_answer
from hificl.methods.fitting import Fitting
from hificl.methods.function_vector import FunctionVectorConfig, fit, sum_of_heads
from hificl.tuner import interventions

from .by_hand import after, before, decoder_layers, logits_of, steps_of

SMALL: dict[str, Any] = {"shots": 2, "prompts": 5, "shuffled_prompts": 3, "num_heads": 3, "only_correct": False}


@contextmanager
def added_by_hand(model: Any, layer: int, vector: Tensor, *, prefill_only: bool = False) -> Iterator[None]:
    def add(hidden: Tensor) -> Tensor | None:
        if hidden.shape[1] == 1 and prefill_only:
            return None
        hidden = hidden.clone()
        hidden[:, -1] += vector
        return hidden

    with after(decoder_layers(model)[layer], add):
        yield


@pytest.mark.parametrize("layer", [0, 1])
def test_the_vector_is_added_at_the_last_token_of_every_step(fitting: Fitting, layer: int) -> None:
    base = fitting.backbone
    prompts = [fitting.ask(one) for one in fitting.examples[:3]]
    model = fitting.new_model(FunctionVectorConfig(layer=layer, scale=2.0))
    vector = torch.randn(60, generator=torch.Generator().manual_seed(1))
    interventions(model)["residual", layer].residual_vector.copy_(vector)  # type: ignore[operator, union-attr]
    found, found_steps = logits_of(base, model, prompts), steps_of(base, model, prompts)
    with added_by_hand(base.model, layer, 2 * vector):
        assert torch.equal(found, logits_of(base, base.model, prompts))
        for one, other in zip(found_steps, steps_of(base, base.model, prompts), strict=True):
            assert torch.equal(one, other)
    with added_by_hand(base.model, layer, 2 * vector, prefill_only=True):
        assert not torch.equal(found_steps[1][:, 1:], steps_of(base, base.model, prompts)[1][:, 1:])


@pytest.mark.parametrize("bias", [False, True])
def test_the_sum_of_heads_is_that_of_the_projections_columns(fitting: Fitting, bias: bool) -> None:
    """A bias of the projection is no part of it."""
    model = copy.deepcopy(fitting.backbone.model)
    generator = torch.Generator().manual_seed(2)
    if bias:
        for layer in decoder_layers(model):
            projection = nn.Linear(60, 60, bias=True)
            projection.weight.data = layer.self_attn.o_proj.weight.data
            projection.bias.data = torch.randn(60, generator=generator)
            layer.self_attn.o_proj = projection
    changed = replace(fitting, backbone=replace(fitting.backbone, model=model))
    means = torch.randn(2, 6, 10, generator=generator)
    heads = [[1, 4], [0, 2], [1, 0]]
    found = sum_of_heads(changed, means, heads, fitting.ask(fitting.examples[0]))
    parts, exact_parts = [], []
    for layer, head in heads:
        columns = decoder_layers(model)[layer].self_attn.o_proj.weight[:, 10 * head : 10 * head + 10]
        parts.append(columns @ means[layer, head])
        exact_parts.append(columns.double() @ means[layer, head].double())
    expected, exact = torch.stack(parts).sum(dim=0), torch.stack(exact_parts).sum(dim=0)
    biases = 4 * torch.finfo(torch.float32).eps * 4.0 if bias else 0.0  # each difference rounds at the bias's size
    assert_close(found, expected, rounding_budget(expected, exact) + biases)


def best_heads_by_hand(fitting: Fitting, means: Tensor, number: int) -> tuple[list[list[int]], list[float]]:
    """One forward for every prompt and head, with a hook in front of the output projection."""
    base, chances = fitting.backbone, {}
    prompts = fitting.prompts(number, 2, "shuffled", shuffled=True)
    for layer, module in enumerate(decoder_layers(base.model)):
        for head in range(6):

            def change(heads: Tensor, layer: int = layer, head: int = head) -> Tensor:
                heads = heads.clone()
                heads[:, -1, 10 * head : 10 * head + 10] = means[layer, head]
                return heads

            with before(module.self_attn.o_proj, change):
                rows = torch.cat([logits_of(base, base.model, [one]) for one in prompts]).double().softmax(dim=-1)
            right = [row[one.answer_ids[0]].item() for row, one in zip(rows, prompts, strict=True)]
            chances[layer, head] = sum(right) / len(right)
    order = sorted(chances, key=lambda place: -chances[place])
    return [list(place) for place in order[:3]], [chances[place] for place in order[:3]]


def test_the_fit_sums_the_heads_that_make_the_right_answer_likeliest(fitting: Fitting) -> None:
    base = fitting.backbone
    fitted = fit(fitting, FunctionVectorConfig(**SMALL, layer=1))
    plain = [without_answer(one) for one in fitting.prompts(5, 2, "head averages")]
    means = last_token_activations(base, base.model, plain, "head_output").mean(dim=0)
    heads, chances = best_heads_by_hand(fitting, means, 3)
    assert fitted.report["heads"] == heads == fitted.model.peft_config["default"].to_dict()["heads"]
    assert fitted.report["probabilities"] == pytest.approx(chances, rel=1e-4)
    assert fitted.report["forward_passes"] == 3 * 12
    vector: Any = interventions(fitted.model)["residual", 1].residual_vector
    assert torch.equal(vector, sum_of_heads(fitting, means, heads, plain[0]))


@pytest.mark.parametrize("budget, prompts", [(12, 1), (35, 2), (36, 3), (1000, 3)])
def test_the_budget_bounds_the_search(fitting: Fitting, budget: int, prompts: int) -> None:
    report = fit(fitting, FunctionVectorConfig(**SMALL, layer=1, budget=budget)).report
    assert (report["shuffled_prompts"], report["forward_passes"]) == (prompts, 12 * prompts)


def test_a_budget_below_one_prompt_is_refused(fitting: Fitting) -> None:
    with pytest.raises(InputError, match="budget of 11 forward passes is below the 12 of one prompt.*at least 12"):
        fit(fitting, FunctionVectorConfig(**SMALL, layer=1, budget=11))
    one_layer = fit(fitting, FunctionVectorConfig(**SMALL, budget=11, layers_to_transform=[1]))
    assert one_layer.report["forward_passes"] == 6
    assert {layer for layer, _ in one_layer.report["heads"]} == {1}
    with pytest.raises(InputError, match="num_heads is 13 and the layers to search have 12 heads"):
        fit(fitting, FunctionVectorConfig(**{**SMALL, "num_heads": 13}))


@pytest.mark.parametrize("right", [(True, False, True, False, False), (False,) * 5])
def test_averages_are_over_prompts_that_are_answered_correctly(
    fitting: Fitting, right: tuple[bool, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over all of them if there is none."""
    answered = AnswerStarts(torch.zeros(5), torch.tensor(right))
    monkeypatch.setattr("hificl.methods.function_vector.answer_starts", lambda *_, **__: answered)
    base = fitting.backbone
    given = {**SMALL, "only_correct": True, "heads": [[0, 5], [1, 1]], "layer": 0}
    fitted = fit(fitting, FunctionVectorConfig(**given))
    prompts = [without_answer(one) for one in fitting.prompts(5, 2, "head averages")]
    used = [one for one, good in zip(prompts, right, strict=True) if good] or prompts
    means = last_token_activations(base, base.model, used, "head_output").mean(dim=0)
    vector: Any = interventions(fitted.model)["residual", 0].residual_vector
    assert torch.equal(vector, sum_of_heads(fitting, means, given["heads"], used[0]))
    assert (fitted.report["correct_prompts"], fitted.report["averaged_prompts"]) == (sum(right), len(used))
    assert "forward_passes" not in fitted.report, "named heads are not searched"


@pytest.mark.parametrize("options, words", [
    ({"heads": [[1, 2, 3]]}, r"heads has \[1, 2, 3\]; each must be \[layer, head\]"),
    ({"heads": [[0, -1]]}, r"heads has \[0, -1\]"),
    ({"scale": float("nan")}, "scale is nan; give a finite number"),
    ({"scale": 10**400}, "give a finite number"),
    ({"budget": 0}, "budget is 0; it must be an integer of at least 1"),
])  # fmt: skip
def test_wrong_options_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        FunctionVectorConfig(**options)


@pytest.mark.parametrize("options, words", [
    ({"heads": [[99, 0]]}, r"FunctionVectorConfig: heads has \[99, 0\], and the text decoder has 2 layers"),
    ({"heads": [[0, 99]]}, r"heads has \[0, 99\], and layer 0 has 6 heads; they go from 0 to 5"),
    ({"layer": 2}, "FunctionVectorConfig: layer is 2, and the text decoder has 2 layers .* from 0 to 1, or None"),
    ({"layer": 0, "layers_to_transform": 1}, "layer is 0, and layers_to_transform=1 leaves it out"),
])  # fmt: skip
def test_what_the_model_does_not_have_is_refused(fitting: Fitting, options: dict[str, Any], words: str) -> None:
    """At the start of a fit, and where a config is attached."""
    with pytest.raises(InputError, match=words):
        fit(replace(fitting, examples=fitting.examples[:1]), FunctionVectorConfig(**{**SMALL, **options}))
    with pytest.raises(InputError, match=words):
        fitting.new_model(FunctionVectorConfig(**options))


def test_named_heads_may_stand_below_the_layer_of_the_vector(fitting: Fitting) -> None:
    given = {**SMALL, "heads": [[0, 5]], "layers_to_transform": [1]}
    assert list(interventions(fit(fitting, FunctionVectorConfig(**given)).model)) == [("residual", 1)]


def test_numbers_of_the_procedure() -> None:
    config = FunctionVectorConfig()
    assert (config.prompts, config.shuffled_prompts, config.num_heads, config.scale) == (100, 25, 10, 1.0)
