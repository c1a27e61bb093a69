"""Only the adapter learns, all of it does, and recomputing activations changes no gradient."""

from __future__ import annotations

import re

import pytest
import torch

from closeness import assert_close, rounding_budget

from .catalogue import TWINS
from .probes import adapter_parameters, gradients, in_double, samples, wrap
from .twins import collate


@pytest.mark.parametrize("name", TWINS)
def test_every_factor_and_nothing_else_gets_a_gradient(name: str) -> None:
    model = wrap(TWINS[name].build())
    learned = dict(adapter_parameters(model))
    assert {key for key, p in model.named_parameters() if p.requires_grad} == set(learned)
    found = gradients(model, collate(samples(name), "left"))
    assert set(found) == set(learned)
    for key, gradient in found.items():
        assert torch.isfinite(gradient).all(), key
        assert (gradient.flatten(1) != 0).any(1).all(), f"{key}: a head gets no gradient"


@pytest.mark.parametrize("name", ["llava_qwen2", "idefics2", "qwen2_5_vl", "gemma3", "deepseek_v3", "gpt_oss"])
def test_padding_side_and_precision_do_not_change_gradients(name: str) -> None:
    model = wrap(TWINS[name].build())
    right = gradients(model, collate(samples(name)))
    left = gradients(model, collate(samples(name), "left"))
    twin = wrap(TWINS[name].build()).double()
    exact = gradients(twin, in_double(collate(samples(name), "left")))
    for key, gradient in right.items():
        assert_close(left[key], gradient, rounding_budget(gradient, exact[key]), f"{name} {key}")


@pytest.mark.parametrize("name", ["llava_qwen2", "qwen3_vl", "idefics", "mllama", "phi3"])
def test_gradient_checkpointing_changes_nothing(name: str) -> None:
    model, batch = wrap(TWINS[name].build()), collate(samples(name))
    without = gradients(model, batch, training=True)
    model.enable_input_require_grads()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    calls = []
    site, _ = next(adapter_parameters(model))
    layer = model.get_submodule(re.match(r".*?layers\.\d+", site)[0])
    next(layer.children()).register_forward_pre_hook(lambda *_: calls.append(1))
    checkpointed = gradients(model, batch, training=True)
    assert len(calls) == 2, "the layer was not recomputed: checkpointing was off"
    for key in without:
        assert torch.equal(checkpointed[key], without[key]), key
