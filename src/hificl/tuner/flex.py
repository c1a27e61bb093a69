"""Models loaded with flex attention: pairs join it through its log-sum-exp on a GPU, through its mask on a CPU.

Flex attention has no gradient on a CPU, nor a log-sum-exp there when compiled; the fused kernel serves it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import AuxRequest, BlockMask, create_mask
from torch.utils.weak import WeakIdKeyDictionary
from transformers.integrations.flex_attention import compile_friendly_flex_attention

from hificl.attention.autocast import as_under_autocast
from hificl.attention.merge import virtual_scores
from hificl.attention.mixture import mixed
from hificl.tuner.attend import AttentionFunction, attend, is_plain
from hificl.tuner.pairs import Pairs
from hificl.tuner.seen import Seen

FLEX = "flex_attention"

_visible: WeakIdKeyDictionary = WeakIdKeyDictionary()  # block mask of this forward -> the same as booleans


def attend_as_flex(
    eager: AttentionFunction,
    module: Any,
    pairs: Pairs,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | BlockMask | None,
    keywords: dict[str, Any],
) -> Tensor:
    """Compute what transformers' flex attention would, with virtual pairs.

    Args:
        eager: The eager function of the module, for what the fused path does not know.
        module: As in :func:`hificl.tuner.attend.attend`, as are ``pairs``, ``query``, ``key`` and ``value``.
        mask: A block mask, a mask as elsewhere, or None: everything is visible.
        keywords: What the module passes besides.

    Returns:
        [batch queries heads value_dim].
    """
    if isinstance(mask, BlockMask):
        if _has_log_sum_exp(query) and is_plain(pairs, keywords):
            options = keywords.get("kernel_options"), module.training
            return _joined(query, key, value, pairs, mask, keywords.get("scaling"), *options)
        mask = visible_keys(mask, query.shape[2], key.shape[2])
    if mask is not None:
        key, value = key[:, :, : mask.shape[-1]], value[:, :, : mask.shape[-1]]
    return attend(eager, module, pairs, query, key, value, Seen(mask), keywords)[0]


def _has_log_sum_exp(query: Tensor) -> bool:
    return query.device.type != "cpu" and query.dtype != torch.float64


def visible_keys(mask: BlockMask, queries: int, keys: int) -> Tensor:
    """Write a block mask out, [batch|1 heads|1 queries keys], True where a key is visible; once per forward."""
    remembered: tuple[tuple[int, int], Tensor] | None = _visible.get(mask)
    if remembered is not None and remembered[0] == (queries, keys):
        return remembered[1]
    batch, heads, _, slots = mask.shape
    slots = min(slots, keys)
    visible = create_mask(mask.mask_mod, batch, heads, queries, slots, device=mask.kv_num_blocks.device.type)
    blocks = mask.to_dense().bool()  # they alone hide keys in masks that were made from blocks
    for axis, size in ((-2, mask.BLOCK_SIZE[0]), (-1, mask.BLOCK_SIZE[1])):
        blocks = blocks.repeat_interleave(size, dim=axis)
    visible = visible & blocks[..., :queries, :slots]
    if not torch.compiler.is_compiling():
        _visible[mask] = ((queries, keys), visible)
    return visible


@as_under_autocast
def _joined(
    query: Tensor, key: Tensor, value: Tensor, pairs: Pairs, mask: BlockMask, scale: float | None,
    kernel_options: Any, training: bool,
) -> Tensor:  # fmt: skip
    """Let flex attention attend to the real keys, and weigh the pairs against the mass that it returns."""
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    heads, groups = query.shape[1], query.shape[1] // key.shape[1]
    shared = heads & (heads - 1) == 0  # as in transformers: heads that are no power of two are not shared
    if not shared:
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    found: Any = compile_friendly_flex_attention(
        query, key, value, training=training, block_mask=mask, enable_gqa=shared, scale=scale,
        kernel_options=kernel_options, return_aux=AuxRequest(lse=True),
    )  # fmt: skip
    output, auxiliary = found
    scores = virtual_scores(query, pairs.key, pairs.score_offset, scale)
    joined = mixed(output, auxiliary.lse, scores, pairs.value)
    return joined.transpose(1, 2).contiguous()
