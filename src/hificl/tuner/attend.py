"""How virtual pairs join one attention call: on the fused kernel where it computes what the module asks, else in front.

The second way puts the pairs before the real keys and calls the module's own attention function, so that whatever else
that function does (a soft cap, sinks, a position bias, dropout, returned weights) also applies to them.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from hificl.attention.autocast import as_under_autocast
from hificl.attention.masks import additive_mask, rows_without_keys
from hificl.attention.mixture import virtual_mixture
from hificl.attention.operator import joint_attention
from hificl.attention.virtual import virtual_attention
from hificl.errors import InputError
from hificl.tuner.pairs import Pairs

AttentionFunction = Callable[..., tuple[Tensor, Tensor | None]]

# Keywords of transformers that the SDPA function reads in its own way or that do not touch attention.
KNOWN = frozenset(
    (
        *("scaling", "is_causal", "sliding_window", "position_ids", "position_embeddings", "cache_position"),
        *("past_key_values", "past_key_value", "use_cache", "layer_idx", "logits_to_keep", "num_items_in_batch"),
        *("output_attentions", "output_hidden_states", "return_dict", "token_type_ids", "mm_token_type_ids"),
        *("cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k"),
    )
)

_prepared: WeakIdKeyDictionary = WeakIdKeyDictionary()  # mask of this forward -> its additive form and empty rows


def prepare_mask(mask: Tensor, keys: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Bring a model's mask into the kernels' form, boolean ones once per forward: all layers get the same object.

    Returns:
        The additive mask [batch|1 heads|1 queries|1 keys] and the rows that see no key, [batch|1 heads|1 queries|1].
    """
    # Traced and inference tensors have no version to remember them by; the form of a floating mask shares its memory.
    forget = torch.compiler.is_compiling() or mask.is_inference() or mask.dtype != torch.bool
    stamp = None if forget else (mask._version, keys, dtype)
    remembered = None if forget else _prepared.get(mask)
    if remembered is not None and remembered[0] == stamp:
        return remembered[1:]
    additive = additive_mask(mask[..., :keys], dtype)
    empty = rows_without_keys(additive, is_causal=False)
    assert additive is not None
    assert empty is not None
    if not forget:
        _prepared[mask] = (stamp, additive, empty)
    return additive, empty


def attend(
    function: AttentionFunction,
    module: Any,
    pairs: Pairs,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    keywords: Mapping[str, Any],
    *,
    eager: bool,
) -> tuple[Tensor, Tensor | None]:
    """Compute attention over virtual pairs and real keys.

    Args:
        function: The module's own attention function.
        module: What that function is to see as its module.
        pairs: The virtual pairs.
        query: [batch heads queries head_dim].
        key: [batch kv_heads keys head_dim].
        value: [batch kv_heads keys value_dim].
        mask: About real keys, boolean or additive, [batch|1 heads|1 queries keys], or None.
        keywords: What the module passes to its attention function besides.
        eager: Whether ``function`` is the module's eager one, which returns weights (n more columns, virtual first) and
            takes no mask to mean that everything is visible.

    Returns:
        Output [batch queries heads value_dim] and the weights, if the function returns them.
    """
    if pairs.query_gain is not None:
        return _with_gain(function, module, pairs, query, key, value, mask, keywords, eager=eager)
    is_causal = False
    if mask is None and not eager and query.shape[2] > 1:
        told = keywords.get("is_causal")
        is_causal = bool(getattr(module, "is_causal", True) if told is None else told)
        if is_causal:  # as in transformers: without a mask, keys beyond the queries are unused slots of a static cache
            key, value = key[:, :, : query.shape[2]], value[:, :, : query.shape[2]]
    special = {name for name, told in keywords.items() if name not in KNOWN and _acts(told)}
    if special:
        _notice(special)
    if pairs.additive or pairs.unmasked_mass:
        return _mixture(module, pairs, query, key, value, mask, keywords, special, is_causal), None
    if eager or special or (mask is not None and mask.requires_grad):
        return _prepended(function, module, pairs, query, key, value, mask, keywords, is_causal)
    return _fused(query, key, value, pairs, mask, keywords.get("scaling"), is_causal), None


