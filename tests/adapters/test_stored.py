"""Adapter folders of every method: the bits come back, and what does not fit is refused by file, key and shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftConfig, PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from hificl.adapters.stored import WEIGHTS, new_adapter, save_adapter
from hificl.backbones import Backbone
from hificl.errors import InputError
from hificl.methods import METHODS
from hificl.run import load
from training.tiny import load_tiny, save_tiny_llava

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name, method in METHODS.items() if method.kind != "prompt"},
    "dora": ("lora", {"dora": True, "r": 3}),
    "lora, official scope": ("lora", {"scope": "official", "r": 3}),
    "peft's prefix": ("prefix_tuning", {"implementation": "peft", "num_virtual_tokens": 5}),
    "pairs per kv head, offset": ("hificl", {"share": "kv", "learn_score_offset": True, "num_virtual_tokens": 3}),
}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return load_tiny(save_tiny_llava(tmp_path_factory.mktemp("stored")))


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    """Other numbers of heads, layers and hidden values."""
    return load_tiny(save_tiny_llava(tmp_path_factory.mktemp("larger"), heads=4, layers=3, hidden=68))


def filled(backbone: Backbone, config: PeftConfig) -> PeftModel:
    """An adapter none of whose values is the initial one, on which a comparison could not fail."""
    model = new_adapter(backbone, config).eval()
    generator = torch.Generator().manual_seed(1)
    marks = ("hificl_", "lora_", "prompt_encoder")
    for name, tensor in model.state_dict().items():
        if any(mark in name for mark in marks):
            tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))
    return model


@pytest.fixture(scope="module", params=VARIANTS)
def stored(backbone: Backbone, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Any:
    method, options = VARIANTS[request.param]
    model = filled(backbone, METHODS[method].peft_config(backbone, options))
    folder = tmp_path_factory.mktemp("adapter") / "adapter"
    save_adapter(model, folder, "card", {"format": 1})
    return model, folder


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=torch.arange(5, 41).view(2, 18)).logits
        return found


def test_bits_come_back(stored: tuple[PeftModel, Path], backbone: Backbone) -> None:
    model, folder = stored
    again = load(folder, backbone=backbone).model
    expected = get_peft_model_state_dict(model, save_embedding_layers=False)
    found = get_peft_model_state_dict(again, save_embedding_layers=False)
    assert expected.keys() == found.keys() == load_file(folder / WEIGHTS).keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert torch.equal(logits(again), logits(model))
    assert not again.training
    assert not any(parameter.requires_grad for parameter in again.parameters())


@pytest.mark.parametrize("damage", ["missing", "extra", "shape", "cut off"])
def test_damaged_file_is_refused(
    stored: tuple[PeftModel, Path], backbone: Backbone, tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    for file in stored[1].iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    tensors = load_file(folder / WEIGHTS)
    first = sorted(tensors)[0]
    if damage == "missing":
        del tensors[first]
    elif damage == "extra":
        tensors[first.replace("layers.0", "layers.9") + ".more"] = torch.zeros(3)
    elif damage == "shape":
        tensors[first] = torch.cat([tensors[first].reshape(-1)] * 2)
    if tensors:
        save_file(tensors, folder / WEIGHTS)
    if damage == "cut off" or not tensors:
        (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-3])
    with pytest.raises(InputError) as caught:
        load(folder, backbone=backbone)
    assert str(folder / WEIGHTS) in str(caught.value)
    if damage == "shape":
        assert str(list(tensors[first].shape)) in str(caught.value)


def test_other_geometry_is_refused(stored: tuple[PeftModel, Path], larger: Backbone) -> None:
    with pytest.raises(InputError) as caught:
        load(stored[1], backbone=larger)
    assert str(stored[1]) in str(caught.value)
