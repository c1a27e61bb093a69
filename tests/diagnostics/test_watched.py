"""The mass of virtual pairs and real keys against the weights of eager attention: grouped heads, padding, offsets."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from hificl.diagnostics.watched import Mass, watched
from hificl.errors import InputError
from hificl.methods.mimic import MimICConfig
from hificl.tuner import HiFICLConfig, observed
from methods.small_decoder import HEADS, LAYERS, adapted, padded_batch, small_decoder

VIRTUAL = 5
FORMS: dict[str, dict[str, Any]] = {
    "query heads": {},
    "key-value heads": {"share": "kv"},
    "offsets": {"learn_score_offset": True, "init_score_offset": 1.5},
}


def hificl(**options: Any) -> PeftModel:
    return adapted(HiFICLConfig(num_virtual_tokens=VIRTUAL, r=3, init_weights=False, **options))


def masses(model: Any, batch: dict[str, Any]) -> list[Mass]:
    found: dict[int, Mass] = {}
    with watched(model, found.__setitem__) as modules, torch.no_grad():
        model(**batch, use_cache=False)
    assert len(modules) == len(found) == LAYERS
    return [found[layer] for layer in range(LAYERS)]


@pytest.mark.parametrize("form", FORMS)
def test_mass_is_that_of_the_softmax(form: str) -> None:
    model, batch = hificl(**FORMS[form]), padded_batch()
    found = masses(model, batch)
    model.get_base_model().set_attn_implementation("eager")
    again = masses(model, batch)
    with torch.no_grad():
        weights = model(**batch, use_cache=False, output_attentions=True).attentions
    real = batch["attention_mask"].bool()
    for layer in range(LAYERS):
        expected = weights[layer].transpose(1, 2)[real]  # [tokens heads virtual + keys], virtual first
        assert expected.shape[1:] == (HEADS, VIRTUAL + 11)
        for mass in (found[layer], again[layer]):
            alpha, pairs = mass.alpha.transpose(1, 2)[real], mass.weights.transpose(1, 2)[real]
            assert alpha.dtype == torch.float64
            # The softmax of eager attention is one of float32.
            assert torch.allclose(alpha, expected[..., VIRTUAL:].sum(-1), rtol=0, atol=1e-6)
            assert torch.allclose(pairs, expected[..., :VIRTUAL], rtol=0, atol=1e-6)
            assert torch.allclose(alpha + pairs.sum(-1), torch.ones_like(alpha), rtol=1e-12)


def test_causal_attention_without_a_mask() -> None:
    model, batch = hificl(), {"input_ids": padded_batch()["input_ids"][1:2]}
    found = masses(model, batch)
    model.get_base_model().set_attn_implementation("eager")
    with torch.no_grad():
        weights = model(**batch, use_cache=False, output_attentions=True).attentions
    for mass, expected in zip(found, weights, strict=True):
        assert torch.allclose(mass.alpha, expected[..., VIRTUAL:].sum(-1), rtol=0, atol=1e-6)


def test_the_pair_of_mimic() -> None:
    for mass in masses(adapted(MimICConfig()), padded_batch()):
        assert mass.weights.shape == (3, HEADS, 11, 1)
        assert torch.allclose(mass.alpha + mass.weights[..., 0], torch.ones_like(mass.alpha))


def test_watching_changes_nothing_and_leaves_nothing() -> None:
    model, batch = hificl(), padded_batch()
    views = [layer.self_attn.config for layer in model.get_base_model().model.layers]
    before = [dict(view.__dict__) for view in views]
    with torch.no_grad():
        expected = model(**batch).logits
        with watched(model, lambda layer, mass: None):
            during = model(**batch).logits
        after = model(**batch).logits
    assert torch.equal(during, expected)
    assert torch.equal(after, expected)
    assert [view.__dict__ for view in views] == before


def test_what_has_no_mass_is_refused() -> None:
    with pytest.raises(InputError, match="no virtual pairs are active"), watched(small_decoder(), lambda *_: None):
        pass
    model = hificl()
    with model.disable_adapter(), pytest.raises(InputError, match="no virtual pairs"), watched(model, lambda *_: None):
        pass
    with watched(model, lambda *_: None) as modules:
        states = torch.zeros(1, 6, 2, 14, dtype=torch.float64)
        function: Any = ALL_ATTENTION_FUNCTIONS[observed.NAME]
        with pytest.raises(InputError, match="with softcap is no plain softmax"):
            function(modules[0], states, states[:, :2], states[:, :2], None, softcap=30.0)
