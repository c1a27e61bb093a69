"""The other mixtures of real and virtual attention that the paper and its published code use, for comparisons.

Exact, but not held to the speed of :func:`hificl.virtual_attention`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hificl.attention.autocast import as_under_autocast
from hificl.attention.joint import virtual_scores
from hificl.attention.kernels import finite, wide
from hificl.attention.mass import attention_with_mass


@as_under_autocast
def virtual_mixture(
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
    additive: bool = False,
    unmasked_mass: bool = False,
) -> Tensor:
    """Mix attention to real keys with virtual pairs through the real mass.

    With ``mass`` the log-sum-exp of the real scores, ``joint = logaddexp(mass, logsumexp(virtual_scores))``::

        output = share * attention(query, key, value) + exp(virtual_scores - joint) @ virtual_value
        share  = exp(mass - joint)

    which is :func:`hificl.virtual_attention` unless an option changes it.

    Args:
        query, key, value, virtual_key, virtual_value, mask, scale, is_causal, score_offset: As there.
        additive: Take ``share = 1``: the paper's "alpha = 1" ablation. ``joint`` keeps the real mass.
        unmasked_mass: Take ``mass`` over all keys, later and padded ones included, as the published code does; weights
            then do not sum to one, and earlier outputs depend on later tokens. For parity experiments only.

    Returns:
        [batch heads queries value_dim] in the dtype of ``query``.

    Source:
        HiFICL, arXiv:2603.12760; the two options are read from the authors' published code.
    """
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    output, mass = attention_with_mass(query, key, value, mask, scale, is_causal=is_causal)
    if unmasked_mass:
        _, mass = attention_with_mass(query, key, value, None, scale)
    scores = virtual_scores(query, virtual_key, score_offset, scale)
    return mixed(output, mass, scores, virtual_value, additive=additive)


def mixed(output: Tensor, mass: Tensor, scores: Tensor, virtual_value: Tensor, *, additive: bool = False) -> Tensor:
    """Mix attention to the real keys with virtual pairs.

    Args:
        output: Attention to the real keys, [batch heads queries value_dim].
        mass: The log-sum-exp of their scores, [batch heads queries].
        scores: Scores of the pairs, [batch heads queries virtual].
        virtual_value: [heads virtual value_dim], or with a leading batch axis.
        additive: As in :func:`virtual_mixture`.

    Returns:
        [batch heads queries value_dim] in the dtype of ``output``; differentiable in every tensor.
    """
    removed = scores == -torch.inf  # finite stand-ins: autograd makes NaN of a row of -inf
    scores = scores.masked_fill(removed, torch.finfo(scores.dtype).min / 4)
    joint = finite(torch.logaddexp(mass, torch.logsumexp(scores, dim=-1))).unsqueeze(-1)
    weights = torch.exp(scores - joint).masked_fill(removed, 0.0)
    share = torch.ones_like(joint) if additive else torch.exp(mass.unsqueeze(-1) - joint)
    return (weights @ wide(virtual_value) + share * wide(output)).to(output.dtype)
