"""Every option of the config keeps the laws that it can keep."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import PeftModel

import hificl

from .catalogue import TWINS
from .probes import (
    adapter_parameters,
    assert_differs,
    assert_rows_close,
    assert_rows_same,
    budget,
    generated,
    gradients,
    model_budget,
    plain,
    row_logits,
    samples,
    wrap,
)
from .twins import collate

FAMILIES = ["llava_qwen2", "idefics2"]
OPTIONS = {
    "per key-value head": {"share": "kv"},
    "additive": {"mixing": "additive"},
    "learned offset": {"learn_score_offset": True},
    "constant offset": {"init_score_offset": 1.3},
    "plain keys": {"factorize_key": False},
    "plain values": {"factorize_value": False},
    "one layer": {"layers_to_transform": [1]},
    "one layer excluded": {"exclude_modules": r".*layers\.0\..*"},
    "official": {"compat": "official"},
}
EXACT = [option for option in OPTIONS if option != "official"]
"""The published code leaves the mask out of the real mass, so padding and the cache change its outputs."""


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", FAMILIES)
def test_works_saves_and_switches_off(name: str, option: str, tmp_path: Path) -> None:
    batch = collate(samples(name), "left")
    model = wrap(TWINS[name].build(), **OPTIONS[option])
    expected = row_logits(model, batch)
    assert_differs(expected[0], row_logits(plain(name), batch)[0], budget(name), option)
    found = gradients(model, batch)
    assert set(found) == {key for key, _ in adapter_parameters(model)}
    assert all(torch.isfinite(gradient).all() and (gradient != 0).any() for gradient in found.values())
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(TWINS[name].build(), tmp_path)
    assert_rows_same(row_logits(loaded, batch), expected, option)
    with loaded.disable_adapter():
        assert_rows_same(row_logits(loaded, batch), row_logits(plain(name), batch), option)


@pytest.mark.parametrize("option", EXACT)
@pytest.mark.parametrize("name", FAMILIES)
def test_batch_padding_and_cache_do_not_matter(name: str, option: str) -> None:
    model, prompts = wrap(TWINS[name].build(), **OPTIONS[option]), samples(name)
    allowed = model_budget(model, prompts)
    alone = [row_logits(model, collate([prompt]))[0] for prompt in prompts]
    for padding in ("left", "right"):
        together = row_logits(model, collate(prompts, padding))
        assert_rows_close(together, alone, allowed, f"{name}, {option}, padded {padding}")
    batch = collate(prompts, "left")
    assert torch.equal(generated(model, batch), generated(model, batch, use_cache=False))


@pytest.mark.parametrize("name", FAMILIES)
def test_shared_pairs_are_pairs_repeated_to_consecutive_heads(name: str) -> None:
    shared, single = wrap(TWINS[name].build(), share="kv"), wrap(TWINS[name].build())
    factors = dict(adapter_parameters(shared))
    with torch.no_grad():
        for key, parameter in adapter_parameters(single):
            assert (factors[key].shape[0], parameter.shape[0]) == (2, 6)
            parameter.copy_(factors[key].repeat_interleave(3, 0))
    batch = collate(samples(name), "left")
    assert_rows_close(row_logits(shared, batch), row_logits(single, batch), budget(name), name)


@pytest.mark.parametrize("name", ["mllama", "idefics"])
def test_cross_attention_is_adapted_on_request(name: str) -> None:
    """One more site, in the layer that looks at the image; the laws stay."""
    model, prompts = wrap(TWINS[name].build(), cross_attention=True), samples(name)
    sites = {key.split(".hificl_")[0] for key, _ in adapter_parameters(model)}
    without = {key.split(".hificl_")[0] for key, _ in adapter_parameters(wrap(TWINS[name].build()))}
    assert without < sites
    assert len(sites - without) == 1
    assert "cross_attn" in (sites - without).pop()
    alone = [row_logits(model, collate([prompt]))[0] for prompt in prompts]
    allowed = model_budget(model, prompts)
    for padding in ("left", "right"):
        assert_rows_close(row_logits(model, collate(prompts, padding)), alone, allowed, f"{name} {padding}")
    batch = collate(prompts, "left")
    assert torch.equal(generated(model, batch), generated(model, batch, use_cache=False))
    with model.disable_adapter():
        assert_rows_same(row_logits(model, batch), row_logits(plain(name), batch), name)


@pytest.mark.parametrize("option", ["one layer", "one layer excluded"])
def test_layer_choice_reaches_exactly_that_layer(option: str) -> None:
    model = wrap(TWINS["llava_qwen2"].build(), **OPTIONS[option])
    paths = [key for key, _ in adapter_parameters(model)]
    assert len(paths) == 4
    assert all(".layers.1." in path for path in paths)


def test_constant_offset_is_no_parameter_and_a_learned_one_starts_there() -> None:
    constant = wrap(TWINS["llava_qwen2"].build(), init_score_offset=1.3)
    assert len(list(adapter_parameters(constant))) == 2 * 4
    model = TWINS["llava_qwen2"].build()
    config = hificl.HiFICLConfig(num_virtual_tokens=3, r=2, init_score_offset=1.3, learn_score_offset=True)
    learned = PeftModel(model, config)
    offsets = [parameter for _, parameter in adapter_parameters(learned) if (parameter == 1.3).all()]
    assert len(list(adapter_parameters(learned))) == 2 * 5
    assert len(offsets) == 2


def test_no_pairs_give_the_base() -> None:
    batch = collate(samples("llava_qwen2"), "left")
    model = wrap(TWINS["llava_qwen2"].build(), num_virtual_tokens=0)
    positions = TWINS["llava_qwen2"].positions(batch["attention_mask"])
    expected = row_logits(plain("llava_qwen2"), batch, **positions)
    assert_rows_close(row_logits(model, batch), expected, budget("llava_qwen2"), "n = 0")


@pytest.mark.parametrize("options", [{"num_virtual_tokens": -1}, {"r": -2}, {"r": 2.5}, {"num_virtual_tokens": "8"}])
def test_sizes_that_are_none_are_refused(options: dict[str, object]) -> None:
    ((field, value),) = options.items()
    with pytest.raises(ValueError, match=f"{field}.*{value}"):
        hificl.HiFICLConfig(**options)


@pytest.mark.parametrize("field", ["share", "mixing", "compat"])
def test_unknown_choice_is_refused_with_the_choices(field: str) -> None:
    choices = {"share": "kv", "mixing": "additive", "compat": "official"}
    with pytest.raises(ValueError, match=rf"(?s)(?=.*{field})(?=.*sideways)(?=.*{choices[field]})"):
        hificl.HiFICLConfig(**{field: "sideways"})


def test_no_site_is_an_error_that_says_so() -> None:
    with pytest.raises(ValueError, match="no_such_module"):
        wrap(TWINS["llama"].build(), target_modules="no_such_module")
