"""Task vectors against patching by hand, in one forward and in generation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import Tensor

from closeness import assert_close, rounding_budget
from hificl.backbones import Encoded
from hificl.errors import InputError
from hificl.methods.activations import last_token_activations, without_answer
from hificl.methods.fitting import Fitting
from hificl.methods.task_vector import TaskVectorConfig, fit, peft_config
from hificl.tuner import interventions

from .by_hand import after, decoder_layers, logits_of, steps_of


@pytest.fixture(scope="module")
def prompts(fitting: Fitting) -> list[Encoded]:
    """Three prompts of different lengths, so that the batch is padded."""
    found = [fitting.ask(one) for one in fitting.examples[:3]]
    assert len({one.length for one in found}) > 1
    return found


@contextmanager
def patched_by_hand(model: Any, layer: int, vector: Tensor, *, every_step: bool = False) -> Iterator[None]:
    def patch(hidden: Tensor) -> Tensor | None:
        if hidden.shape[1] == 1 and not every_step:
            return None
        hidden = hidden.clone()
        hidden[:, -1] = vector
        return hidden

    with after(decoder_layers(model)[layer], patch):
        yield


def with_vector(fitting: Fitting, layer: int) -> tuple[PeftModel, Tensor]:
    model = fitting.new_model(TaskVectorConfig(layer=layer))
    vector = 3 * torch.randn(60, generator=torch.Generator().manual_seed(1))
    (place,) = interventions(model)
    assert place == ("residual", layer)
    interventions(model)[place].residual_vector.copy_(vector)  # type: ignore[operator, union-attr]
    return model, vector


@pytest.mark.parametrize("layer", [0, 1])
def test_a_vector_at_a_layer_is_patching_by_hand(fitting: Fitting, prompts: list[Encoded], layer: int) -> None:
    base = fitting.backbone
    model, vector = with_vector(fitting, layer)
    found, found_steps = logits_of(base, model, prompts), steps_of(base, model, prompts)
    with patched_by_hand(base.model, layer, vector):
        assert torch.equal(found, logits_of(base, base.model, prompts))
        for one, other in zip(found_steps, steps_of(base, base.model, prompts), strict=True):
            assert torch.equal(one, other)
    with patched_by_hand(base.model, layer, vector, every_step=True):
        assert not torch.equal(found_steps[1], steps_of(base, base.model, prompts)[1]), "only the prefill is patched"
    assert not torch.equal(found, logits_of(base, base.model, prompts))


def test_after_the_last_layer_every_query_gets_the_same_answer(fitting: Fitting, prompts: list[Encoded]) -> None:
    model, _ = with_vector(fitting, 1)
    found = logits_of(fitting.backbone, model, prompts)
    assert torch.equal(found, found[:1].expand_as(found))


def test_the_fit_takes_the_mean_state_to_the_best_layer(fitting: Fitting, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = {0: 25.0, 1: 50.0}
    seen = []

    def score(self: Fitting, model: PeftModel, examples: Any) -> float:
        ((_, layer),) = interventions(model)
        seen.append((layer, [one.id for one in examples]))
        return scores[layer]

    monkeypatch.setattr(Fitting, "score", score)
    fitted = fit(fitting, TaskVectorConfig(shots=2, prompts=5, held_out_examples=3))
    held = [one.id for one in fitting.held_out[:3]]
    assert seen == [(0, held), (1, held)]
    assert fitted.model.peft_config["default"].to_dict()["layer"] == 1
    assert fitted.report == {"layer": 1, "layer_scores": {"0": 25.0, "1": 50.0}, "prompts": 5}
    prompts = [without_answer(one) for one in fitting.prompts(5, 2, "task vector")]
    states = last_token_activations(fitting.backbone, fitting.backbone.model, prompts, "residual")
    vector: Any = interventions(fitted.model)["residual", 1].residual_vector
    expected, exact = states[:, 1].mean(dim=0), states[:, 1].double().mean(dim=0)
    assert_close(vector, expected, rounding_budget(expected, exact))
    scores[0] = 50.0
    assert fit(fitting, TaskVectorConfig(shots=2, prompts=5)).report["layer"] == 0, "the earliest among equals"


def test_a_named_layer_needs_no_held_out_examples(fitting: Fitting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fitting, "score", lambda *_: pytest.fail("there is nothing to choose"))
    fitted = fit(fitting, peft_config(fitting.backbone, {"shots": 2, "prompts": 3, "layer": 0}))
    assert list(interventions(fitted.model)) == [("residual", 0)]
    assert fitted.report["layer_scores"] == {}


def test_layers_to_transform_bounds_the_choice(fitting: Fitting) -> None:
    fitted = fit(fitting, TaskVectorConfig(shots=2, prompts=3, layers_to_transform=[1]))
    assert list(fitted.report["layer_scores"]) == ["1"]


@pytest.mark.parametrize("layer", [-1, 1.5, True])
def test_a_layer_is_an_index(layer: Any) -> None:
    with pytest.raises(InputError, match="TaskVectorConfig: layer is .*; give an index from 0, or None"):
        TaskVectorConfig(layer=layer)


@pytest.mark.parametrize("options, words", [
    ({"layer": 7}, "TaskVectorConfig: layer is 7, and the text decoder has 2 layers .* from 0 to 1, or None"),
    ({"layer": 1, "layers_to_transform": [0]}, r"layer is 1, and layers_to_transform=\[0\] leaves it out"),
])  # fmt: skip
def test_a_layer_that_there_is_not_is_refused(fitting: Fitting, options: dict[str, Any], words: str) -> None:
    """At the start of a fit, and where a config is attached."""
    with pytest.raises(InputError, match=words):
        fit(replace(fitting, examples=fitting.examples[:1]), TaskVectorConfig(shots=2, prompts=3, **options))
    with pytest.raises(InputError, match=words):
        fitting.new_model(TaskVectorConfig(**options))


def test_numbers_of_the_procedure() -> None:
    config = TaskVectorConfig()
    assert (config.shots, config.prompts, config.held_out_examples, config.layer) == (4, 100, 50, None)
