"""What holds for every fitted method: deterministic, counted, reloaded to the bit, no value from held-out examples."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model, get_peft_model_state_dict
from torch import Tensor

from hificl.data import Example
from hificl.methods import METHODS
from hificl.methods.fitting import Fitted, Fitting

from .by_hand import decoder_layers, logits_of, steps_of
from .small_decoder import HEAD_DIM, HEADS, HIDDEN, LAYERS, small_decoder

SMALL: dict[str, dict[str, Any]] = {
    "task_vector": {"shots": 2, "prompts": 5},
    "function_vector": {"shots": 2, "prompts": 5, "shuffled_prompts": 2, "num_heads": 3, "only_correct": False},
    "icv": {"demonstrations": 5},
    "mtv": {"shots": 2, "prompts": 5, "pool": 3, "steps": 2, "masks": 4, "final_masks": 3},
}
"""Every fitted method with the sizes of a test."""


def fit(fitting: Fitting, name: str, **options: Any) -> Fitted:
    implementation = METHODS[name].implementation
    fitted: Fitted = implementation.fit(fitting, implementation.peft_config(fitting.backbone, SMALL[name] | options))
    return fitted


def state_of(model: PeftModel) -> dict[str, Tensor]:
    return dict(get_peft_model_state_dict(model, save_embedding_layers=False))


@pytest.fixture(scope="module", params=list(SMALL))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def fitted(name: str, fitting: Fitting) -> Fitted:
    return fit(fitting, name)


def test_every_fitted_method_is_here() -> None:
    assert set(SMALL) == {name for name, method in METHODS.items() if method.kind == "fitted"}


def test_a_fit_is_deterministic(name: str, fitting: Fitting, fitted: Fitted) -> None:
    torch.manual_seed(77)
    again = fit(fitting, name)
    assert again.report == fitted.report
    assert json.loads(json.dumps(again.report)) == again.report
    first, second = state_of(fitted.model), state_of(again.model)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(tensor.any() for tensor in first.values())


def test_another_seed_gives_other_values(name: str, fitting: Fitting, fitted: Fitted) -> None:
    other, known = state_of(fit(replace(fitting, seed=4), name).model), state_of(fitted.model)
    assert other.keys() != known.keys() or not all(torch.equal(other[key], known[key]) for key in known)


def test_a_fitted_adapter_is_reloaded_to_the_bit(name: str, fitting: Fitting, fitted: Fitted, tmp_path: Path) -> None:
    fitted.model.save_pretrained(str(tmp_path), save_embedding_layers=False)
    base: Any = fitting.new_model(METHODS[name].peft_config(fitting.backbone, SMALL[name])).unload()  # type: ignore[arg-type]
    loaded = PeftModel.from_pretrained(base, str(tmp_path)).eval()
    prompts = [fitting.ask(one) for one in fitting.held_out]
    expected = steps_of(fitting.backbone, fitted.model, prompts)
    for found, wanted in zip(steps_of(fitting.backbone, loaded, prompts), expected, strict=True):
        assert torch.equal(found, wanted)
    with fitted.model.disable_adapter():
        assert not torch.equal(steps_of(fitting.backbone, fitted.model, prompts)[1], expected[1])


def test_the_backbone_stays_as_it_was(name: str, fitting: Fitting, fitted: Fitted) -> None:
    base = fitting.backbone
    prompts = [fitting.ask(one) for one in fitting.held_out]
    for layer in decoder_layers(base.model):
        assert type(layer.self_attn.config).__name__ == "Qwen2Config"
    for module in base.model.modules():
        for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values()):
            assert not hook.__module__.startswith("hificl"), "transformers puts some of its own there"
    with fitted.model.disable_adapter():
        assert torch.equal(logits_of(base, base.model, prompts), logits_of(base, fitted.model, prompts))


def test_values_come_from_the_examples_and_choices_from_the_held_out(
    name: str, fitting: Fitting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held-out examples are asked on their own, and only to score; nothing else leaves the two parts."""
    known, held = ({one.id for one in part} for part in (fitting.examples, fitting.held_out))
    ask = Fitting.ask

    def checking(self: Fitting, query: Example, demonstrations: Any = (), model: Any = None) -> Any:
        assert {one.id for one in demonstrations} <= known
        assert query.id in known or (name == "mtv" and query.id in held and not demonstrations)
        return ask(self, query, demonstrations, model)

    monkeypatch.setattr(Fitting, "ask", checking)
    chosen = (
        {"layer": 1} if name in ("task_vector", "function_vector") else {"heads": [[1, 2]]} if name == "mtv" else {}
    )
    with_held_out = state_of(fit(fitting, name, **chosen).model)
    without = state_of(fit(replace(fitting, held_out=()), name, **chosen).model)
    assert all(torch.equal(with_held_out[key], without[key]) for key in without)
    fit(fitting, name)


COUNTS = {
    "task_vector": (0, HIDDEN),
    "function_vector": (0, HIDDEN),
    "icv": (0, LAYERS * HIDDEN),
    "mtv": (LAYERS * HEADS, LAYERS * HEADS * HEAD_DIM),
}
"""Trained and stored numbers by the published formulas."""


def test_counts(name: str) -> None:
    base: Any = small_decoder(torch.float32)
    base.to("meta")
    with torch.device("meta"):
        model = get_peft_model(base, METHODS[name].peft_config(None, SMALL[name]))  # type: ignore[arg-type]
    trained = sum(tensor.numel() for tensor in model.parameters() if tensor.requires_grad)
    stored = state_of(model)
    assert all(tensor.is_meta for tensor in stored.values())
    assert (trained, sum(tensor.numel() for tensor in stored.values())) == COUNTS[name]


def test_what_was_stored_is_what_is_counted(name: str, fitted: Fitted) -> None:
    layers, heads, head_dim, hidden = 2, 6, 10, 60
    stored = {
        "task_vector": hidden,
        "function_vector": hidden,
        "icv": layers * hidden,
        "mtv": layers * heads * head_dim,
    }
    assert sum(tensor.numel() for tensor in state_of(fitted.model).values()) == stored[name]


@pytest.mark.parametrize("option", ["shots", "prompts", "held_out_examples"])
def test_counts_of_nothing_are_refused(name: str, option: str) -> None:
    option = "demonstrations" if name == "icv" else option
    with pytest.raises(ValueError, match=f"Config: {option} is 0; it must be an integer of at least 1"):
        METHODS[name].peft_config(None, {option: 0})  # type: ignore[arg-type]
