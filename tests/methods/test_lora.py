from __future__ import annotations

import re
import types
from typing import Any

import pytest
import torch
import transformers
from peft import get_peft_model
from torch import nn

from hificl.errors import InputError
from hificl.methods.lora import decoder_projections, peft_config

TEXT = {"vocab_size": 97, "hidden_size": 60, "intermediate_size": 44, "num_hidden_layers": 3, "num_attention_heads": 6}
VISION = {
    "hidden_size": 24, "intermediate_size": 28, "num_hidden_layers": 2, "num_attention_heads": 2,
    "image_size": 8, "patch_size": 4,
}  # fmt: skip
SIGLIP = {"model_type": "siglip_vision_model", "vision_use_head": False, **VISION}
PERCEIVER = {
    "hidden_size": 60, "resampler_n_latents": 3, "resampler_depth": 1, "resampler_n_heads": 2,
    "resampler_head_dim": 8, "num_key_value_heads": 1,
}  # fmt: skip


def make(family: str, suffix: str = "ForConditionalGeneration", **parts: Any) -> nn.Module:
    with torch.device("meta"):
        return getattr(transformers, f"{family}{suffix}")(getattr(transformers, f"{family}Config")(**parts))


def llava() -> nn.Module:
    text = {"model_type": "qwen2", "num_key_value_heads": 2, **TEXT}
    return make("Llava", image_token_index=95, vision_config=SIGLIP, text_config=text)


def idefics2() -> nn.Module:
    text = {"model_type": "mistral", "num_key_value_heads": 2, **TEXT}
    return make("Idefics2", image_token_id=95, vision_config=VISION, text_config=text, perceiver_config=PERCEIVER)


def gemma3() -> nn.Module:
    text = {"model_type": "gemma3_text", "num_key_value_heads": 2, "head_dim": 10, **TEXT}
    return make("Gemma3", image_token_id=95, mm_tokens_per_image=4, vision_config=SIGLIP, text_config=text)


def idefics() -> nn.Module:
    vision = {
        "embed_dim": 24, "image_size": 8, "patch_size": 4, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 28,
    }  # fmt: skip
    return make(
        "Idefics", "ForVisionText2Text", vision_config=vision, cross_layer_interval=2, additional_vocab_size=2,
        use_resampler=True, perceiver_config={"resampler_n_latents": 3, "resampler_depth": 1, "resampler_n_heads": 2,
                                              "resampler_head_dim": 8}, **TEXT,
    )  # fmt: skip


def qwen2() -> nn.Module:
    return make("Qwen2", "ForCausalLM", num_key_value_heads=2, **TEXT)


@pytest.mark.parametrize("build", [llava, idefics2, gemma3, idefics, qwen2])
def test_only_the_projections_of_the_decoder_are_adapted(build: Any) -> None:
    """Three layers of four; other towers have layers of the same names."""
    model = build()
    pattern = decoder_projections(model)
    found = [name for name, module in model.named_modules() if re.fullmatch(pattern, name)]
    assert len(found) == 3 * 4
    assert {name.rsplit(".", 1)[1] for name in found} == {"q_proj", "k_proj", "v_proj", "o_proj"}
    assert not any(word in name for name in found for word in ("vision", "perceiver", "connector", "cross"))
    suffix = [name for name, _ in model.named_modules() if name.endswith(".q_proj")]
    assert len(suffix) > 3 or build is qwen2, "the trap is not there, so the test proves nothing"


def test_numbers_of_the_paper() -> None:
    config = peft_config(types.SimpleNamespace(model=llava()), {})  # type: ignore[arg-type]
    assert (config.r, config.lora_alpha, config.lora_dropout, config.bias) == (16, 32, 0.05, "none")


def test_options_replace_fields() -> None:
    config = peft_config(types.SimpleNamespace(model=llava()), {"r": 5, "target_modules": ["down_proj"]})  # type: ignore[arg-type]
    assert (config.r, config.target_modules) == (5, {"down_proj"})


def test_model_without_attention_is_refused() -> None:
    with pytest.raises(InputError, match="no linear layer in the self-attention of Linear"):
        decoder_projections(nn.Linear(3, 5))


def test_official_scope_reaches_the_vision_tower() -> None:
    model = idefics2()
    adapted = get_peft_model(model, peft_config(types.SimpleNamespace(model=model), {"scope": "official"}))  # type: ignore[arg-type]
    names = {name.split(".lora_")[0] for name, _ in adapted.named_parameters() if ".lora_" in name}
    parts = {part: sum(part in name for name in names) for part in ("text_model", "vision_model", "perceiver")}
    assert parts == {"text_model": 3 * 4, "vision_model": 2 * 3, "perceiver": 4}


def test_dora_by_flag() -> None:
    backbone: Any = types.SimpleNamespace(model=llava())
    assert peft_config(backbone, {"dora": True}).use_dora
    assert not peft_config(backbone, {}).use_dora


def test_dora_leaves_out_layers_that_it_would_turn_into_nan() -> None:
    """A row of zeros has no direction."""
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"num_key_value_heads": 2, **TEXT}
    config = transformers.Qwen2Config(**sizes)
    model: Any = transformers.Qwen2ForCausalLM(config)
    torch.nn.init.zeros_(model.model.layers[1].self_attn.k_proj.weight[3])
    backbone: Any = types.SimpleNamespace(model=model)
    with pytest.warns(UserWarning, match=r"rows of zeros in 1 layers, first model\.layers\.1\.self_attn\.k_proj"):
        made = peft_config(backbone, {"dora": True})
    adapted = get_peft_model(model, made)
    names = {name.split(".lora_")[0] for name, _ in adapted.named_parameters() if ".lora_" in name}
    assert len(names) == 3 * 4 - 1
    assert torch.isfinite(adapted(input_ids=torch.tensor([[5, 7, 11]])).logits).all()
    assert peft_config(backbone, {}).exclude_modules is None


@pytest.mark.parametrize(
    "options, message",
    [
        ({"scope": "vision"}, "scope='vision' is unknown; choose 'decoder' or 'official'"),
        ({"dora": "yes"}, "dora='yes' must be true or false"),
        ({"scope": "official", "target_modules": ["q_proj"]}, "both name the layers; give one of the two"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        peft_config(types.SimpleNamespace(model=llava()), options)  # type: ignore[arg-type]
