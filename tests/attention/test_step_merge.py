"""One new query per row: joined in few operations, and exactly."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from closeness import assert_close
from hificl.attention.blocks import real_forward
from hificl.attention.joint import join_without_gradient
from hificl.attention.kernels import CPU_FLASH, Inputs
from hificl.attention.merge import PairTensors
from hificl.attention.step_merge import join_step, join_traced, serves

BATCH, HEADS, KV_HEADS, KEYS, VIRTUAL, SIZE, SCALE = 3, 6, 2, 11, 5, 8, 0.3


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def step(mask: Tensor | None = None, queries: int = 1) -> Inputs:
    key, value = (drawn(BATCH, KV_HEADS, KEYS, SIZE, seed=seed) for seed in (2, 3))
    return Inputs(drawn(BATCH, HEADS, queries, SIZE, seed=1), key, value, mask, False, SCALE)


def pairs(offset: float | Tensor = 0.0, rows: tuple[int, ...] = ()) -> PairTensors:
    return PairTensors(*(drawn(*rows, HEADS, VIRTUAL, SIZE, seed=seed) for seed in (4, 5)), offset)


def by_definition(inputs: Inputs, learned: PairTensors) -> Tensor:
    groups = HEADS // KV_HEADS
    key, value = inputs.key.repeat_interleave(groups, 1), inputs.value.repeat_interleave(groups, 1)
    real = SCALE * inputs.query @ key.transpose(-1, -2)
    real = real if inputs.mask is None else real + inputs.mask
    scores = SCALE * inputs.query @ learned.key.transpose(-1, -2) - learned.offset
    values = torch.cat([learned.value.expand(BATCH, -1, -1, -1), value], dim=2)
    return torch.softmax(torch.cat([scores, real], dim=-1), dim=-1) @ values


MASK = torch.zeros(BATCH, 1, 1, KEYS, dtype=torch.float64)
MASK[0, ..., 7:] = MASK[1, ..., :2] = MASK[2] = -torch.inf
"""The last row sees no real key at all."""


@pytest.mark.parametrize("rows", [(), (BATCH,)], ids=["shared", "of each row"])
@pytest.mark.parametrize("offset", [0.0, -1.7, 4.0])
@pytest.mark.parametrize("mask", [None, MASK], ids=["all seen", "masked"])
def test_it_is_one_softmax(mask: Tensor | None, offset: float, rows: tuple[int, ...]) -> None:
    inputs, learned = step(mask), pairs(offset, rows)
    assert serves(inputs, learned)
    with torch.no_grad():
        assert_close(join_without_gradient(inputs, learned, None), by_definition(inputs, learned), 1e-13, "a step")
        traced = join_traced(inputs, learned, *real_forward(CPU_FLASH, inputs))
        assert_close(traced, by_definition(inputs, learned), 1e-13, "a step for compilers")


def test_what_it_leaves_to_the_general_way() -> None:
    assert not serves(step(queries=2), pairs())
    assert not serves(step(), pairs(math.inf))
    assert not serves(step(), pairs(torch.zeros(HEADS, 1, VIRTUAL)))
    narrow = step()._replace(query=step().query.bfloat16())
    assert not serves(narrow, pairs())
    assert not serves(narrow, PairTensors(pairs().key.bfloat16(), pairs().value.bfloat16(), 0.0))


def test_a_traced_step_takes_the_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, learned = step(MASK), pairs(0.7)
    attended = real_forward(CPU_FLASH, inputs)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    monkeypatch.setattr(CPU_FLASH.__class__, "forward", None)  # a call of the kernel would raise
    assert torch.equal(join_step(inputs, learned, *attended), join_traced(inputs, learned, *attended))
