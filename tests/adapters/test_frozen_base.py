"""Options that write into the base are refused by name; what else writes into it is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import AdaLoraConfig, OFTConfig, PeftConfig, get_peft_model
from torch import nn

from hificl.adapters import stored
from hificl.adapters.config_file import CONFIG
from hificl.adapters.frozen_base import base_stays
from hificl.adapters.stored import new_adapter, save_adapter
from hificl.backbones import Backbone
from hificl.errors import InputError
from hificl.methods import METHODS
from hificl.run import load
from training.tiny import load_tiny, save_tiny_llava


@pytest.fixture
def backbone(tmp_path: Path) -> Backbone:
    return load_tiny(save_tiny_llava(tmp_path / "base"))


def values(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_same_values(model: nn.Module, expected: dict[str, torch.Tensor]) -> None:
    found = model.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("start", ["pissa", "pissa_niter_3", "olora", "OLORA", "corda", "loftq", "eva", "lora_ga", 3])
def test_starts_that_rewrite_the_base_are_refused(start: Any, backbone: Backbone) -> None:
    before = values(backbone.model)
    config: Any = METHODS["lora"].peft_config(backbone, {"r": 3})
    config.init_lora_weights = start
    with pytest.raises(InputError, match=f"init_lora_weights={start!r}.*'gaussian'"):
        new_adapter(backbone, config)
    assert_same_values(backbone.model, before)


@pytest.mark.parametrize("start", [True, False, "gaussian", "orthogonal"])
def test_starts_of_the_adapter_alone_are_taken(start: Any, backbone: Backbone) -> None:
    before = values(backbone.model)
    new_adapter(backbone, METHODS["lora"].peft_config(backbone, {"r": 4, "init_lora_weights": start}))
    assert_same_values(backbone.model, before)


@pytest.mark.parametrize(
    "config",
    [
        AdaLoraConfig(target_modules=["q_proj"], bias="all", total_step=9),
        OFTConfig(target_modules=["q_proj"], bias="oft_only"),
    ],
)
def test_trained_biases_are_refused(config: PeftConfig, backbone: Backbone) -> None:
    with pytest.raises(InputError, match=r"bias='\w+'.*bias='none'"):
        new_adapter(backbone, config)
    assert not any(parameter.requires_grad for name, parameter in backbone.model.named_parameters() if "bias" in name)


def into_data(model: nn.Module) -> None:
    model.get_parameter("lm_head.weight").data -= 0.5


def into_the_tensor(model: nn.Module) -> None:
    with torch.no_grad():
        model.get_parameter("lm_head.weight")[-1, -1] += 1.0


def other_storage(model: nn.Module) -> None:
    weight = model.get_parameter("lm_head.weight")
    weight.data = weight.data.clone()


def trainable(model: nn.Module) -> None:
    model.get_parameter("lm_head.weight").requires_grad_(True)


@pytest.mark.parametrize("write", [into_data, into_the_tensor, other_storage, trainable])
def test_other_methods_are_watched(
    write: Callable[[nn.Module], None], backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(base: Any, config: PeftConfig) -> Any:
        model = get_peft_model(base, config)
        write(base)
        return model

    monkeypatch.setattr(stored, "get_peft_model", careless)
    with pytest.raises(InputError, match=r"OFT on .*frozen base"):
        new_adapter(backbone, OFTConfig(target_modules=["q_proj"], oft_block_size=2))


def test_reading_the_base_is_fine(backbone: Backbone) -> None:
    with base_stays(backbone.model, "a forward"), torch.no_grad():
        backbone.model(input_ids=torch.arange(5, 41).view(2, 18))


@pytest.mark.parametrize("field, value", [("init_lora_weights", "pissa"), ("bias", "all"), ("bias", "lora_only")])
def test_stored_options_that_write_into_the_base_are_refused(
    field: str, value: str, backbone: Backbone, tmp_path: Path
) -> None:
    folder = stored_with(backbone, tmp_path, {field: value})
    before = values(backbone.model)
    with pytest.raises(InputError, match=f"{CONFIG}: LORA: {field}={value!r}"):
        load(folder, backbone=backbone)
    assert_same_values(backbone.model, before)


def test_stored_start_from_data_loads(backbone: Backbone, tmp_path: Path) -> None:
    """It has done its work before, and left the base alone."""
    before = values(backbone.model)
    load(stored_with(backbone, tmp_path, {"init_lora_weights": "eva"}), backbone=backbone)
    assert_same_values(backbone.model, before)


def stored_with(backbone: Backbone, tmp_path: Path, changed: dict[str, Any]) -> Path:
    model = new_adapter(backbone, METHODS["lora"].peft_config(backbone, {"r": 3}))
    save_adapter(model, tmp_path / "adapter", "card", {"format": 1})
    file = tmp_path / "adapter" / CONFIG
    file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))
    return tmp_path / "adapter"
