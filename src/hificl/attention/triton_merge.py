"""Launches the Triton kernels that join virtual pairs to attention. Imported only where they are going to be used."""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor

from hificl.attention import triton_kernels
from hificl.attention.merge import Merged, PairTensors, VirtualGradients, sum_to

TILE, CHUNK = 64, 32
"""Most queries that a program works on at once, and how many numbers of their heads."""
MOST_SCORES = 1024
"""Most scores of a tile: with more, compilers for Ampere GPUs move registers into memory."""
SMALLEST_SIDE = 16
"""Tensor cores take no smaller tiles; what is missing is filled with zeros in registers."""
STAGES = 2
"""Chunks that are on their way from memory at once; with more, the backward pass runs out of registers."""
WARPS, MANY_PAIRS = (4, 8), 64
"""Warps of a program, and with how many pairs: their sums share the registers of more threads."""
PROGRAMS = 512
"""Programs that a backward pass is cut into, where it has as many tiles: enough to fill a GPU more than once."""


class TritonMerge:
    """The kernels behind the seam of :class:`hificl.attention.merge.Merge`.

    ``output`` and ``grad_query`` are overwritten. Nothing of queries x virtual is stored; what a program of the
    backward pass sums is written apart and added up afterwards, so that two runs agree to the bit.
    """

    name = "triton"

    def forward(self, query: Tensor, pairs: PairTensors, scale: float, output: Tensor, real_mass: Tensor) -> Merged:
        """See :class:`hificl.attention.merge.Merge`."""
        batch, heads, queries, head_dim = query.shape
        joint = torch.empty(query.shape[:3], dtype=torch.float32, device=query.device)
        if joint.numel():
            key, value, offset, number = _operands(query, pairs)
            sides = _sides(query, pairs)
            programs = batch * heads * triton.cdiv(queries, sides["tile"])
            tensors = (query, output, real_mass, joint, key, value, offset)
            sizes = (heads, queries, key.shape[2], head_dim, value.shape[3])
            with torch.cuda.device_of(query):
                triton_kernels.forward[(programs,)](
                    *tensors, *map(_strides, tensors), *sizes, number, float(scale), **sides
                )
        return Merged(output, joint, None)

    def without_gradient(
        self, query: Tensor, pairs: PairTensors, scale: float, output: Tensor, real_mass: Tensor
    ) -> Tensor:
        """See :class:`hificl.attention.merge.Merge`."""
        return self.forward(query, pairs, scale, output, real_mass).output

    def backward(
        self, query: Tensor, pairs: PairTensors, scale: float, grad: Tensor, merged: Merged, grad_query: Tensor,
        *, wants_offset: bool,
    ) -> VirtualGradients:  # fmt: skip
        """See :class:`hificl.attention.merge.Merge`."""
        batch, heads, queries, head_dim = query.shape
        key, value, offset, number = _operands(query, pairs)
        virtual, value_dim = value.shape[2:]
        sides = _sides(query, pairs)
        tiles = triton.cdiv(queries, sides["tile"])
        tiles_each = max(1, triton.cdiv(tiles * batch * heads, PROGRAMS))
        splits = triton.cdiv(tiles, tiles_each)

        def sums(*size: int) -> Tensor:
            return torch.empty(batch * splits, heads, virtual, *size, dtype=torch.float32, device=query.device)

        grad_key, grad_value, grad_offset = sums(head_dim), sums(value_dim), sums() if wants_offset else None
        if batch * heads * splits:
            read = (query, grad, merged.output, merged.joint, key, value, offset)
            tensors = (*read, grad_query, grad_key, grad_value, grad_offset)
            sizes = (heads, queries, virtual, head_dim, value_dim)
            with torch.cuda.device_of(query):
                triton_kernels.backward[(batch * heads * splits,)](
                    *tensors, *map(_strides, tensors), *sizes, number, float(scale), splits, tiles_each,
                    **sides,
                )  # fmt: skip

        def summed(parts: Tensor) -> Tensor:
            return parts.view(batch, splits, *parts.shape[1:]).sum(dim=1)

        return VirtualGradients(
            grad_query,
            sum_to(summed(grad_key), pairs.key),
            sum_to(summed(grad_value), pairs.value),
            None if grad_offset is None else sum_to(summed(grad_offset).unsqueeze(2), _tensor(pairs.offset)),
        )


def _operands(query: Tensor, pairs: PairTensors) -> tuple[Tensor, Tensor, Tensor | None, float]:
    """Give keys and values with a batch axis, and the offset as a tensor or as a number; nothing is copied."""
    batch, heads, queries, _ = query.shape
    key, value = (pair.expand(batch, *pair.shape[-3:]) for pair in (pairs.key, pairs.value))
    if isinstance(pairs.offset, Tensor):
        return key, value, pairs.offset.expand(batch, heads, queries, key.shape[2]), 0.0
    return key, value, None, float(pairs.offset)


def _sides(query: Tensor, pairs: PairTensors) -> dict[str, Any]:
    """Give the sides of the tiles, powers of two, and how products are made.

    Half precision: as three products of tf32 on tensor cores, far below the rounding of the output. Float32: as such.
    ``num_warps`` and ``num_stages`` are options of Triton's compiler.
    """
    sides = {"tile": min(TILE, query.shape[2]), "pairs": pairs.key.shape[-2], "chunk": CHUNK}
    sides = {name: max(SMALLEST_SIDE, triton.next_power_of_2(side)) for name, side in sides.items()}
    return {
        **sides,
        "tile": min(sides["tile"], MOST_SCORES // sides["pairs"]),
        "precision": "ieee" if query.dtype == torch.float32 else "tf32x3",
        "num_warps": WARPS[sides["pairs"] >= MANY_PAIRS],
        "num_stages": STAGES,
    }


def _strides(tensor: Tensor | None) -> tuple[int, ...] | None:
    return None if tensor is None else tensor.stride()


def _tensor(offset: float | Tensor) -> Tensor:
    assert isinstance(offset, Tensor)
    return offset


TRITON = TritonMerge()
