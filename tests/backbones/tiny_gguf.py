"""A tiny random Llama with its tokenizer as one GGUF file, written with the package ``gguf``."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from backbones.tiny_models import tiny_tokenizer

MARKS = ["<|im_start|>", "<|im_end|>"]
HEADS, KV_HEADS, ROPE_THETA = 6, 2, 7000.0
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def tiny_llama() -> LlamaForCausalLM:
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=len(tiny_tokenizer(MARKS)), hidden_size=96, intermediate_size=160, num_hidden_layers=2,
        num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, max_position_embeddings=173,
        tie_word_embeddings=True, initializer_range=0.3, bos_token_id=3, eos_token_id=4, pad_token_id=0,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def write_gguf(file: Path, model: LlamaForCausalLM) -> None:
    """Write in float32; the layers of the MLP in blocks of eight bits."""
    writer = gguf.GGUFWriter(file, "llama")
    config = model.config
    writer.add_name("tiny")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(ROPE_THETA)
    writer.add_vocab_size(config.vocab_size)
    _add_tokenizer(writer)
    for name, tensor in model.state_dict().items():
        _add_tensor(writer, name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: gguf.GGUFWriter) -> None:
    stored = json.loads(tiny_tokenizer(MARKS).backend_tokenizer.to_str())
    vocabulary = stored["model"]["vocab"]
    special = {token["content"] for token in stored["added_tokens"]}
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    kinds = [gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in stored["model"]["merges"]])
    writer.add_bos_token_id(3)
    writer.add_eos_token_id(4)
    writer.add_unk_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_chat_template(TEMPLATE)


def _add_tensor(writer: gguf.GGUFWriter, name: str, tensor: Tensor) -> None:
    if name == "lm_head.weight":  # tied
        return
    plain = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    if name in plain:
        writer.add_tensor(plain[name], tensor.numpy())
        return
    layer, _, part = name.removeprefix("model.layers.").removesuffix(".weight").partition(".")
    if part in ("self_attn.q_proj", "self_attn.k_proj"):
        tensor = _halves_in_turn(tensor, HEADS if "q_proj" in part else KV_HEADS)
    packed = gguf.GGMLQuantizationType.Q8_0
    target = f"blk.{layer}.{NAMES[part]}.weight"
    if part.startswith("mlp."):
        writer.add_tensor(target, gguf.quants.quantize(tensor.numpy(), packed), raw_dtype=packed)
    else:
        writer.add_tensor(target, tensor.numpy())


def _halves_in_turn(tensor: Tensor, heads: int) -> Tensor:
    """Rotated pairs stand next to each other in these files, half a head apart in transformers."""
    halves = tensor.reshape(heads, 2, -1, tensor.shape[1])
    return halves.transpose(1, 2).reshape(tensor.shape).contiguous()
