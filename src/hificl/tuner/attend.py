"""How virtual pairs join one attention call: on the fused kernel where it computes what the module asks, else in front.

The second way puts the pairs before the real keys and calls the module's own attention function, so that whatever else
that function does (a soft cap, sinks, a position bias, dropout, returned weights) also applies to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hificl.attention.autocast import as_under_autocast
from hificl.attention.masks import additive_mask, rows_without_keys
from hificl.attention.mixture import virtual_mixture
from hificl.attention.notice import say_once
from hificl.attention.operator import joint_attention
from hificl.attention.virtual import virtual_attention
from hificl.errors import InputError
from hificl.tuner.once import OncePerForward
from hificl.tuner.pairs import Pairs
from hificl.tuner.seen import Seen

AttentionFunction = Callable[..., tuple[Tensor, Tensor | None]]

# Keywords of transformers that do not touch attention, or that the caller of attend() has put into what is seen.
KNOWN = frozenset(
    (
        *("scaling", "is_causal", "sliding_window", "position_ids", "position_embeddings", "cache_position"),
        *("past_key_values", "past_key_value", "use_cache", "layer_idx", "logits_to_keep", "num_items_in_batch"),
        *("output_attentions", "output_hidden_states", "return_dict", "token_type_ids", "mm_token_type_ids"),
        *("cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k", "deterministic", "kernel_options"),
    )
)

_prepared = OncePerForward()


def prepare_mask(mask: Tensor, keys: int, dtype: torch.dtype, site: str) -> tuple[Tensor, Tensor]:
    """Bring a model's mask into the kernels' form, boolean ones once per forward: all layers get the same object.

    Returns:
        The additive mask [batch|1 heads|1 queries|1 keys] and the rows that see no key, [batch|1 heads|1 queries|1].
    """

    def make() -> tuple[Tensor, Tensor]:
        additive = additive_mask(mask[..., :keys], dtype)
        empty = rows_without_keys(additive, is_causal=False)
        assert additive is not None
        assert empty is not None
        return additive, empty

    if mask.dtype != torch.bool:  # the form of a floating mask shares its memory, and would keep it alive
        return make()
    return _prepared.get(mask, site, (keys, dtype), make)


def attend(
    function: AttentionFunction,
    module: Any,
    pairs: Pairs,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    seen: Seen,
    keywords: Mapping[str, Any],
    *,
    eager: str | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Compute attention over virtual pairs and real keys.

    Args:
        function: Computes attention where the fused path cannot: the module's own function, or its eager one.
        module: What that function is to see as its module.
        pairs: The virtual pairs.
        query: [batch heads queries head_dim].
        key: [batch kv_heads keys head_dim].
        value: [batch kv_heads keys value_dim].
        seen: Which real keys are visible.
        keywords: What the module passes to its attention function besides, without what ``seen`` says already.
        eager: Why ``function`` is to compute this in any case; it then returns weights (n more columns, virtual first).

    Returns:
        Output [batch queries heads value_dim] and the weights, if the function returns them.
    """
    if pairs.query_gain is not None:
        return _with_gain(function, module, pairs, query, key, value, seen, keywords, eager=eager)
    special = _unknown(keywords)
    if pairs.additive or pairs.unmasked_mass:
        return _mixture(module, pairs, query, key, value, seen, keywords, special), None
    reason = eager
    if seen.mask is not None and seen.mask.requires_grad:
        reason = "the attention mask wants a gradient"
    if special:
        reason = f"attention is called with {', '.join(special)}, which the fused path does not know"
    if reason is not None:
        say_once(f"{reason}: virtual pairs are put in front of the real keys, which is exact but slower")
        return _prepended(function, module, pairs, query, key, value, seen, keywords)
    return _fused(query, key, value, pairs, seen, keywords.get("scaling"), module.site), None


