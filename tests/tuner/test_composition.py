"""Several adapters at once: one softmax over the pairs of all of them, with the mass that they are given."""

from __future__ import annotations

import math

import pytest
import torch
from peft import PeftModel, get_peft_model
from torch import Tensor

import hificl
from closeness import assert_close
from hificl.errors import InputError
from hificl.tuner import HiFICLLayer
from hificl.tuner.sidecar import sidecars
from methods.small_decoder import padded_batch, small_decoder

OPTIONS = {"factorize_key": False, "factorize_value": False, "learn_score_offset": True}


def drawn(model: PeftModel, adapter: str, seed: int) -> PeftModel:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if f".hificl_kv.{adapter}." in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def two() -> PeftModel:
    """Adapters "a" with 2 pairs and "b" with 3, both active."""
    model = get_peft_model(small_decoder(), hificl.HiFICLConfig(num_virtual_tokens=2, **OPTIONS), adapter_name="a")
    model.add_adapter("b", hificl.HiFICLConfig(num_virtual_tokens=3, **OPTIONS))
    drawn(drawn(model, "a", 1), "b", 2).base_model.set_adapter(["a", "b"])
    return model.eval()


def together(weights: dict[str, float]) -> PeftModel:
    """The same pairs as one adapter, the logarithms of the weights taken off their offsets by hand."""
    parts, number = two(), 5
    one = get_peft_model(small_decoder(), hificl.HiFICLConfig(num_virtual_tokens=number, **OPTIONS)).eval()
    for layer, joint in zip(layers(parts), layers(one), strict=True):
        made = joint.adapters["default"]
        with torch.no_grad():
            for name in ("key_full", "value_full"):
                getattr(made, name).copy_(torch.cat([getattr(layer.adapters[key], name) for key in "ab"], dim=1))
            offsets = [layer.adapters[key].score_offset - math.log(weights.get(key, 1.0)) for key in "ab"]
            made.score_offset.copy_(torch.cat(offsets, dim=1))
    return one


def layers(model: PeftModel) -> list[HiFICLLayer]:
    return [layer for _, _, layer in sidecars(model, HiFICLLayer) if isinstance(layer, HiFICLLayer)]


@torch.no_grad()
def logits(model: torch.nn.Module) -> Tensor:
    batch = padded_batch()
    return model(**batch).logits[batch["attention_mask"].bool()]


@pytest.mark.parametrize("weights", [{}, {"a": 0.3}, {"a": 2.5, "b": 0.7}])
def test_two_adapters_are_one_softmax_over_both(weights: dict[str, float]) -> None:
    model = two()
    model.set_adapter_weights(weights)
    expected = logits(together(weights))
    budget = 64 * torch.finfo(expected.dtype).eps * expected.abs().max().item()
    assert_close(logits(model), expected, budget, "logits")
    for changed in ({"a": 1.7}, {"b": 0.2}):
        model.set_adapter_weights(changed)
        assert (logits(model) - expected).abs().max() > 1e3 * budget


def test_a_weight_of_zero_takes_an_adapter_away() -> None:
    model = two()
    model.set_adapter_weights({"b": 0})
    found = logits(model)
    model.base_model.set_adapter("a")
    model.set_adapter_weights({})
    expected = logits(model)
    assert_close(found, expected, 64 * torch.finfo(expected.dtype).eps * expected.abs().max().item(), "logits")


def test_a_weight_holds_in_a_mixed_batch_too() -> None:
    model, batch = two(), padded_batch()
    names = ["a", "b", "a"]
    model.set_adapter_weights({"b": 0.1})
    with torch.no_grad():
        mixed = model(**batch, adapter_names=names).logits
        for row, name in enumerate(names):
            model.base_model.set_adapter(name)
            alone = model(**batch).logits[row]
            assert torch.allclose(mixed[row], alone, atol=1e-4), name


@torch.no_grad()
def test_a_weight_that_is_set_between_two_steps_is_seen() -> None:
    layer = layers(two())[0]
    prompt = layer(3, 0.5)
    assert layer(3, 0.5, is_step=True) is prompt, "steps use what the prompt has multiplied out"
    layer.weigh({"a": 0.5})
    assert not torch.equal(layer(3, 0.5, is_step=True).score_offset, prompt.score_offset)


def test_a_weight_ends_with_its_adapter() -> None:
    model = two()
    model.set_adapter_weights({"b": 0})
    model.delete_adapter("b")
    model.add_adapter("b", hificl.HiFICLConfig(num_virtual_tokens=3, **OPTIONS))
    drawn(model, "b", 2).base_model.set_adapter(["a", "b"])
    assert torch.equal(logits(model), logits(two()))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"c": 1.0}, "there is no adapter 'c'; loaded are 'a', 'b'"),
        ({"a": -1.0}, "weight of adapter 'a' is -1.0"),
        ({"a": math.inf}, "weight of adapter 'a' is inf"),
        ({"a": True}, "weight of adapter 'a' is True"),
    ],
)
def test_what_is_no_weight_is_refused(weights: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        two().set_adapter_weights(weights)
