"""What ``inspect_adapter`` says, held to an adapter that is built here tensor by tensor."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from hificl.errors import InputError
from hificl.inspection import inspect_adapter

HEADS, VIRTUAL, RANK, KEY, VALUE, LAYERS = 3, 5, 2, 7, 11, 11


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    made = {}
    for layer in range(LAYERS):
        where = f"base_model.model.model.layers.{layer}.self_attn.virtual_kv.hificl_kv"
        made[f"{where}.key_left"] = torch.randn(HEADS, VIRTUAL, RANK, generator=generator)
        made[f"{where}.key_right"] = torch.randn(HEADS, RANK, KEY, generator=generator)
        made[f"{where}.value_full"] = torch.randn(HEADS, VIRTUAL, VALUE, generator=generator)
    return made


def save(folder: Path, tensors: dict[str, Tensor], **config: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    values = {"peft_type": "HIFICL", "base_model_name_or_path": "some/base", "num_virtual_tokens": VIRTUAL, **config}
    (folder / "adapter_config.json").write_text(json.dumps(values))
    return folder


def test_geometry_and_norms(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    told = inspect_adapter(save(tmp_path, tensors))
    assert told["parameters"] == LAYERS * HEADS * (VIRTUAL * RANK + RANK * KEY + VIRTUAL * VALUE)
    assert [layer["module"] for layer in told["layers"]] == [
        f"model.layers.{index}.self_attn" for index in range(LAYERS)
    ]
    layer = told["layers"][10]
    where = "base_model.model.model.layers.10.self_attn.virtual_kv.hificl_kv"
    key = tensors[f"{where}.key_left"] @ tensors[f"{where}.key_right"]
    assert layer["key_norm"] == pytest.approx(key.pow(2).sum(-1).sqrt().mean().item(), rel=1e-6)
    assert layer["value_norm"] == pytest.approx(tensors[f"{where}.value_full"].norm(dim=-1).mean().item(), rel=1e-6)
    sizes = {name: layer[name] for name in ("heads", "virtual", "rank", "head_dim", "value_dim")}
    assert sizes == {"heads": HEADS, "virtual": VIRTUAL, "rank": RANK, "head_dim": KEY, "value_dim": VALUE}


def test_the_norm_of_keys_is_that_of_the_keys_that_act(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    plain = inspect_adapter(save(tmp_path / "a", tensors))["layers"][0]["key_norm"]
    where = "base_model.model.model.layers.0.self_attn.virtual_kv.hificl_kv"
    sharper = {**tensors, f"{where}.log_temperature": torch.full((HEADS,), -1.0)}
    told = inspect_adapter(save(tmp_path / "b", sharper))["layers"][0]["key_norm"]
    assert told == pytest.approx(plain * math.e)


def test_an_adapter_of_plain_peft_tells_what_it_knows(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    told = inspect_adapter(save(tmp_path, tensors))
    assert told["base"] == {"name": "some/base", "revision": None, "prompt": None}
    assert told["options"] == {"num_virtual_tokens": VIRTUAL}
    assert told["method"] == "hificl"


def test_a_run_folder_leads_to_its_adapter(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    folder = save(tmp_path / "adapter", tensors)
    (folder / "hificl.json").write_text(
        json.dumps({"base": {"name": "b", "revision": "r7", "prompt": {}}, "task": "t"})
    )
    told = inspect_adapter(tmp_path)
    assert told["path"] == str(folder)
    assert (told["base"]["name"], told["base"]["revision"], told["task"]) == ("b", "r7", "t")


def test_other_methods_are_counted_per_module(tmp_path: Path) -> None:
    where = "base_model.model.model.layers.2.self_attn.q_proj"
    lora = {f"{where}.lora_A.weight": torch.zeros(2, 13), f"{where}.lora_B.weight": torch.zeros(7, 2)}
    told = inspect_adapter(save(tmp_path, lora, peft_type="LORA", r=2))
    assert told["layers"] == [{"module": "model.layers.2.self_attn.q_proj", "parameters": 2 * 13 + 7 * 2}]
    assert told["method"] == "lora"


def test_damage_is_named(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    with pytest.raises(InputError, match="no adapter_config.json"):
        inspect_adapter(tmp_path)
    file = save(tmp_path, tensors) / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(InputError, match="copy it again"):
        inspect_adapter(tmp_path)


@pytest.mark.parametrize(
    "kind, given, told",
    [
        ("MTV", {"heads": [[1, 2]], "shots": 7, "steps": 600}, {"heads": [[1, 2]], "shots": 7}),
        ("TASK_VECTOR", {"layer": 3, "prompts": 5}, {"layer": 3, "prompts": 5}),
        ("ICV", {"scale": 0.75}, {"scale": 0.75}),
        ("LIVE", {"layers_to_transform": [1]}, {"layers_to_transform": [1]}),
        ("MIMIC", {"form": "altered"}, {"form": "altered"}),
        ("HIFICL", {"init": "random", "init_shots": 8, "pair_dropout": 0.0}, {}),
        ("HIFICL", {"init": "demonstrations", "init_shots": 8, "r": 8}, {"r": 8, "init": "demonstrations"}),
        ("LORA", {"r": 3, "use_dora": True, "bias": "none"}, {"r": 3, "use_dora": True}),
        ("UNHEARD_OF", {"depth": 3, "width": None}, {"depth": 3}),
    ],
)
def test_the_options_of_every_method_are_told(
    tmp_path: Path, tensors: dict[str, Tensor], kind: str, given: dict[str, object], told: dict[str, object]
) -> None:
    options = inspect_adapter(save(tmp_path, tensors, peft_type=kind, num_virtual_tokens=None, **given))["options"]
    assert options == told


def test_values_that_are_no_numbers_are_counted(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    assert inspect_adapter(save(tmp_path / "sound", tensors))["non_finite"] == 0
    for name, value in zip(list(tensors)[:2], (float("nan"), float("inf")), strict=True):
        tensors[name].view(-1)[3] = value
    assert inspect_adapter(save(tmp_path / "broken", tensors))["non_finite"] == 2
