"""A small random text decoder with grouped heads, and a padded batch for it: what formulas are checked on."""

from __future__ import annotations

import torch
from peft import PeftConfig, PeftModel, get_peft_model
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

VOCABULARY, LAYERS, HIDDEN, HEADS, KV_HEADS, HEAD_DIM = 89, 3, 42, 6, 2, 14


def small_decoder(dtype: torch.dtype = torch.float64) -> LlamaForCausalLM:
    """Six query heads of 14 on two key-value heads; 42 hidden values, which is not heads times head size."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=HIDDEN, intermediate_size=64, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, head_dim=HEAD_DIM, max_position_embeddings=64,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0, 0.3)
    return model.to(dtype).requires_grad_(False)


def padded_batch() -> dict[str, Tensor]:
    """Three rows of eleven tokens; the first begins with four padded ones."""
    mask = torch.ones(3, 11, dtype=torch.long)
    mask[0, :4] = 0
    ids = torch.randint(0, VOCABULARY, (3, 11), generator=torch.Generator().manual_seed(1))
    return {"input_ids": ids, "attention_mask": mask, "position_ids": (mask.cumsum(1) - 1).clamp_min(0)}


def adapted(config: PeftConfig, dtype: torch.dtype = torch.float64) -> PeftModel:
    """The decoder with an adapter whose learned values are all random, in the dtype of the decoder."""
    model = get_peft_model(small_decoder(dtype), config).to(dtype).eval()
    randomise(model)
    return model


def randomise(model: PeftModel, seed: int = 2) -> None:
    """Move every learned value away from its start."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.5 * torch.randn(parameter.shape, generator=generator).to(parameter.dtype)


def logits(model: torch.nn.Module) -> Tensor:
    """Logits of the real tokens of the padded batch, [tokens vocabulary]."""
    batch = padded_batch()
    return model(**batch, use_cache=False).logits[batch["attention_mask"].bool()]
