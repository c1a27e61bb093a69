"""An adapter that is off, or gone, never was: the base's weights, names, class, config and logits stay."""

from __future__ import annotations

import copy

import pytest
import torch

from closeness import assert_same

from .catalogue import TWINS
from .probes import (
    adapted,
    adapter_parameters,
    assert_differs,
    assert_rows_close,
    assert_rows_same,
    budget,
    plain,
    row_logits,
    samples,
    wrap,
)
from .twins import collate


@pytest.mark.parametrize("padding", ["left", "right"])
@pytest.mark.parametrize("name", TWINS)
def test_disabled_is_bit_equal_to_the_base(name: str, padding: str) -> None:
    batch = collate(samples(name), padding)
    expected = row_logits(plain(name), batch)
    active = row_logits(adapted(name), batch)
    with adapted(name).disable_adapter():
        off = row_logits(adapted(name), batch)
    assert_rows_same(off, expected, name)
    assert_differs(active[0], expected[0], budget(name), f"{name}: the adapter, when on")
    again = row_logits(adapted(name), batch)
    assert all(torch.equal(left, right) for left, right in zip(again, active, strict=True))


@pytest.mark.parametrize("name", TWINS)
def test_weights_and_names_stay_and_unload_gives_the_base_back(name: str) -> None:
    base = TWINS[name].build()
    before = {key: value.clone() for key, value in base.state_dict().items()}
    classes = {path: type(module) for path, module in base.named_modules()}
    configs = {path: module.config for path, module in base.named_modules() if hasattr(module, "config")}
    batch = collate(samples(name), "left")
    expected = row_logits(base, batch)

    wrapped = wrap(base)
    row_logits(wrapped, batch)
    learned = {key.removeprefix("base_model.model.") for key, _ in adapter_parameters(wrapped)}
    during = base.state_dict()
    assert set(during) - set(before) == learned
    for key, value in before.items():
        assert_same(during[key], value, f"{name} {key} while wrapped")

    restored = wrapped.unload()
    assert restored is base
    assert {path: type(module) for path, module in restored.named_modules()} == classes
    for path, config in configs.items():
        assert restored.get_submodule(path).config is config, f"{name}: config of {path} was not put back"
    after = restored.state_dict()
    assert set(after) == set(before)
    for key, value in before.items():
        assert_same(after[key], value, f"{name} {key} after unload")
    assert not hasattr(restored, "peft_config")
    assert_rows_same(row_logits(restored, batch), expected, f"{name} after unload")


@pytest.mark.parametrize("name", ["llava_qwen2", "idefics", "phi3"])
def test_wrapped_twice_after_unload(name: str) -> None:
    """Nothing stays behind: a second adapter on the unloaded base works as the first did."""
    batch = collate(samples(name))
    first = wrap(TWINS[name].build())
    expected = row_logits(first, batch)
    second = wrap(first.unload())
    assert_rows_same(row_logits(second, batch), expected)


@pytest.mark.parametrize("name", ["llava_mistral", "qwen3_vl", "idefics", "gpt_oss"])
def test_deepcopy_is_independent(name: str) -> None:
    batch = collate(samples(name))
    model = wrap(TWINS[name].build())
    expected = row_logits(model, batch)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for _, parameter in adapter_parameters(model):
            parameter.zero_()
    assert_rows_close(row_logits(twin, batch), expected, 0.0, "copy after the original changed")
    assert_differs(row_logits(model, batch)[0], expected[0], budget(name), "the original")


@pytest.mark.parametrize("name", [name for name, twin in TWINS.items() if samples(name)[0].images])
def test_no_site_in_the_vision_tower(name: str) -> None:
    """The decoder is adapted; encoder, connector, perceiver and resampler are not."""
    model = adapted(name)
    paths = {key for key, _ in adapter_parameters(model)}
    foreign = ("vision", "visual", "perceiver", "resampler", "connector", "projector", "qformer")
    assert paths
    assert not [path for path in paths if any(part in path for part in foreign)]
    layers = model.get_base_model().config.get_text_config().num_hidden_layers
    cross = len(getattr(model.get_base_model().config.get_text_config(), "cross_attention_layers", None) or ())
    sites = {path.split(".hificl_")[0] for path in paths}
    assert len(sites) == layers - cross
