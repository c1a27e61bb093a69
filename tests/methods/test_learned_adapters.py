"""Every learned method as a PEFT adapter: saved, loaded to the bit, switched, disabled, mixed per row, unloaded."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftConfig, PeftModel
from safetensors.torch import load_file

from closeness import assert_close, assert_same
from hificl.methods import METHODS
from methods.small_decoder import adapted, logits, padded_batch, randomise, small_decoder

CASES: list[tuple[str, dict[str, Any]]] = [
    ("live", {}),
    ("live", {"site": "residual", "layers_to_transform": [0, 2]}),
    ("m2iv", {}),
    ("i2cl", {}),
    ("mimic", {}),
    ("mimic", {"form": "altered"}),
    ("prefix_tuning", {"num_virtual_tokens": 3}),
    ("hificl", {"num_virtual_tokens": 3, "r": 2, "mixing": "additive"}),
]
IDS = [f"{method}-{options}" for method, options in CASES]


def config_of(method: str, options: dict[str, Any]) -> PeftConfig:
    backbone: Any = types.SimpleNamespace(model=None)
    return METHODS[method].peft_config(backbone, options)


def filled(method: str, options: dict[str, Any], seed: int) -> PeftModel:
    """An adapter whose trained and extracted values are all random."""
    model = adapted(config_of(method, options), torch.float32)
    randomise(model, seed)
    for name, buffer in model.named_buffers():
        if "context_vector" in name:
            buffer.normal_(generator=torch.Generator().manual_seed(seed))
    return model


@pytest.mark.parametrize("method, options", CASES, ids=IDS)
def test_an_adapter_is_saved_loaded_switched_disabled_and_mixed(
    method: str, options: dict[str, Any], tmp_path: Path
) -> None:
    outputs = {}
    with torch.no_grad():
        for name, seed in (("one", 3), ("other", 4)):
            model = filled(method, options, seed)
            outputs[name] = logits(model)
            model.save_pretrained(str(tmp_path / name))
        plain = logits(small_decoder(torch.float32))
        assert len({tuple(output.flatten()[:7].tolist()) for output in (*outputs.values(), plain)}) == 3

        loaded = PeftModel.from_pretrained(small_decoder(torch.float32), str(tmp_path / "one"), adapter_name="one")
        loaded.load_adapter(str(tmp_path / "other"), adapter_name="other")
        for name in ("other", "one"):
            loaded.set_adapter(name)
            assert_same(logits(loaded), outputs[name], name)
        with loaded.disable_adapter():
            assert_same(logits(loaded), plain, "disabled")
        assert_same(logits(loaded), outputs["one"], "enabled again")

        batch = padded_batch()
        mixed = loaded(**batch, use_cache=False, adapter_names=["other", "__base__", "one"]).logits
        alone = [outputs["other"], plain, outputs["one"]]
        real = batch["attention_mask"].sum(dim=1).tolist()
        for row, output in enumerate(alone):
            expected = output[sum(real[:row]) : sum(real[: row + 1])]
            assert_close(mixed[row, -real[row] :], expected, 1e-5 * plain.abs().max().item(), f"row {row}")
        assert_same(logits(loaded.unload()), plain, "unloaded")


@pytest.mark.parametrize("method, options", CASES, ids=IDS)
def test_cached_decoding_is_a_full_forward(method: str, options: dict[str, Any]) -> None:
    """These methods act at every position of every step alike."""
    model = filled(method, options, 5).double()
    batch = padded_batch()
    with torch.no_grad():
        full = model(**batch, use_cache=False).logits
        first = model(**{name: tensor[:, :8] for name, tensor in batch.items()}, use_cache=True)
        rest = model(
            input_ids=batch["input_ids"][:, 8:], position_ids=batch["position_ids"][:, 8:],
            attention_mask=batch["attention_mask"], past_key_values=first.past_key_values,
        ).logits  # fmt: skip
    assert_close(rest, full[:, 8:], 1e-12 * full.abs().max().item(), "logits")


def test_extracted_values_are_stored_beside_trained_ones(tmp_path: Path) -> None:
    filled("i2cl", {}, 3).save_pretrained(str(tmp_path))
    names = {name.rsplit(".", 1)[1] for name in load_file(tmp_path / "adapter_model.safetensors")}
    assert names == {"context_vector", "mixture_weights"}