def _with_gain(
    function: AttentionFunction, module: Any, pairs: Pairs, query: Tensor, key: Tensor, value: Tensor, *rest: Any,
    eager: str | None,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Attend with values that follow the query: the weighted gains come out of the same softmax, as further columns."""
    gain, width = pairs.query_gain, value.shape[-1]
    assert gain is not None
    wider = pairs._replace(value=torch.cat([pairs.value, gain], dim=-1), query_gain=None)
    value = F.pad(value, (0, gain.shape[-1]))
    output, weights = attend(function, module, wider, query, key, value, *rest, eager=eager)
    output, gain = output[..., :width], output[..., width:]
    return output + (gain * query.transpose(1, 2)).to(output.dtype), weights


def is_plain(pairs: Pairs, keywords: Mapping[str, Any]) -> bool:
    """Say whether this is one softmax over pairs and real keys, with nothing that :func:`attend` does besides."""
    return not (_unknown(keywords) or pairs.additive or pairs.unmasked_mass or pairs.query_gain is not None)


def _unknown(keywords: Mapping[str, Any]) -> list[str]:
    """Name what nobody told us about and could change attention: None, False and 0.0 switch things off."""
    return sorted(
        name for name, told in keywords.items() if name not in KNOWN and (isinstance(told, Tensor) or bool(told))
    )


def _wide_pairs(pairs: Pairs, query: Tensor) -> tuple[Tensor, Tensor]:
    dtype = torch.float64 if query.dtype == torch.float64 else torch.float32
    return pairs.key.to(dtype), pairs.value.to(dtype)


@as_under_autocast
def _fused(
    query: Tensor, key: Tensor, value: Tensor, pairs: Pairs, seen: Seen, scale: float | None, site: str
) -> Tensor:
    mask, is_causal = seen
    virtual_key, virtual_value = _wide_pairs(pairs, query)
    if query.shape[-1] != value.shape[-1]:
        output = virtual_attention(
            query, key, value, virtual_key, virtual_value, mask, scale,
            is_causal=is_causal, score_offset=pairs.score_offset,
        )  # fmt: skip
    else:
        scale = query.shape[-1] ** -0.5 if scale is None else scale
        additive, empty = (None, None) if mask is None else prepare_mask(mask, key.shape[2], query.dtype, site)
        empty = None if is_causal else empty  # what is empty is then another thing
        output = joint_attention(
            query, key, value, virtual_key, virtual_value, pairs.score_offset, additive, empty, False, is_causal, scale
        )
    return output.transpose(1, 2).contiguous()


def _mixture(
    module: Any,
    pairs: Pairs,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    seen: Seen,
    keywords: Mapping[str, Any],
    special: list[str],
) -> Tensor:
    if special:
        raise InputError(
            f"{module.site}: additive mixing (mixing='additive', MimIC) and compat='official' are not defined for "
            f"attention with {', '.join(special)}; use HiFICL with mixing='softmax' and compat='exact'"
        )
    mask = None if seen.mask is None else seen.mask[..., : key.shape[2]]
    if pairs.unmasked_mass and mask is not None:
        written = _written(mask)
        key, value, mask = key[:, :, :written], value[:, :, :written], mask[..., :written]
    virtual_key, virtual_value = _wide_pairs(pairs, query)
    output = virtual_mixture(
        query,
        key,
        value,
        virtual_key,
        virtual_value,
        mask,
        keywords.get("scaling"),
        is_causal=seen.is_causal,
        score_offset=pairs.score_offset,
        additive=pairs.additive,
        unmasked_mass=pairs.unmasked_mass,
    )
    return output.transpose(1, 2).contiguous()


def _written(mask: Tensor) -> int:
    """Count the keys up to the last one that any query sees: those beyond are places of a static cache not yet written.

    Only for the mass over all keys, masked ones included. A compiled graph has one shape and cannot cut: it raises.
    """
    visible = mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2
    return int(visible.flatten(0, -2).any(dim=0).nonzero().max()) + 1


def _extended_mask(pairs: Pairs, query: Tensor, keys: int, seen: Seen) -> Tensor | None:
    """Put a column per virtual pair before the mask: visible, minus the pair's offset."""
    mask = None if seen.mask is None else seen.mask[..., :keys]
    virtual = pairs.key.shape[-2]
    lowest = torch.finfo(query.dtype).min
    queries = query.shape[2]
    if seen.is_causal:
        earlier = torch.ones(queries, keys, dtype=torch.bool, device=query.device).tril(keys - queries)[None, None]
        if mask is None:
            mask = earlier
        else:
            mask = mask & earlier if mask.dtype == torch.bool else mask.masked_fill(~earlier, lowest)
    plain = not isinstance(pairs.score_offset, Tensor) and pairs.score_offset == 0.0
    if mask is None:
        if plain:
            return None
        mask = query.new_zeros(1, 1, 1, keys)
    if mask.dtype == torch.bool:  # the sum is what every function takes
        mask = query.new_zeros(mask.shape).masked_fill(~mask, lowest)
    offset = torch.as_tensor(pairs.score_offset, dtype=query.dtype, device=query.device)
    columns = (-offset).clamp(min=lowest)
    shape = torch.broadcast_shapes((*mask.shape[:-1], virtual), columns.shape)
    mask = mask.to(query.dtype).expand(*shape[:-1], keys)
    return torch.cat([columns.expand(shape), mask], dim=-1)


def _prepended(
    function: AttentionFunction,
    module: Any,
    pairs: Pairs,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    seen: Seen,
    keywords: Mapping[str, Any],
) -> tuple[Tensor, Tensor | None]:
    batch, heads = query.shape[:2]
    groups, virtual = heads // key.shape[1], pairs.key.shape[-2]
    extended = _extended_mask(pairs, query, key.shape[2], seen)
    keywords = dict(keywords)
    if isinstance(keywords.get("position_bias"), Tensor):
        keywords["position_bias"] = F.pad(keywords["position_bias"], (virtual, 0))
    if "is_causal" in keywords or extended is None:
        keywords["is_causal"] = False  # what is causal stands in the mask
    virtual_key = pairs.key.to(key.dtype).expand(batch, *pairs.key.shape[-3:])
    virtual_value = pairs.value.to(value.dtype).expand(batch, *pairs.value.shape[-3:])
    key = torch.cat([virtual_key, key.repeat_interleave(groups, dim=1)], dim=2)
    value = torch.cat([virtual_value, value.repeat_interleave(groups, dim=1)], dim=2)
    return function(module, query, key, value, extended, **keywords)
