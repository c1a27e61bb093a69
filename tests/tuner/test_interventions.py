"""The tuner of interventions beside the laws: counts on the meta device, devices, storage, and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from hificl import BACKBONES
from hificl.backbones.geometry import build_on_meta
from hificl.errors import InputError
from hificl.tuner import Call, Intervention, interventions
from laws.toys import LastStateConfig, ShiftConfig

VOCABULARY = 61


def gpt2(layers: int = 2) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=VOCABULARY, n_embd=30, n_layer=layers, n_head=3, n_inner=22, n_positions=40)
    return GPT2LMHeadModel(config).eval()


def logits(model: nn.Module, **keywords: Any) -> Tensor:
    tokens = torch.randint(0, VOCABULARY, (3, 7), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return model(input_ids=tokens, **keywords).logits


@pytest.mark.parametrize("backbone", ["idefics2", "llava-interleave"])
def test_counts_without_memory(backbone: str) -> None:
    """32 layers, 32 heads of 128, hidden size 4096."""
    base = build_on_meta(BACKBONES[backbone])
    model = get_peft_model(base, ShiftConfig())
    assert model.get_nb_trainable_parameters()[0] == 32 * (3 * 4096 + 32 * 128)
    assert all(parameter.is_meta for parameter in model.parameters())
    model.unload()
    model = get_peft_model(base, LastStateConfig(layers_to_transform=[3, 17]))
    assert sum(module.last_state.numel() for module in interventions(model).values()) == 2 * 4096
    assert model.get_nb_trainable_parameters()[0] == 2 * 3
    assert all(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))
    model.unload()


def test_only_the_layers_that_are_told() -> None:
    model = get_peft_model(gpt2(layers=5), ShiftConfig(layers_to_transform=[3, 1], only="mlp_output"))
    assert list(interventions(model)) == [("mlp_output", 1), ("mlp_output", 3)]
    assert model.targeted_module_names == ["transformer.h.1.mlp", "transformer.h.3.mlp"]


@pytest.mark.parametrize("layers", [-1, [0, 2.5], True, ["1"]], ids=str)
def test_layers_that_are_no_indices_are_refused(layers: Any) -> None:
    with pytest.raises(InputError, match="ShiftConfig: layers_to_transform=.* must hold layer indices from 0"):
        ShiftConfig(layers_to_transform=layers)


def test_layers_beyond_the_last_are_refused() -> None:
    with pytest.raises(InputError, match=r"\[1, 7\]: there is no layer 7, the text decoder has 2 .* from 0 to 1"):
        get_peft_model(gpt2(), ShiftConfig(layers_to_transform=[1, 7]))


@pytest.mark.parametrize("options", [{"only": "nowhere"}, {"layers_to_transform": []}], ids=str)
def test_a_config_that_acts_nowhere_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="ShiftConfig: it acts nowhere at head_output, .* from 0 to 1"):
        get_peft_model(gpt2(), ShiftConfig(**options))


def test_an_adapter_that_is_not_there_is_named_with_those_that_are() -> None:
    model = get_peft_model(gpt2(), ShiftConfig(), adapter_name="here")
    with pytest.raises(InputError, match="no adapter 'there' on this PeftModel; it has 'here'"):
        interventions(model, "there")
    with pytest.raises(InputError, match="no adapter 'default' on this GPT2LMHeadModel; it has none"):
        interventions(gpt2())


@pytest.mark.parametrize("action", ["merge_adapter", "unmerge_adapter", "merge_and_unload"])
def test_merging_is_refused_with_the_reason(action: str) -> None:
    with pytest.raises(ValueError, match="they change activations"):
        getattr(get_peft_model(gpt2(), ShiftConfig()).base_model, action)()


class Broken(Intervention):
    """Returns something else than it got."""

    def __init__(self, change: str) -> None:
        super().__init__()
        self.change = change

    def forward(self, activation: Tensor, call: Call) -> Tensor:
        return activation[:, -1:] if self.change == "shape" else activation.double()


@pytest.mark.parametrize("change", ["shape", "dtype"])
def test_another_shape_or_dtype_is_refused_by_name(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ShiftConfig, "build", lambda self, place: Broken(change))
    model = get_peft_model(gpt2(), ShiftConfig(layers_to_transform=1))
    with pytest.raises(ValueError, match=r"h\.1\.attn: Broken makes .* it must keep shape and dtype"):
        logits(model)


def test_adapter_names_are_checked() -> None:
    model = get_peft_model(gpt2(), ShiftConfig()).eval()
    with pytest.raises(ValueError, match="no adapter other; loaded are default"):
        logits(model, adapter_names=["default", "other", "__base__"])
    with pytest.raises(ValueError, match="2 names for a batch of 3 rows"):
        logits(model, adapter_names=["default", "__base__"])
    with pytest.raises(ValueError, match="training mode"):
        logits(model.train(), adapter_names=["default"] * 3)


def test_a_later_adapter_goes_where_the_model_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the meta device nothing is allocated even for a moment."""
    model = get_peft_model(gpt2(), ShiftConfig()).to("meta")
    made: list[str] = []
    build = ShiftConfig.build
    monkeypatch.setattr(ShiftConfig, "build", lambda *told: made.append(torch.zeros(1).device.type) or build(*told))
    model.add_adapter("later", ShiftConfig())
    assert made == ["meta"] * 8
    assert {module.shift_vector.device.type for module in interventions(model, "later").values()} == {"meta"}


