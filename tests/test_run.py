from __future__ import annotations

import dataclasses
import json
import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hificl.backbones import Backbone, load_backbone
from hificl.errors import InputError
from hificl.run import load
from hificl.training import train
from training.tiny import colour_examples, save_tiny_llava

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llava(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def base(base_folder: Path) -> Backbone:
    return load_backbone(base_folder, device="cpu")


@pytest.fixture(scope="module", params=["hificl", "lora"])
def trained(base: Backbone, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    examples, options = colour_examples(), {"recipe": "plain", "steps": 3, "learning_rate": 0.05}
    train(base, examples, method=request.param, output_dir=folder, **options)
    return folder


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run folder to damage."""
    return Path(shutil.copytree(trained, tmp_path / "copy"))


def logits(model: torch.nn.Module) -> torch.Tensor:
    ids = torch.arange(5, 41).view(2, 18)
    with torch.no_grad():
        return model(input_ids=ids).logits


def test_run_and_adapter_folder_give_the_trained_model(trained: Path, base: Backbone) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        run = load(trained)
        adapter = load(str(trained / "adapter"))
        shared = load(trained, backbone=base)
    assert torch.equal(logits(run.model), logits(adapter.model))
    assert torch.equal(logits(run.model), logits(shared.model))
    assert not torch.equal(logits(run.model), logits(base.model))
    assert (run.path, adapter.path) == (trained, trained / "adapter")
    assert run.record == json.loads((trained / "record.json").read_text()) == adapter.record
    assert run.backbone.name == base.name
    assert run.backbone.prompt == base.prompt
    assert not run.model.training
    assert shared.backbone.model is base.model


def test_adapter_alone_has_no_record(trained: Path, base: Backbone, tmp_path: Path) -> None:
    alone = shutil.copytree(trained / "adapter", tmp_path / "alone")
    assert load(alone, backbone=base).record == {}


def test_plain_peft_adapter_loads(trained: Path, base: Backbone, tmp_path: Path) -> None:
    """One that was saved without hificl's information file."""
    alone = shutil.copytree(trained / "adapter", tmp_path / "alone")
    (alone / "hificl.json").unlink()
    assert torch.equal(logits(load(alone).model), logits(load(trained).model))


def test_loading_leaves_the_random_state(trained: Path, base: Backbone) -> None:
    torch.manual_seed(3)
    expected = torch.rand(5)
    torch.manual_seed(3)
    load(trained, backbone=base)
    assert torch.equal(torch.rand(5), expected)


def test_other_revision_warns_with_both(copied: Path, base: Backbone) -> None:
    moved = dataclasses.replace(base, revision="content:ffff")
    with pytest.warns(UserWarning, match=f"{base.revision}.*content:ffff"):
        load(copied, backbone=moved)


def test_other_prompt_form_warns_and_the_adapters_is_used(copied: Path, base: Backbone) -> None:
    prompt = dataclasses.replace(base.prompt, question="{images} Q: {question}")
    with pytest.warns(UserWarning, match=r"\{question\} A:.*Q: \{question\}"):
        run = load(copied, backbone=dataclasses.replace(base, prompt=prompt))
    assert run.backbone.prompt == base.prompt


def test_other_image_settings_warn_and_the_adapters_are_used(copied: Path, base: Backbone) -> None:
    file = copied / "adapter" / "hificl.json"
    information = json.loads(file.read_text())
    information["base"]["image_settings"]["image_mean"] = [0.25, 0.5, 0.75]
    file.write_text(json.dumps(information))
    with pytest.warns(UserWarning, match=r"image_mean: \[0.25, 0.5, 0.75\] then, \[0.5, 0.5, 0.5\] now"):
        run = load(copied, backbone=base)
    assert list(run.backbone.processor.image_processor.image_mean) == [0.25, 0.5, 0.75]
    assert list(base.processor.image_processor.image_mean) == [0.5, 0.5, 0.5]


def without_config(folder: Path) -> None:
    (folder / "adapter_config.json").unlink()


def broken_config(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"peft_type": ')


def unknown_method(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"peft_type": "HYPER"}')


def without_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()


def truncated(folder: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])


def no_safetensors(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"\x80\x04pickle" * 9)


def changed(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS)
        change(tensors)
        save_file(tensors, folder / WEIGHTS)

    return act


def missing(tensors: dict[str, torch.Tensor]) -> None:
    del tensors[sorted(tensors)[0]]


def extra(tensors: dict[str, torch.Tensor]) -> None:
    first = sorted(tensors)[0]
    tensors[first.replace(".layers.0.", ".layers.7.")] = tensors[first].clone()


@pytest.mark.parametrize(
    "damage, told",
    [
        (without_config, ["no adapter_config.json"]),
        (broken_config, ["adapter_config.json", "invalid JSON"]),
        (unknown_method, ["adapter_config.json", "'HYPER'"]),
        (without_weights, [WEIGHTS, "missing"]),
        (truncated, [WEIGHTS, "bytes"]),
        (no_safetensors, [WEIGHTS]),
        (changed(missing), [WEIGHTS, ".layers.0."]),
        (changed(extra), [WEIGHTS, ".layers.7."]),
    ],
)
def test_damaged_adapters_are_refused(
    copied: Path, base: Backbone, damage: Callable[[Path], None], told: list[str]
) -> None:
    damage(copied / "adapter")
    with pytest.raises(InputError) as caught:
        load(copied, backbone=base)
    for part in told:
        assert part in str(caught.value)


def test_adapter_for_another_geometry_shows_both_shapes(trained: Path, tmp_path: Path) -> None:
    other = load_backbone(save_tiny_llava(tmp_path / "other", heads=4), device="cpu")
    with pytest.warns(UserWarning, match="revision"), pytest.raises(InputError) as caught:
        load(trained, backbone=other)
    told = str(caught.value)
    assert WEIGHTS in told
    pairs = r"\[6, 8, (8|10)\].*\[4, 8, (8|15)\]" if "virtual_kv" in told else r"\[20, 16\].*\[30, 16\]"
    assert re.search(pairs, told)


def test_adapter_for_more_layers_names_the_missing_key(trained: Path, tmp_path: Path) -> None:
    other = load_backbone(save_tiny_llava(tmp_path / "other", layers=3), device="cpu")
    with pytest.warns(UserWarning, match="revision"), pytest.raises(InputError, match=r"layers\.2\."):
        load(trained, backbone=other)


def test_missing_folders_and_unfinished_runs(copied: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such folder"):
        load(tmp_path / "nowhere")
    shutil.rmtree(copied / "adapter")
    with pytest.raises(InputError, match="not finished"):
        load(copied)
