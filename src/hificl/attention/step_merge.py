"""Pairs joined to one new query per row on a CPU, in as few operations as there can be.

A decode step runs through all weights of the model between two of these, so that every small operation starts with cold
caches: there its number counts, not its size.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hificl.attention.kernels import CPU_FLASH, Inputs
from hificl.attention.merge import PairTensors

NAME = "one more call of cpu-flash"
"""What :func:`join_step` is called where somebody asks which way is taken."""


def serves(inputs: Inputs, pairs: PairTensors) -> bool:
    """Say whether :func:`join_step` computes this: one query, nothing but full precision, no pair taken away."""
    return (
        inputs.query.shape[2] == 1
        and inputs.query.device.type == "cpu"
        and inputs.query.dtype == pairs.key.dtype
        and inputs.query.dtype in (torch.float32, torch.float64)
        and not isinstance(pairs.offset, Tensor)
        and -math.inf < pairs.offset < math.inf  # a traced number can be compared, but math knows none
    )


def join_step(inputs: Inputs, pairs: PairTensors, output: Tensor, mass: Tensor) -> Tensor:
    """Join the pairs to the ``output`` of the real keys and its log-sum-exp ``mass``.

    The kernel of the real keys attends to the pairs too; two softmaxes join by the difference of their log-sum-exps.
    """
    if torch.compiler.is_compiling():
        return join_traced(inputs, pairs, output, mass)
    batch = inputs.query.shape[0]
    key, value = (pair.expand(batch, *pair.shape[-3:]) for pair in (pairs.key, pairs.value))
    virtual, virtual_mass = CPU_FLASH.forward(Inputs(inputs.query, key, value, None, False, inputs.scale))
    difference = mass - virtual_mass
    share = torch.sigmoid(difference if pairs.offset == 0.0 else difference + pairs.offset)
    return torch.lerp(virtual, output, share.unsqueeze(-1))


def join_traced(inputs: Inputs, pairs: PairTensors, output: Tensor, mass: Tensor) -> Tensor:
    """Compute :func:`join_step` as sums of products, for compilers.

    A compiler puts all of it into loops of its own; a call of the kernel for so few pairs costs more than they do.
    """
    scores = (inputs.query * pairs.key).sum(dim=-1, keepdim=True) * inputs.scale - pairs.offset
    mass = mass.unsqueeze(-1)
    top = torch.maximum(scores.amax(dim=-2, keepdim=True), mass)
    weights, share = torch.exp(scores - top), torch.exp(mass - top)
    total = weights.sum(dim=-2, keepdim=True) + share
    virtual = (weights * pairs.value).sum(dim=-2, keepdim=True)
    return (output * share + virtual) / total
