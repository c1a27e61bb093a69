"""Attention with pairs costs what plain causal attention costs, in time and memory; the published form does not."""

from __future__ import annotations

import pytest
import torch

from benchmarks.attention import FROM_TOKENS, SHAPES, TARGET, Shape, attention_calls
from benchmarks.rows import ratio_of
from hificl.diagnostics.memory import peak_bytes

from .limits import CPU, against_plain, held


@pytest.mark.timing
@pytest.mark.parametrize("shape", SHAPES, ids=["heads", "grouped"])
def test_attention_against_plain(shape: Shape) -> None:
    torch.set_num_threads(1)
    calls = attention_calls(shape, 2 * FROM_TOKENS, CPU)
    held(lambda: against_plain({name: calls[name] for name in ("plain", "hificl")}), TARGET)


@pytest.mark.timing
@pytest.mark.parametrize("shape", SHAPES, ids=["heads", "grouped"])
def test_memory_against_plain(shape: Shape) -> None:
    memory = {name: peak_bytes(call, CPU) for name, call in attention_calls(shape, FROM_TOKENS, CPU).items()}
    held(lambda: ratio_of(memory["hificl"], memory["plain"]), TARGET, slack=0.0)
    assert memory["published"] > 2 * memory["plain"], "the rival no longer makes its queries x keys product"
