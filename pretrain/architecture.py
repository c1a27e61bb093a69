"""The model: a LLaVA of a small SigLIP tower and a small Qwen2 decoder, at one of the sizes of the recipe."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import (
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
    Qwen2Config,
    SiglipVisionConfig,
)

from pretrain.data.pool import IMAGE_SIZE, PATCHES

VISUAL_TOKENS = PATCHES * PATCHES
CONTEXT = 2048  # position embeddings of the decoder
TEXT_INITIAL_SCALE = 0.08  # about 1 / sqrt(width), so that a word is a vector of length one
ROTARY_BASE = 1e6  # more than half of the components hardly turn within a prompt


@dataclass(frozen=True)
class Architecture:
    """Widths and depths. heads must divide text_width; kv_heads must divide heads."""

    text_width: int
    text_layers: int
    text_inner: int
    heads: int
    kv_heads: int
    vision_width: int
    vision_layers: int
    vision_inner: int
    vision_heads: int
    vocabulary: int


def vision_config(architecture: Architecture) -> SiglipVisionConfig:
    """Return the tower's configuration (no pooling head)."""
    return SiglipVisionConfig(
        hidden_size=architecture.vision_width,
        intermediate_size=architecture.vision_inner,
        num_hidden_layers=architecture.vision_layers,
        num_attention_heads=architecture.vision_heads,
        image_size=IMAGE_SIZE,
        patch_size=IMAGE_SIZE // PATCHES,
        vision_use_head=False,
    )


def build_model(architecture: Architecture, tokenizer: PreTrainedTokenizerFast) -> LlavaForConditionalGeneration:
    """Return a randomly initialised fp32 model whose special token ids are the tokenizer's."""
    text = Qwen2Config(
        vocab_size=architecture.vocabulary,
        hidden_size=architecture.text_width,
        intermediate_size=architecture.text_inner,
        num_hidden_layers=architecture.text_layers,
        num_attention_heads=architecture.heads,
        num_key_value_heads=architecture.kv_heads,
        max_position_embeddings=CONTEXT,
        initializer_range=TEXT_INITIAL_SCALE,
        rope_parameters={"rope_type": "default", "rope_theta": ROTARY_BASE},
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    config = LlavaConfig(
        vision_config=vision_config(architecture),
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=VISUAL_TOKENS,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        tie_word_embeddings=True,
    )
    model = LlavaForConditionalGeneration(config)
    with torch.no_grad():  # layers that start silent leave the words readable in the residual stream
        for layer in model.model.language_model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
    return model
