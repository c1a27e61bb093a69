"""Pairs are multiplied out once per generation, and every change since is seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
import torch
from peft import PeftModel, get_peft_model
from torch import Tensor
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from hificl import HiFICLConfig
from hificl.tuner.pairs import VirtualPairs

VOCABULARY, LAYERS, NEW_TOKENS = 61, 2, 7
PROMPT = torch.tensor([[5, 17, 3, 44], [9, 2, 28, 31]])


def adapted() -> PeftModel:
    """A model with the adapters "default" and "other"."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=24, intermediate_size=40, num_hidden_layers=LAYERS, num_attention_heads=3,
        num_key_value_heads=1, max_position_embeddings=64,
    )  # fmt: skip
    options = HiFICLConfig(num_virtual_tokens=5, r=2, init_weights=False, task_type="CAUSAL_LM")
    model = get_peft_model(LlamaForCausalLM(config), options)
    model.add_adapter("other", options)
    return model.eval()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often pairs were multiplied out."""
    counted: Counter[str] = Counter()
    matrix = VirtualPairs._matrix

    def count(self: VirtualPairs, name: str) -> Tensor:
        counted[name] += 1
        return matrix(self, name)

    monkeypatch.setattr(VirtualPairs, "_matrix", count)
    return counted


def generate(model: PeftModel, **options: object) -> Tensor:
    return model.generate(
        input_ids=PROMPT,
        max_new_tokens=NEW_TOKENS,
        min_new_tokens=NEW_TOKENS,
        do_sample=False,
        pad_token_id=0,
        **options,
    )


def test_a_generation_multiplies_out_once(calls: Counter[str]) -> None:
    model = adapted()
    generate(model)
    assert calls == {"key": LAYERS, "value": LAYERS}
    generate(model)
    assert calls == {"key": 2 * LAYERS, "value": 2 * LAYERS}, "the next prompt makes them anew"


def test_a_mixed_batch_multiplies_out_once_per_adapter(calls: Counter[str]) -> None:
    generate(adapted(), adapter_names=["other", "default"])
    assert calls == {"key": 2 * LAYERS, "value": 2 * LAYERS}


def test_training_multiplies_out_every_time(calls: Counter[str]) -> None:
    model = adapted()
    for _ in range(3):
        model(input_ids=PROMPT[:, :1], past_key_values=None).logits.sum().backward()
    assert calls["key"] == 3 * LAYERS


def edit_in_place(model: PeftModel) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "value_right" in name:
                parameter.mul_(-3)


def switch(model: PeftModel) -> None:
    model.set_adapter("other")


def replace(model: PeftModel) -> None:
    for module in model.modules():
        if isinstance(module, VirtualPairs):
            module.value_right = torch.nn.Parameter(-3 * module.value_right.detach())


def set_data(model: PeftModel) -> None:
    """What ``module.to`` does; torch counts it as no change of the parameter."""
    for name, parameter in model.named_parameters():
        if "value_right" in name:
            parameter.data = -3 * parameter.data


def train(model: PeftModel) -> None:
    """Steps of an optimiser write in place."""
    with torch.enable_grad():
        model.set_adapter("default")
        model(input_ids=PROMPT).logits.square().sum().backward()
    torch.optim.SGD([p for p in model.parameters() if p.grad is not None], lr=0.5).step()


@pytest.mark.parametrize(
    "change", [edit_in_place, set_data, switch, replace, train], ids=lambda change: change.__name__
)
def test_a_change_between_two_steps_is_seen(change: Callable[[PeftModel], None]) -> None:
    """The step after a change is that of a model that never kept anything."""
    kept, fresh = adapted(), adapted()
    steps = {}
    for model in (kept, fresh):
        cache = DynamicCache(config=model.config)
        with torch.no_grad():
            model(input_ids=PROMPT, past_key_values=cache)
            before = model(input_ids=PROMPT[:, :1], past_key_values=cache).logits
            change(model)
            for module in model.modules():
                if model is fresh and hasattr(module, "folded"):
                    module.folded = None
            steps[model] = model(input_ids=PROMPT[:, :1], past_key_values=cache).logits
        assert not torch.equal(before, steps[model])
    assert torch.equal(steps[kept], steps[fresh])


@pytest.mark.parametrize("training", [False, True])
def test_a_later_adapter_takes_the_mode_of_the_model(training: bool) -> None:
    model = adapted().train(training)
    model.add_adapter("third", HiFICLConfig(num_virtual_tokens=5, r=2))
    assert {module.training for module in model.modules()} == {training}


def test_products_are_not_rounded_under_autocast() -> None:
    """Factors are kept in float32; the attention that the pairs join casts as it does without them."""
    layer = next(module for module in adapted().modules() if isinstance(module, VirtualPairs))
    expected = layer()
    with torch.autocast("cpu", torch.bfloat16):
        found = layer()
    assert torch.equal(found.key, expected.key)
    assert torch.equal(found.value, expected.value)
