"""What the value of a virtual pair says: the tokens that it makes likely, read straight from the residual stream."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hificl.tuner.sites import text_decoder


def value_words(
    model: Any, attention: nn.Module, values: Tensor, top: int
) -> list[list[list[tuple[int, float]]]] | None:
    """Read values through the output projection of their attention module and the unembedding (a logit lens).

    A value is put into the slot of its head with all others zero, projected without the bias, normed by the last norm
    of the decoder, and unembedded. That is what the pair would write if nothing came after it: the reading leaves out
    all later layers, what else is in the residual stream (which the norm would see together with it), the weight with
    which a query attends to the pair, and any gate or norm between projection and stream. In early layers it says
    little.

    Args:
        model: With an output embedding; an adapter may be on it.
        attention: The attention module that the pairs belong to.
        values: [heads virtual value_dim].
        top: Tokens per value.

    Returns:
        By head and pair the tokens with the highest logits, as (id, logit), highest first; None where the module has no
        projection of that width or the model no output embedding.
    """
    heads, virtual, value_dim = values.shape
    projection = output_projection(attention, heads * value_dim)
    unembed = model.get_output_embeddings()
    if projection is None or unembed is None:
        return None
    dtype = next(projection.parameters()).dtype
    placed = torch.zeros(heads, virtual, heads, value_dim, dtype=dtype, device=values.device)
    for head in range(heads):
        placed[head, :, head] = values[head].to(dtype)
    with torch.no_grad():
        written = projection(placed.flatten(2)) - projection(torch.zeros_like(placed[:1, :1].flatten(2)))
        norm = last_norm(model)
        logits = unembed(written if norm is None else norm(written)).float()
    found = logits.topk(top, dim=-1)
    return [
        [list(zip(ids, numbers, strict=True)) for ids, numbers in zip(*rows, strict=True)]
        for rows in zip(found.indices.tolist(), found.values.tolist(), strict=True)
    ]


def output_projection(attention: nn.Module, width: int) -> nn.Module | None:
    """Return the last child with a matrix, as registered, if one side of the matrix is ``width`` wide; else None."""
    found, shape = None, torch.Size()
    for child in attention.children():
        weight = getattr(child, "weight", None)
        if isinstance(weight, Tensor) and weight.dim() == 2:
            found, shape = child, weight.shape
    return found if width in shape else None


def last_norm(model: nn.Module) -> nn.Module | None:
    """Return the one child of the text decoder whose parameters are all vectors; None where there is not just one."""
    norms = []
    for child in text_decoder(model).children():
        parameters = list(child.parameters())
        if parameters and all(parameter.dim() == 1 for parameter in parameters):
            norms.append(child)
    return norms[0] if len(norms) == 1 else None
