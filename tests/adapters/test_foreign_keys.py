"""No adapter file writes into the frozen base, whoever loads it: keys that are not the adapter's own are refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import nn

from hificl.adapters.shared_weights import with_shared_weights
from hificl.adapters.stored import WEIGHTS, new_adapter, save_adapter
from hificl.backbones import Backbone
from hificl.errors import InputError
from hificl.methods import METHODS
from hificl.run import load
from training.tiny import load_tiny, save_tiny_llava

OURS = ("hificl", "live", "mimic", "task_vector", "mtv")


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return load_tiny(save_tiny_llava(tmp_path_factory.mktemp("base")))


def content(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()


def stored(backbone: Backbone, method: str, folder: Path, key: str, **options: object) -> tuple[Path, str]:
    """Save an adapter, with ones under one more key: that of a base tensor by its module, or any other."""
    model = new_adapter(backbone, METHODS[method].peft_config(backbone, options))
    save_adapter(model, folder, "card", {"format": 1})
    if key in dict(backbone.model.named_parameters()):
        base = backbone.model.get_parameter(key)
        key = next(name for name, tensor in model.state_dict().items() if tensor.data_ptr() == base.data_ptr())
        extra = torch.ones_like(base).detach()
    else:
        extra = torch.ones(3)
    save_file({**load_file(folder / WEIGHTS), key: extra}, folder / WEIGHTS)
    return folder, key


KEYS = (
    "model.language_model.layers.0.self_attn.q_proj.weight",
    "model.language_model.norm.weight",
    "base_model.model.model.language_model.layers.1.more.weight",
)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("method", [*OURS, "lora"])
def test_load_refuses_the_key_and_leaves_the_base(method: str, key: str, backbone: Backbone, tmp_path: Path) -> None:
    folder, key = stored(backbone, method, tmp_path / "adapter", key)
    before = content(backbone.model)
    with pytest.raises(InputError) as caught:
        load(folder, backbone=backbone)
    assert str(folder / WEIGHTS) in str(caught.value)
    assert key in str(caught.value)
    assert content(backbone.model) == before


@pytest.mark.parametrize("low_memory", [False, True])
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("method", OURS)
def test_peft_refuses_the_key_and_leaves_the_base(
    method: str, key: str, low_memory: bool, backbone: Backbone, tmp_path: Path
) -> None:
    folder, key = stored(backbone, method, tmp_path / "adapter", key)
    base = with_shared_weights(backbone.model)
    before = content(backbone.model)
    with pytest.raises(InputError, match=key):
        PeftModel.from_pretrained(base, folder, low_cpu_mem_usage=low_memory)
    assert content(backbone.model) == before


def test_modules_to_save_may_be_in_the_file(backbone: Backbone, tmp_path: Path) -> None:
    """And land in their copies, not in the base."""
    model = new_adapter(
        backbone, METHODS["hificl"].peft_config(backbone, {"modules_to_save": ["multi_modal_projector"]})
    )
    save_adapter(model, tmp_path / "adapter", "card", {"format": 1})
    tensors = load_file(tmp_path / "adapter" / WEIGHTS)
    whole = [key for key in tensors if "multi_modal_projector" in key]
    assert len(whole) == 4
    save_file({**tensors, **{key: tensors[key] + 0.25 for key in whole}}, tmp_path / "adapter" / WEIGHTS)
    before = content(backbone.model)
    ours = load(tmp_path / "adapter", backbone=backbone).model
    theirs = PeftModel.from_pretrained(with_shared_weights(backbone.model), tmp_path / "adapter")
    for loaded in (ours, theirs):
        saved = [value for key, value in loaded.state_dict().items() if "modules_to_save.default.linear_1.bias" in key]
        assert torch.equal(saved[0], backbone.model.state_dict()["model.multi_modal_projector.linear_1.bias"] + 0.25)
    assert content(backbone.model) == before