def _with_gain(
    function: AttentionFunction, module: Any, pairs: Pairs, query: Tensor, key: Tensor, value: Tensor, *rest: Any,
    eager: bool,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Attend with values that follow the query: the weighted gains come out of the same softmax, as further columns."""
    gain, width = pairs.query_gain, value.shape[-1]
    assert gain is not None
    wider = pairs._replace(value=torch.cat([pairs.value, gain], dim=-1), query_gain=None)
    value = F.pad(value, (0, gain.shape[-1]))
    output, weights = attend(function, module, wider, query, key, value, *rest, eager=eager)
    output, gain = output[..., :width], output[..., width:]
    return output + (gain * query.transpose(1, 2)).to(output.dtype), weights


@functools.cache
def _log_once(names: tuple[str, ...]) -> None:
    logging.getLogger("hificl").warning(
        "attention is called with %s, which the fused path does not know: pairs are put in front of the real keys "
        "instead, which is exact but slower",
        ", ".join(names),
    )


def _notice(special: set[str]) -> None:
    """Say once per set of keywords that the slower path is taken."""
    if not torch.compiler.is_compiling():
        _log_once(tuple(sorted(special)))


def _acts(told: Any) -> bool:
    """Say whether a keyword that nobody told us about could change attention: None, False and 0.0 switch things off."""
    return isinstance(told, Tensor) or bool(told)


def _wide_pairs(pairs: Pairs, query: Tensor) -> tuple[Tensor, Tensor]:
    dtype = torch.float64 if query.dtype == torch.float64 else torch.float32
    return pairs.key.to(dtype), pairs.value.to(dtype)


@as_under_autocast
def _fused(
    query: Tensor, key: Tensor, value: Tensor, pairs: Pairs, mask: Tensor | None, scale: float | None, is_causal: bool
) -> Tensor:
    virtual_key, virtual_value = _wide_pairs(pairs, query)
    if query.shape[-1] != value.shape[-1]:
        output = virtual_attention(
            query, key, value, virtual_key, virtual_value, mask, scale,
            is_causal=is_causal, score_offset=pairs.score_offset,
        )  # fmt: skip
    else:
        scale = query.shape[-1] ** -0.5 if scale is None else scale
        additive, empty = (None, None) if mask is None else prepare_mask(mask, key.shape[2], query.dtype)
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
    mask: Tensor | None,
    keywords: Mapping[str, Any],
    special: set[str],
    is_causal: bool,
) -> Tensor:
    if special:
        raise InputError(
            f"{module.site}: additive mixing (mixing='additive', MimIC) and compat='official' are not defined for "
            f"attention with {', '.join(sorted(special))}; use HiFICL with mixing='softmax' and compat='exact'"
        )
    virtual_key, virtual_value = _wide_pairs(pairs, query)
    output = virtual_mixture(
        query,
        key,
        value,
        virtual_key,
        virtual_value,
        None if mask is None else mask[..., : key.shape[2]],
        keywords.get("scaling"),
        is_causal=is_causal,
        score_offset=pairs.score_offset,
        additive=pairs.additive,
        unmasked_mass=pairs.unmasked_mass,
    )
    return output.transpose(1, 2).contiguous()


def _extended_mask(pairs: Pairs, query: Tensor, keys: int, mask: Tensor | None, is_causal: bool) -> Tensor | None:
    """Put a column per virtual pair before the mask: visible, minus the pair's offset."""
    virtual = pairs.key.shape[-2]
    lowest = torch.finfo(query.dtype).min
    queries = query.shape[2]
    if mask is None and is_causal:
        mask = torch.ones(queries, keys, dtype=torch.bool, device=query.device).tril(keys - queries)[None, None]
    plain = not isinstance(pairs.score_offset, Tensor) and pairs.score_offset == 0.0
    if mask is None:
        if plain:
            return None
        mask = query.new_zeros(1, 1, 1, keys)
    mask = mask[..., :keys]
    if mask.dtype == torch.bool and plain:
        return F.pad(mask, (virtual, 0), value=True)
    if mask.dtype == torch.bool:
        mask = torch.where(mask, 0.0, lowest)
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
    mask: Tensor | None,
    keywords: Mapping[str, Any],
    is_causal: bool,
) -> tuple[Tensor, Tensor | None]:
    batch, heads = query.shape[:2]
    groups, virtual = heads // key.shape[1], pairs.key.shape[-2]
    extended = _extended_mask(pairs, query, key.shape[2], mask, is_causal)
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