def test_interventions_are_called_so_that_their_hooks_run() -> None:
    """Offloading loads the values of a module in a hook before its forward."""
    model = get_peft_model(gpt2(), ShiftConfig(only="residual", layers_to_transform=0)).eval()
    loaded = []
    module = interventions(model)["residual", 0]
    module.register_forward_pre_hook(lambda *_: loaded.append(True))
    logits(model)
    assert loaded == [True]


def test_an_adapter_of_another_module_tree_is_matched_by_place(tmp_path: Path) -> None:
    model = get_peft_model(gpt2(), ShiftConfig()).eval()
    model.save_pretrained(tmp_path)
    file = tmp_path / "adapter_model.safetensors"
    stored = load_file(file)
    assert len(stored) == 8
    renamed = {key.replace("model.transformer.h.", "model.decoder.stack.h."): value for key, value in stored.items()}
    assert not renamed.keys() & stored.keys()
    save_file(renamed, file)
    loaded = PeftModel.from_pretrained(gpt2(), tmp_path)
    assert torch.equal(logits(loaded), logits(model))
    save_file({key: value for key, value in stored.items() if "h.1.at_residual" not in key}, file)
    with pytest.raises(InputError, match=r"lacks 1 entries .*h\.1\.at_residual\.hificl_interventions\.shift_vector"):
        PeftModel.from_pretrained(gpt2(), tmp_path)
    save_file({**stored, next(iter(stored)): torch.zeros(5)}, file)
    with pytest.raises(InputError, match=r"is \[5\] in the file and \[(30|3, 10)\] in the model"):
        PeftModel.from_pretrained(gpt2(), tmp_path)


def test_a_config_comes_back_as_it_was(tmp_path: Path) -> None:
    config = ShiftConfig(only="residual", layers_to_transform=[1])
    config.save_pretrained(str(tmp_path))
    assert ShiftConfig.from_pretrained(str(tmp_path)).to_dict() == config.to_dict()


@pytest.mark.parametrize("training", [False, True])
def test_a_new_adapter_takes_the_mode_of_the_model(training: bool) -> None:
    """What acts in training only, such as noise, must not act in a model that is in eval mode."""
    model = get_peft_model(gpt2().train(training), ShiftConfig())
    assert {module.training for module in interventions(model).values()} == {training}
    model.train(training).add_adapter("later", ShiftConfig())
    assert {module.training for module in model.modules()} == {training}
