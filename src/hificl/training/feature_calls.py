"""How a call of ``get_image_features`` is cut into one call per image, and how the outputs are put together again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.utils.generic import ModelOutput

FEATURE_FIELDS = ("pooler_output", "deepstack_features")
"""Fields of a model output that decoders read."""

TOWER_FIELDS = ("last_hidden_state", "hidden_states", "attentions")
"""Fields that repeat the inside of the tower; no decoder reads them beside ``pooler_output``, so they are dropped."""

_PLAIN = (bool, int, float, str, type(None), torch.dtype)


@dataclass(frozen=True)
class Call:
    """Arguments of the method for one item."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def split_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Call] | None:
    """Return one call per image (per sample, where the model groups images so), None when it cannot be cut.

    Pixels with four or more axes are cut along the first one, and every other tensor must have the same first axis.
    Flat patches [patches, values] are cut by ``image_grid_thw`` [images, 3] (the Qwen layout).
    """
    names: list[int | str] = [*range(len(args)), *kwargs]
    values = [*args, *kwargs.values()]
    if kwargs.get("return_dict") is False or not all(isinstance(value, Tensor) or _is_plain(value) for value in values):
        return None
    pixels = kwargs.get("pixel_values", args[0] if args else None)
    if not isinstance(pixels, Tensor) or pixels.dim() == 0 or pixels.shape[0] == 0:
        return None
    if pixels.dim() >= 4:
        cut = _cut_evenly(values, pixels.shape[0])
    else:
        cut = _cut_patches(values, pixels, kwargs.get("image_grid_thw", args[1] if len(args) > 1 else None))
    if cut is None:
        return None
    calls = []
    for pieces in cut:
        named = dict(zip(names, pieces, strict=True))
        positional = tuple(named[index] for index in range(len(args)))
        calls.append(Call(positional, {str(name): named[name] for name in kwargs}))
    return calls


def outputs_to_keep(output: Any) -> Any | None:
    """Return the features of a one-image output, None when its form is not understood or it needs a gradient.

    Understood: a tensor or a sequence with one entry on its first axis, and a model output whose features are such.
    """
    if isinstance(output, ModelOutput):
        present = {name: value for name, value in output.items() if value is not None}
        unknown = set(present) - set(FEATURE_FIELDS) - set(TOWER_FIELDS)
        if unknown or "pooler_output" not in present:
            return None
        kept = {name: present[name] for name in FEATURE_FIELDS if name in present}
        good = _is_single(kept["pooler_output"]) and all(map(_is_single, kept.get("deepstack_features", ())))
        return type(output)(**kept) if good else None
    return output if _is_single(output) else None


def join_outputs(outputs: list[Any]) -> Any | None:
    """Return the output of the whole call, from those of its items in order."""
    first = outputs[0]
    if not isinstance(first, ModelOutput):
        return _join(outputs)
    joined = {"pooler_output": _join([output["pooler_output"] for output in outputs])}
    if "deepstack_features" in first:
        layers = zip(*(output["deepstack_features"] for output in outputs), strict=True)
        joined["deepstack_features"] = [_join(list(layer)) for layer in layers]
    return type(first)(**joined)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return isinstance(value, _PLAIN)


def _cut_evenly(values: list[Any], items: int) -> list[list[Any]] | None:
    tensors = [value for value in values if isinstance(value, Tensor)]
    if any(value.dim() == 0 or value.shape[0] != items for value in tensors):
        return None
    return [
        [value[index : index + 1] if isinstance(value, Tensor) else value for value in values] for index in range(items)
    ]


def _cut_patches(values: list[Any], pixels: Tensor, grid: Any) -> list[list[Any]] | None:
    if not isinstance(grid, Tensor) or grid.dim() != 2 or sum(isinstance(value, Tensor) for value in values) != 2:
        return None
    counts = grid.prod(dim=-1).tolist()
    if sum(counts) != pixels.shape[0]:
        return None
    parts = pixels.split(counts)
    return [
        [parts[index] if value is pixels else grid[index : index + 1] if value is grid else value for value in values]
        for index in range(len(counts))
    ]


def _is_single(features: Any) -> bool:
    """One item, and nothing in it that a gradient must reach."""
    if isinstance(features, Tensor):
        return features.dim() > 0 and features.shape[0] == 1 and not features.requires_grad
    if isinstance(features, list | tuple) and len(features) == 1:
        return isinstance(features[0], Tensor) and not features[0].requires_grad
    return False


def _join(features: list[Any]) -> Any:
    if isinstance(features[0], Tensor):
        return torch.cat(features)
    joined = [piece for feature in features for piece in feature]
    return joined if isinstance(features[0], list) else tuple(joined)
