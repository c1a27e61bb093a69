"""An exported prefix gives the same outputs as the adapter, or the export is refused with the reason."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    GlmConfig,
    LlamaConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from closeness import assert_close, rounding_budget
from hificl import HiFICLConfig
from hificl.errors import InputError
from hificl.methods.icv import ICVConfig
from hificl.methods.live import LIVEConfig
from hificl.methods.mimic import MimICConfig
from hificl.tuner.export import export_prefix

VOCABULARY = 97


def base_model(kv_heads: int) -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=VOCABULARY, hidden_size=48, intermediate_size=64, num_hidden_layers=3,
        num_attention_heads=6, num_key_value_heads=kv_heads, max_position_embeddings=64,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0, 0.3)
    return model


def adapted(model: Qwen2ForCausalLM, **options) -> PeftModel:
    model = get_peft_model(model, HiFICLConfig(num_virtual_tokens=5, r=2, init_weights=False, **options)).eval()
    for name, parameter in model.named_parameters():
        if "hificl_kv" in name:
            parameter.data.normal_()
    return model


@pytest.mark.parametrize(("kv_heads", "share"), [(6, "query"), (2, "kv")])
def test_prefix_equals_adapter(kv_heads: int, share: str, tmp_path: Path) -> None:
    base = base_model(kv_heads)
    plain, double = copy.deepcopy(base), copy.deepcopy(base)
    model = adapted(base, share=share)
    written = export_prefix(model, tmp_path / "prefix")
    assert written["num_virtual_tokens"] == 5
    assert written["kv_heads"] == kv_heads

    ids = torch.randint(0, VOCABULARY, (3, 11))
    with torch.no_grad():
        expected = model(input_ids=ids).logits
        budget = rounding_budget(plain(input_ids=ids).logits, double.double()(input_ids=ids).logits, margin=32)
        prefix = PeftModel.from_pretrained(plain, tmp_path / "prefix").eval()
        assert_close(prefix(input_ids=ids).logits, expected, budget, "logits")
    padded = torch.ones_like(ids)
    padded[0, :4] = 0
    options = {"attention_mask": padded, "max_new_tokens": 6, "do_sample": False}
    assert torch.equal(prefix.generate(input_ids=ids, **options), model.generate(input_ids=ids, **options))


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "rope_theta": 10000.0}
ROTATIONS = {
    "halves": LlamaConfig,
    "interleaved": CohereConfig,
    "a part, interleaved": GlmConfig,
    "scaled": partial(LlamaConfig, rope_parameters=YARN),
}


@pytest.mark.parametrize("make", ROTATIONS.values(), ids=ROTATIONS.keys())
def test_prefix_equals_adapter_under_every_rotation(make: Callable[..., PretrainedConfig], tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = make(
        vocab_size=VOCABULARY, hidden_size=48, intermediate_size=64, num_hidden_layers=2, head_dim=8,
        num_attention_heads=6, num_key_value_heads=2, max_position_embeddings=64, pad_token_id=0,
    )  # fmt: skip
    base = AutoModelForCausalLM.from_config(config).eval()
    plain, double = copy.deepcopy(base), copy.deepcopy(base).double()
    model = adapted(base, share="kv")
    export_prefix(model, tmp_path)
    ids = torch.randint(1, VOCABULARY, (2, 11))
    with torch.no_grad():
        budget = rounding_budget(plain(input_ids=ids).logits, double(input_ids=ids).logits, margin=32)
        prefix = PeftModel.from_pretrained(plain, tmp_path).eval()
        assert_close(prefix(input_ids=ids).logits, model(input_ids=ids).logits, budget, "logits")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (MimICConfig(), "MimIC adds its vector beside the softmax"),
        (MimICConfig(form="altered"), "MimIC .* with a value that follows the query"),
        (LIVEConfig(), "a LIVE adapter changes activations and has no keys and values"),
        (ICVConfig(), "an? ICV adapter changes activations"),
        (LoraConfig(target_modules=["q_proj"]), "a LORA adapter of PEFT's own has no virtual pairs"),
    ],
    ids=lambda value: getattr(value, "peft_type", None),
)
def test_other_methods_have_no_prefix(config: PeftConfig, reason: str, tmp_path: Path) -> None:
    model = get_peft_model(base_model(kv_heads=2), config)
    with pytest.raises(InputError, match=f"cannot export to a prefix: {reason}.*, or train method='prefix_tuning'"):
        export_prefix(model, tmp_path / "prefix")
    assert not (tmp_path / "prefix").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "6 query heads on 2 key-value heads.*share='kv'"),
        ({"share": "kv", "mixing": "additive"}, "one joint softmax"),
        ({"share": "kv", "init_score_offset": 1.0}, "no score offsets"),
        ({"share": "kv", "layers_to_transform": [0, 2]}, "2 of 3 layers"),
    ],
)
def test_refusals_give_the_reason_and_write_nothing(options: dict, reason: str, tmp_path: Path) -> None:
    model = adapted(base_model(kv_heads=2), **options)
    with pytest.raises(InputError, match=reason):
        export_prefix(model, tmp_path / "prefix")
    assert not (tmp_path / "prefix").exists()
