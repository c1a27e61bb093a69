"""The rivals: what the same frozen decoder costs plain, with other adapters, and with other forms of the same pairs.

The two other forms are plain references: the published one, which makes a second queries x keys product for its
normaliser, and the pairs put in front of the real keys.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftConfig, PrefixTuningConfig, get_peft_model
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from benchmarks.decoders import Decoder
from hificl import HiFICLConfig
from hificl.errors import InputError

PAIRS = 8
"""Virtual pairs per head, and their rank, wherever no other number is given: the published ones."""

LORA_RANK = 16


def published_attention(
    query: Tensor, key: Tensor, value: Tensor, virtual_key: Tensor, virtual_value: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Attend as the published code does (``compat="official"``), with all scores in memory for the normaliser.

    Shapes as in :func:`hificl.virtual_attention`. The masks are left out of the normaliser, as there.
    """
    scale, groups = query.shape[-1] ** -0.5, query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    causal = mask is None and query.shape[2] > 1
    output = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
    real_mass = torch.logsumexp(scale * (query @ key.transpose(-1, -2)), dim=-1, keepdim=True)
    scores = scale * (query @ virtual_key.transpose(-1, -2))
    joint = torch.logaddexp(real_mass, torch.logsumexp(scores, dim=-1, keepdim=True))
    return torch.exp(real_mass - joint) * output + torch.exp(scores - joint) @ virtual_value


def prepended_attention(
    query: Tensor, key: Tensor, value: Tensor, virtual_key: Tensor, virtual_value: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Attend with the pairs put before the real keys, which needs a copy of both and an explicit mask.

    Shapes as in :func:`hificl.virtual_attention`; exact.
    """
    batch, heads, queries, _ = query.shape
    groups, keys, virtual = heads // key.shape[1], key.shape[2], virtual_key.shape[1]
    key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    if mask is None and queries > 1:
        mask = torch.ones(queries, keys, dtype=torch.bool, device=query.device).tril(keys - queries)[None, None]
    if mask is not None:
        mask = F.pad(mask, (virtual, 0), value=True)
    key = torch.cat([virtual_key.expand(batch, -1, -1, -1), key], dim=2)
    value = torch.cat([virtual_value.expand(batch, -1, -1, -1), value], dim=2)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


FORMS = {"published": published_attention, "prepended": prepended_attention}


class PlainPairs(nn.Module):
    """The factors of one layer's pairs, as published: each a product ``left @ right``."""

    def __init__(self, heads: int, head_dim: int) -> None:
        super().__init__()
        self.key_left, self.value_left = (nn.Parameter(torch.randn(heads, PAIRS, PAIRS)) for _ in range(2))
        self.key_right = nn.Parameter(torch.randn(heads, PAIRS, head_dim) * 0.01)
        self.value_right = nn.Parameter(torch.zeros(heads, PAIRS, head_dim))

    def forward(self) -> tuple[Tensor, Tensor]:
        """Return keys and values, both [heads virtual head_dim]."""
        return self.key_left @ self.key_right, self.value_left @ self.value_right


def _of_layer(form: str) -> Any:
    def attention(
        module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **_: object
    ) -> tuple[Tensor, None]:
        virtual_key, virtual_value = (part.to(query.dtype) for part in module.plain_pairs())
        output = FORMS[form](query, key, value, virtual_key, virtual_value, mask)
        return output.transpose(1, 2).contiguous(), None

    return attention


def _with_form(decoder: Decoder, form: str) -> nn.Module:
    """Let every layer of a copy of the decoder use one of ``FORMS``."""
    AttentionInterface.register(form, _of_layer(form))
    AttentionMaskInterface.register(form, sdpa_mask)
    model = decoder.tree()
    config: Any = model.config
    for layer in model.get_decoder().layers:
        head_dim = layer.self_attn.head_dim
        layer.self_attn.plain_pairs = PlainPairs(config.num_attention_heads, head_dim).to(model.device)
    config._attn_implementation = form
    return model.eval()


def _config(name: str, options: dict[str, Any]) -> PeftConfig:
    if name == "hificl":
        return HiFICLConfig(**options)
    if name == "lora":
        targets = ["q_proj", "k_proj", "v_proj", "o_proj"]
        return LoraConfig(r=LORA_RANK, lora_alpha=2 * LORA_RANK, target_modules=targets)
    return PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=PAIRS)


RIVALS = ("plain", "hificl", "prepended", "published", "lora", "prefix_tuning")
"""Everything that :func:`rival` makes."""


def rival(decoder: Decoder, name: str, **options: Any) -> nn.Module:
    """Make a rival on a module tree of its own over the decoder's weights, in eval mode.

    Args:
        decoder: The frozen decoder.
        name: One of ``RIVALS``.
        **options: Fields of ``HiFICLConfig``, for ``"hificl"`` alone.

    Raises:
        InputError: An unknown name.
    """
    if name not in RIVALS:
        raise InputError(f"rival {name!r} is not known; known are {', '.join(RIVALS)}.")
    if name == "plain":
        return decoder.tree()
    if name in FORMS:
        return _with_form(decoder, name)
    return attached(decoder, _config(name, options))


def attached(decoder: Decoder, config: PeftConfig) -> Any:
    """Attach a PEFT method to a module tree of its own over the decoder's weights, in eval mode."""
    with warnings.catch_warnings():
        # PEFT reads an attribute that transformers has renamed.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        return get_peft_model(decoder.tree(), config).eval()
