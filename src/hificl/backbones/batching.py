"""From encoded examples to one padded batch of tensors, for training and for generation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from hificl.backbones.backbone import Backbone
from hificl.backbones.encoding import Encoded
from hificl.errors import InputError

IGNORED_LABEL = -100


def collate(
    backbone: Backbone, encoded: Sequence[Encoded], *, padding_side: Literal["left", "right"] = "left"
) -> dict[str, Tensor]:
    """Pad and stack encoded examples, on the CPU.

    Args:
        backbone: For its pad id, dtype and token types.
        encoded: At least one example; either all carry an answer or none does.
        padding_side: Where pads stand; generation needs ``"left"``.

    Returns:
        ``input_ids`` and ``attention_mask`` [batch, length], int64; with answers also ``labels`` [batch, length], -100
        everywhere but on the answer and its end marker; and the vision inputs, concatenated over the batch on axis 0,
        other axes padded with zeros at their end, floating ones in the dtype of the model. Token types and masks that
        run along the sequence are extended over the answer and padded like the ids.

    Raises:
        InputError: no example, or only some have an answer.
    """
    if not encoded:
        raise InputError("collate was given no example; a batch needs at least one.")
    answered = [bool(one.answer_ids) for one in encoded]
    if any(answered) != all(answered):
        odd = encoded[answered.index(not answered[0])].id
        raise InputError(
            f"sample {odd!r} and sample {encoded[0].id!r} differ in having an answer; use batches of one kind."
        )
    length = max(one.length for one in encoded)
    rows = [one.input_ids + one.answer_ids for one in encoded]
    batch = {
        "input_ids": _rows(rows, length, backbone.pad_id, padding_side),
        "attention_mask": _rows([[1] * len(row) for row in rows], length, 0, padding_side),
    }
    if all(answered):
        labels = [[IGNORED_LABEL] * len(one.input_ids) + one.answer_ids for one in encoded]
        batch["labels"] = _rows(labels, length, IGNORED_LABEL, padding_side)
    for key in dict.fromkeys(key for one in encoded for key in one.inputs):
        parts = [
            _along_sequence(one, one.inputs[key], length, backbone.family.answer_token_type, padding_side)
            if one.runs_along_sequence(key)
            else one.inputs[key]
            for one in encoded
            if key in one.inputs
        ]
        joined = _concatenate(parts)
        batch[key] = joined.to(backbone.model.dtype) if joined.is_floating_point() else joined
    return batch


def _rows(rows: list[list[int]], length: int, fill: int, side: str) -> Tensor:
    padded = [
        [fill] * (length - len(row)) + row if side == "left" else row + [fill] * (length - len(row)) for row in rows
    ]
    return torch.tensor(padded, dtype=torch.int64)


def _along_sequence(one: Encoded, tensor: Tensor, length: int, answer_type: int, side: str) -> Tensor:
    """Extend over the answer, then pad to ``length`` with zeros."""
    if one.answer_ids:
        last = tensor[:, -1:]
        # Token types get the type of answers; a mask over images stays as it was for the last prompt token.
        after = torch.full_like(last, answer_type) if tensor.dim() == 2 else last
        tensor = torch.cat([tensor, after.expand(-1, len(one.answer_ids), *after.shape[2:])], dim=1)
    padding = tensor.new_zeros(1, length - tensor.shape[1], *tensor.shape[2:])
    return torch.cat([padding, tensor] if side == "left" else [tensor, padding], dim=1)


def _concatenate(parts: list[Tensor]) -> Tensor:
    """Concatenate on axis 0 after padding every other axis to the largest size with zeros."""
    shape = [max(sizes) for sizes in zip(*(part.shape[1:] for part in parts), strict=True)]
    padded = []
    for part in parts:
        whole = part.new_zeros(part.shape[0], *shape)
        whole[(slice(None), *(slice(size) for size in part.shape[1:]))] = part
        padded.append(whole)
    return torch.cat(padded)
