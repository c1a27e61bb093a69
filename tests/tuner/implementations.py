"""A small model under any implementation of attention, and the ways to ask it that masks and windows depend on."""

from __future__ import annotations

from typing import Any

import torch
from peft import PeftModel, get_peft_model
from torch import Tensor
from transformers import DynamicCache, MistralConfig, MistralForCausalLM

from hificl import HiFICLConfig
from hificl.tuner.redirect import redirected_attention

VOCABULARY, WINDOW = 83, 5
CLOSE = 1e-11
LENGTHS = (5, 9, 3)
"""Of sequences packed into one row."""


def adapted(implementation: str, window: int | None = WINDOW, **options: Any) -> PeftModel:
    """A model in float64 whose config names an implementation, whether or not its package is installed."""
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=VOCABULARY, hidden_size=48, intermediate_size=40, num_hidden_layers=2, num_attention_heads=6,
        num_key_value_heads=2, max_position_embeddings=64, sliding_window=window,
    )  # fmt: skip
    base = MistralForCausalLM(config).double().eval()
    for parameter in base.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0, 0.3)
    options = {"num_virtual_tokens": 5, "r": 2, "init_weights": False, "init_score_offset": 0.7, **options}
    model = get_peft_model(base, HiFICLConfig(**options)).double().eval()
    base.config._attn_implementation_internal = implementation
    return model


def tokens(rows: int = 3, length: int = 11) -> Tensor:
    return torch.randint(0, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(1))


def padding(side: str) -> Tensor:
    mask = torch.ones(3, 11, dtype=torch.long)
    mask[1, :4] = 0
    mask[2, :2] = 0
    return mask if side == "left" else mask.flip(1)


def prompt(model: PeftModel) -> Tensor:
    return model(input_ids=tokens(), use_cache=False).logits


def left_padded(model: PeftModel) -> Tensor:
    mask = padding("left")
    return model(input_ids=tokens(), attention_mask=mask, use_cache=False).logits[mask.bool()]


def right_padded(model: PeftModel) -> Tensor:
    mask = padding("right")
    return model(input_ids=tokens(), attention_mask=mask, use_cache=False).logits[mask.bool()]


def in_three_pieces(model: PeftModel) -> Tensor:
    """A cached prompt: some tokens, several more, then one."""
    cache, ids, mask = DynamicCache(), tokens(), padding("left")
    pieces = []
    for first, last in ((0, 6), (6, 10), (10, 11)):
        pieces.append(model(input_ids=ids[:, first:last], attention_mask=mask[:, :last], past_key_values=cache).logits)
    return torch.cat(pieces, dim=1)[mask.bool()]


def in_pieces_without_a_mask(model: PeftModel) -> Tensor:
    cache, ids = DynamicCache(), tokens()
    return torch.cat([model(input_ids=ids[:, i : i + 4], past_key_values=cache).logits for i in (0, 4, 8)], dim=1)


def packed(model: PeftModel) -> Tensor:
    """Three sequences in one row, told apart by their positions."""
    places = torch.cat([torch.arange(length) for length in LENGTHS])[None]
    return model(input_ids=tokens(1, sum(LENGTHS)), position_ids=places, use_cache=False).logits


def attend_through(attention: Any, query: Tensor, key: Tensor, mask: Any, **keywords: Any) -> Tensor:
    return redirected_attention(attention, query, key, key.flip(2), mask, **keywords)[0]


def attention_of(model: PeftModel) -> Any:
    """The first attention module of an adapted model."""
    return model.base_model.model.model.layers[0].self_attn
