"""`virtual_attention`: the contract and its checks; the work is done in :mod:`hificl.attention.joint`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hificl.attention.autocast import as_under_autocast
from hificl.attention.checks import check_offset, check_shapes
from hificl.attention.masks import additive_mask
from hificl.attention.operator import joint_attention


@as_under_autocast
def virtual_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    virtual_key: Tensor,
    virtual_value: Tensor,
    mask: Tensor | None = None,
    scale: float | None = None,
    *,
    is_causal: bool = False,
    score_offset: float | Tensor = 0.0,
) -> Tensor:
    """Attend to the prompt and to a few learned key-value pairs in one softmax.

    Each query scores the learned keys of its head beside the real keys::

        scores = [scale * query @ virtual_key - score_offset, scale * query @ key + mask]
        output = softmax(scores) @ [virtual_value, value]

    Read as a mixture, with ``share`` the softmax mass that falls on real keys::

        output = share * attention(query, key, value) + (1 - share) * attention(query, virtual_key, virtual_value)

    ``share`` depends on the query, which is what one fixed shift vector cannot express. A fused kernel computes the
    real part; memory grows with the number of queries, not with queries x keys, and neither keys nor values are copied
    (values are, where ``value_dim`` differs from ``head_dim``).

    Args:
        query: [batch heads queries head_dim], after any rotary embedding.
        key: [batch kv_heads keys head_dim], likewise. ``kv_heads`` divides ``heads``; consecutive query heads share a
            key head.
        value: [batch kv_heads keys value_dim].
        virtual_key: [heads virtual head_dim], the same for the whole batch, or [batch heads virtual head_dim], one
            adapter per row. Learned keys have no position: do not rotate them. ``virtual`` may be 0.
        virtual_value: [heads virtual value_dim] or [batch heads virtual value_dim].
        mask: Which real keys a query may see, [batch|1 heads|1 queries|1 keys]: booleans (True is visible) or numbers
            added to the scaled scores. It never hides a learned pair. With ``is_causal`` both must allow a key.
        scale: Factor on the scores, ``head_dim ** -0.5`` by default.
        is_causal: Hide later keys; bottom-right, so that the last query sees all keys.
        score_offset: Number or tensor broadcastable to [batch heads queries virtual], subtracted from the scaled
            virtual scores. A pair that stands for m tokens has offset ``-log(m)``; ``inf`` removes a pair.

    Returns:
        [batch heads queries value_dim] in the dtype of ``query``. Scores and softmax use float32, or float64 for
        float64 input. Differentiable once in every tensor, an additive mask and ``score_offset`` included; a second
        derivative raises.

    Raises:
        ValueError: ``kv_heads`` does not divide ``heads``, two tensors disagree on an axis, or ``mask`` or
            ``score_offset`` does not broadcast. The message names both arguments and shows both shapes.
        TypeError: ``mask`` is neither boolean nor floating, or query, key and value differ in dtype.

    Note:
        Zero ``virtual_value`` is not the identity: it scales the output by ``share``. Only ``virtual == 0`` gives plain
        attention. A query with no visible real key (False or -inf) gets the learned part alone, and zeros where there
        is no learned pair either. Finite masks are only added, however low.

    Example:
        >>> query, key, value = torch.randn(2, 6, 5, 11), torch.randn(2, 3, 7, 11), torch.randn(2, 3, 7, 13)
        >>> virtual_attention(query, key, value, torch.randn(6, 17, 11), torch.zeros(6, 17, 13)).shape
        torch.Size([2, 6, 5, 13])

    Source:
        HiFICL, arXiv:2603.12760. ``virtual_key`` and ``virtual_value`` are K_learn and V_learn of the authors' code,
        which leaves the mask out of the real-key mass; that is ``compat="official"`` of :class:`hificl.HiFICLConfig`.
    """
    check_shapes(query, key, value, virtual_key, virtual_value, mask)
    check_offset(query, virtual_key, score_offset)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    adds = mask is not None and mask.dtype != torch.bool
    mask = additive_mask(mask, query.dtype)
    value_dim, missing = value.shape[-1], query.shape[-1] - value.shape[-1]
    if missing > 0:  # the kernels want one size: zeros change neither scores nor outputs
        value, virtual_value = F.pad(value, (0, missing)), F.pad(virtual_value, (0, missing))
    elif missing < 0:
        query, key, virtual_key = (F.pad(tensor, (0, -missing)) for tensor in (query, key, virtual_key))
    output = joint_attention(
        query, key, value, virtual_key, virtual_value, score_offset, mask, None, adds, is_causal, scale
    )
    return output[..., :value_dim]
