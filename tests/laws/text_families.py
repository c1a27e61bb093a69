"""Decoders without images, each here for one thing that its attention does differently."""

from __future__ import annotations

import torch
import transformers
from transformers import AutoModelForCausalLM, PreTrainedModel

from .twins import BEGIN, END, PAD, VOCABULARY, Sample, Twin, text_ids

SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 60,
    "intermediate_size": 44,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": PAD,
    "bos_token_id": BEGIN,
    "eos_token_id": END,
    "tie_word_embeddings": False,
}
MIXTURE = {"experts_implementation": "eager", "moe_intermediate_size": 28, "num_experts_per_tok": 2}


def _plain_sample(generator: torch.Generator, length: int) -> Sample:
    return Sample({"input_ids": text_ids(generator, length)})


def _causal(name: str, family: str, kernels: tuple[str, ...] = ("sdpa", "eager"), **changes: object) -> Twin:
    def construct() -> PreTrainedModel:
        config = getattr(transformers, f"{family}Config")(**{**SIZES, **changes})
        return AutoModelForCausalLM.from_config(config)

    return Twin(name, construct, _plain_sample, own_positions=family == "OPT", kernels=kernels)


TEXT_FAMILIES = {
    twin.name: twin
    for twin in (
        _causal("llama", "Llama", head_dim=14),
        _causal("qwen2", "Qwen2"),
        _causal("qwen3", "Qwen3", head_dim=14),
        # one projection for queries, keys and values
        _causal("phi3", "Phi3"),
        # a softcap on the scores
        _causal("gemma2", "Gemma2", ("eager",), head_dim=14, sliding_window=5, query_pre_attn_scalar=9),
        # one Conv1D for queries, keys and values; absolute positions
        _causal("gpt2", "GPT2", n_embd=60, n_layer=2, n_head=6, n_positions=128, n_inner=44),
        _causal("opt", "OPT", ffn_dim=44, word_embed_proj_dim=60),
        _causal("gpt_neox", "GPTNeoX"),
        # a scale other than head_dim ** -0.5
        _causal("granite", "Granite", attention_multiplier=0.21, residual_multiplier=0.7),
        _causal("cohere2", "Cohere2", sliding_window=5, logit_scale=1.0),
        # attention sinks
        _causal("gpt_oss", "GptOss", ("eager",), head_dim=14, sliding_window=5, num_local_experts=3, **MIXTURE),
        # two stacks of layers whose names differ only above the list
        _causal("hrm_text", "HrmText"),
        _causal("qwen3_moe", "Qwen3Moe", head_dim=14, num_experts=3, **MIXTURE),
        # keys of 14 numbers, values of 9
        _causal(
            "deepseek_v3",
            "DeepseekV3",
            num_key_value_heads=6,
            kv_lora_rank=11,
            q_lora_rank=13,
            qk_rope_head_dim=4,
            qk_nope_head_dim=10,
            v_head_dim=9,
            n_routed_experts=4,
            n_group=2,
            topk_group=1,
            first_k_dense_replace=1,
            **MIXTURE,
        ),
    )
}
