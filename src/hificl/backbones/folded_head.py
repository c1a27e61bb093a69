"""The output embedding multiplies all rows at once, where it is asked for the last positions only."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel


def fold_head(model: PreTrainedModel) -> None:
    """Hand the rows to the output embedding in one piece.

    Models cut the positions that are wanted out of the hidden states and leave gaps between samples. Torch then
    multiplies sample by sample and, in half precision on a CPU, copies the matrix for each: in training SmolLM2 in
    bfloat16 that was half of the time. Elsewhere little is gained or nothing was measured, and the last bits would
    change, so there it stays as it is.
    """
    head = model.get_output_embeddings()
    if isinstance(head, nn.Linear) and head.weight.dtype.itemsize == 2:
        head.register_forward_pre_hook(_in_one_piece)


def _in_one_piece(head: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(one.contiguous() if isinstance(one, Tensor) and one.device.type == "cpu" else one for one in args)
