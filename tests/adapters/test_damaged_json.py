"""Damaged JSON of an adapter is told by file and field, and never asks for memory that the adapter does not take."""

from __future__ import annotations

import copy
import json
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from hificl.adapters.config_file import CONFIG
from hificl.adapters.information import INFORMATION
from hificl.adapters.stored import WEIGHTS, new_adapter, save_adapter
from hificl.backbones import Backbone
from hificl.backbones.image_settings import image_settings
from hificl.errors import InputError, RunError
from hificl.methods import METHODS
from hificl.run import load
from hificl.training.finished import write_finished
from hificl.training.run_folder import RunFolder
from training.tiny import load_tiny, save_tiny_llava

GIB = 2**30


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return load_tiny(save_tiny_llava(tmp_path_factory.mktemp("base")))


def saved(backbone: Backbone, method: str, folder: Path, **options: object) -> Path:
    """Save an untrained adapter of a method, with everything that hificl writes beside it."""
    model = new_adapter(backbone, METHODS[method].peft_config(backbone, options))
    base = {
        "name": backbone.name,
        "revision": backbone.revision,
        "prompt": backbone.prompt.to_dict(),
        "image_settings": image_settings(backbone),
    }
    save_adapter(model, folder, "card", {"format": 1, "base": base})
    return folder


def change(file: Path, path: str, value: object) -> None:
    """Set one field of a JSON file, named with dots; the empty name is the whole file, and ``...`` takes it away."""
    values = json.loads(file.read_text())
    inner: Any = values
    *parents, last = path.split(".")
    for name in parents:
        inner = inner[name]
    if not path:
        values = value
    elif value is ...:
        del inner[last]
    else:
        inner[last] = value
    file.write_text(json.dumps(values))


def refused(folder: Path, backbone: Backbone, *told: str) -> None:
    with pytest.raises(InputError) as caught:
        load(folder, backbone=backbone)
    for part in (str(folder), *told):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "field, value",
    [
        ("", []),
        ("", "text"),
        ("base", [1]),
        ("base", "embedded"),
        ("base.name", ...),
        ("base.name", 3),
        ("base.revision", ...),
        ("base.revision", ["a"]),
        ("base.prompt", ...),
        ("base.prompt", "text"),
        ("base.prompt", {}),
        ("base.prompt.name", 5),
        ("base.prompt.question", 5),
        ("base.prompt.chat", "yes"),
        ("base.prompt.image", None),
        ("base.image_settings", "text"),
        ("base.image_settings", [["size", 3]]),
    ],
)
def test_information(field: str, value: object, backbone: Backbone, tmp_path: Path) -> None:
    folder = saved(backbone, "hificl", tmp_path / "adapter", r=3)
    load(folder, backbone=backbone)
    change(folder / INFORMATION, field, value)
    refused(folder, backbone, INFORMATION, *field.split(".")[:2])


@pytest.mark.parametrize(
    "method, field, value, told",
    [
        ("hificl", "", [1], "list"),
        ("hificl", "peft_type", ["HIFICL"], "peft_type"),
        ("hificl", "peft_type", {}, "peft_type"),
        ("hificl", "peft_type", None, "peft_type"),
        ("hificl", "r", "8", "r: HiFICLConfig: r='8'"),
        ("hificl", "layers_to_transform", "abc", ""),
        ("hificl", "layers_to_transform", {"a": 1}, ""),
        ("hificl", "target_modules", 5, ""),
        ("hificl", "target_modules", "(", ""),
        ("lora", "r", "8", ""),
        ("lora", "r", -3, ""),
        ("lora", "lora_alpha", "x", ""),
        ("lora", "target_modules", 7, ""),
        ("lora", "rank_pattern", "x", ""),
        ("mimic", "form", ["a"], "form"),
        ("function_vector", "scale", 10**400, "scale"),
        ("icv", "scale", "0.1", "scale"),
        ("icv", "layers_to_transform", 1.5, "layers_to_transform"),
        ("mtv", "learning_rate", "x", "learning_rate"),
    ],
)
def test_config(method: str, field: str, value: object, told: str, backbone: Backbone, tmp_path: Path) -> None:
    folder = saved(backbone, method, tmp_path / "adapter")
    change(folder / CONFIG, field, value)
    refused(folder, backbone, CONFIG, told)


@pytest.mark.parametrize("method", ["hificl", "mimic", "lora"])
def test_saved_modules_without_tensors(method: str, backbone: Backbone, tmp_path: Path) -> None:
    folder = saved(backbone, method, tmp_path / "adapter")
    change(folder / CONFIG, "modules_to_save", ["multi_modal_projector"])
    refused(folder, backbone, WEIGHTS, "multi_modal_projector")


@pytest.fixture
def little_memory() -> Iterator[None]:
    """At most 2 GiB more address space than now: an allocation beyond it fails, and takes the machine down nowhere."""
    sizes = Path("/proc/self/statm").read_text().split()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (int(sizes[0]) * resource.getpagesize() + 2 * GIB, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("value", [10**7, 10**12, 10**30])
@pytest.mark.parametrize(
    "method, field, options",
    [
        ("hificl", "r", {}),
        ("hificl", "num_virtual_tokens", {}),
        ("lora", "r", {}),
        ("lora", "r", {"dora": True}),
        ("prefix_tuning", "num_virtual_tokens", {}),
        ("prefix_tuning", "num_virtual_tokens", {"implementation": "peft"}),
    ],
)
def test_sizes_are_compared_before_they_are_taken(
    method: str,
    field: str,
    options: dict[str, Any],
    value: int,
    backbone: Backbone,
    tmp_path: Path,
    little_memory: None,
) -> None:
    folder = saved(backbone, method, tmp_path / "adapter", **options)
    change(folder / CONFIG, field, value)
    with pytest.raises(InputError) as caught:
        load(folder, backbone=backbone)
    told = str(caught.value)
    assert str(folder) in told
    assert "alloc" not in told
    assert "\n" not in told
    if value == 10**7:
        assert WEIGHTS in told
        assert "10000000" in told


@pytest.mark.parametrize("method", ["hificl", "lora", "live", "icv"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_values_that_are_not_finite_are_refused(method: str, value: float, backbone: Backbone, tmp_path: Path) -> None:
    folder = saved(backbone, method, tmp_path / "adapter")
    tensors = load_file(folder / WEIGHTS)
    key = sorted(tensors)[-1]
    tensors[key].view(-1)[-1] = value
    save_file(tensors, folder / WEIGHTS)
    refused(folder, backbone, WEIGHTS, f"{key} has values that are not finite")


def test_values_that_are_not_finite_are_not_written(backbone: Backbone, tmp_path: Path) -> None:
    model = new_adapter(backbone, METHODS["hificl"].peft_config(backbone, {}))
    name = next(name for name, _ in model.named_parameters() if ".layers.1." in name and "hificl_" in name)
    with torch.no_grad():
        copy.copy(model).get_parameter(name).view(-1)[0] = float("nan")
    with pytest.raises(RunError, match=r"layers\.1\..*hificl_kv.*not finite"):
        write_finished(RunFolder(tmp_path / "run"), model, backbone, {})
    assert not (tmp_path / "run").exists()
