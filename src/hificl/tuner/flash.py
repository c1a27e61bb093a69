"""Models loaded with flash attention of transformers: what its function is told, in the form of :func:`attend`.

Its mask is about padding alone, or absent; windows and packed rows come as keywords. Attention then runs on our own
kernels, of which flash attention is one: no package is called, and none needs to be installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.integrations.flash_attention import get_target_dtype

from hificl.errors import InputError
from hificl.tuner.attend import AttentionFunction, attend
from hificl.tuner.once import OncePerForward
from hificl.tuner.pairs import Pairs
from hificl.tuner.seen import Seen, is_causal

FLASH = ("flash_attention_2", "flash_attention_3", "flash_attention_4")
USE_SDPA = 'call model.set_attn_implementation("sdpa"), and for continuous batching set auto_switch_to_flash=False'
LENGTHS = ("cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k")
"""How a caller tells where packed sequences begin; all of them or none."""

# Where packed sequences begin, of each tensor that tells it: to read one on a GPU is to wait for it.
_query_ends, _key_ends, _beginnings = OncePerForward(), OncePerForward(), OncePerForward()
_nearby = OncePerForward()  # which keys are within a window, of the padding or of the positions


class Sequence(NamedTuple):
    """One of several sequences in a row: its queries and its keys."""

    first_query: int
    last_query: int
    first_key: int
    last_key: int


def attend_as_flash(
    eager: AttentionFunction,
    module: Any,
    pairs: Pairs,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    keywords: dict[str, Any],
) -> Tensor:
    """Compute what transformers' flash attention would, with virtual pairs.

    Args:
        eager: The eager function of the module, for what the fused path does not know.
        module: As in :func:`hificl.tuner.attend.attend`, as are ``pairs``, ``query``, ``key`` and ``value``.
        mask: Which keys are no padding, [batch keys], or None.
        keywords: What the module passes besides; ``sliding_window`` and packed sequences are understood.

    Returns:
        [batch queries heads value_dim].

    Raises:
        InputError: A paged cache, a mask of another form, or packed sequences in several rows.
    """
    for name in ("cache", "block_table"):
        if keywords.get(name) is not None:
            raise InputError(f"{module.site}: virtual pairs cannot join flash attention with a paged cache; {USE_SDPA}")
    if mask is not None and mask.dim() != 2:
        raise InputError(
            f"{module.site}: flash attention takes masks of [batch keys], not of {list(mask.shape)}; {USE_SDPA}"
        )
    dtype = get_target_dtype(query, module) or query.dtype  # norms that PEFT keeps in float32
    query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    keywords = dict(keywords)
    window, causal = keywords.pop("sliding_window", None), query.shape[2] > 1 and is_causal(module, keywords)

    def run(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        key, value, seen = _seen(module.site, query, key, value, mask, window, causal, keywords.get("position_ids"))
        return attend(eager, module, pairs, query, key, value, seen, keywords)[0]

    sequences = None if mask is not None else _sequences(module.site, query, key, keywords)
    return run(query, key, value, mask) if sequences is None else _each(run, sequences, query, key, value)


def _seen(
    site: str,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    padding: Tensor | None,
    window: int | None,
    causal: bool,
    positions: Tensor | None,
) -> tuple[Tensor, Tensor, Seen]:
    """Say which keys are seen, and leave away those that none of the queries can see."""
    visible = None
    if padding is not None:  # it is shorter than a static cache with free slots
        visible = padding[:, None, None, -key.shape[2] :].bool()
        key, value = key[:, :, : visible.shape[3]], value[:, :, : visible.shape[3]]
    queries, keys = query.shape[2], key.shape[2]
    if window is None or keys <= window:
        return key, value, Seen(visible, causal)
    if visible is None and (causal or queries == 1):
        unseen = max(0, keys - queries - window + 1)
        key, value, keys = key[:, :, unseen:], value[:, :, unseen:], keys - unseen
        if keys <= window:
            return key, value, Seen(None, causal)

    def make() -> Tensor:
        return _near(queries, keys, window, causal, visible, key.device)

    shared = positions if padding is None else padding  # a tensor that all layers get, or None
    near = make() if shared is None else _nearby.get(shared, site, (queries, keys, window, causal, key.device), make)
    return key, value, Seen(near, causal)


def _near(queries: int, keys: int, window: int, causal: bool, visible: Tensor | None, device: torch.device) -> Tensor:
    """Say which visible keys are within the window, [batch|1 1 queries keys]."""
    # Padding is cut out before attention: a window counts the tokens between, not the places.
    places = torch.arange(keys, device=device)[None, None] if visible is None else visible[:, 0].long().cumsum(dim=2)
    distance = places[..., -queries:, None] - places[..., None, :]
    near = distance < window if causal or queries == 1 else distance.abs() < window
    return near if visible is None else near & visible


def _sequences(site: str, query: Tensor, key: Tensor, keywords: Mapping[str, Any]) -> list[Sequence] | None:
    """Find the sequences packed into one row, by their lengths or by positions that begin anew; None: there is one."""
    if all(keywords.get(name) is not None for name in LENGTHS):
        query_ends, key_ends = keywords["cu_seq_lens_q"], keywords["cu_seq_lens_k"]
        queries = _query_ends.get(query_ends, site, (), query_ends.tolist)
        keys = _key_ends.get(key_ends, site, (), key_ends.tolist)
    else:
        places = keywords.get("position_ids")
        if places is None or query.shape[0] > 1 or query.shape[2] == 1 or places.dim() != 2:
            return None
        queries = keys = _beginnings.get(places, site, (), lambda: _bounds(places))
        if queries is None:
            return None
    found = [Sequence(*ends) for ends in zip(queries[:-1], queries[1:], keys[:-1], keys[1:], strict=True)]
    if query.shape[0] > 1 or found[-1].last_key > key.shape[2]:
        raise InputError(
            f"{site}: packed sequences must stand in one row of as many keys, not in a query of {list(query.shape)} "
            f"and a key of {list(key.shape)}; flatten them, or pad them and give an attention mask"
        )
    return found


def _bounds(positions: Tensor) -> list[int] | None:
    """Say where sequences begin and the last one ends; None for one sequence."""
    row = positions[0]
    first = row.min()
    if torch.equal(row, first + torch.arange(len(row), device=row.device)):
        return None
    return [*(row == first).nonzero()[:, 0].tolist(), len(row)]


def _each(run: Callable[..., Tensor], sequences: list[Sequence], query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attend within each sequence; what lies outside of all gets zeros."""
    outputs = []
    for first, last, first_key, last_key in sequences:
        real = (tensor[:, :, first_key:last_key] for tensor in (key, value))
        outputs.append(run(query[:, :, first:last], *real, None))
    output = torch.cat(outputs, dim=1)
    return F.pad(output, (0, 0, 0, 0, sequences[0].first_query, query.shape[2] - sequences[-1].last_query))
