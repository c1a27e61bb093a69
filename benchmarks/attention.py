"""Attention alone, forward and backward: plain causal, with pairs, and the other two forms of the same pairs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.command import Bench, Script, run
from benchmarks.measure import Call, in_turns
from benchmarks.rivals import FORMS, PAIRS
from benchmarks.rows import Comparison, Measurement, Target, ratio_of
from hificl import virtual_attention
from hificl.diagnostics.memory import peak_bytes

TARGET = Target(1.05)
FROM_TOKENS = 1024
"""Tokens from which the target holds; below, the small tensors of the pairs weigh more than the attention."""


class Shape(NamedTuple):
    """Sizes of one attention call."""

    batch: int
    heads: int
    kv_heads: int
    head_dim: int


SHAPES = (Shape(1, 8, 8, 64), Shape(1, 8, 2, 128))
CUDA_SHAPES = (Shape(4, 32, 32, 128), Shape(4, 32, 8, 128))


def plain_attention(query: Tensor, key: Tensor, value: Tensor, *_: Tensor) -> Tensor:
    """Attend causally on the kernel that torch chooses."""
    return F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)


def with_pairs(query: Tensor, key: Tensor, value: Tensor, virtual_key: Tensor, virtual_value: Tensor) -> Tensor:
    """Attend causally with virtual pairs."""
    return virtual_attention(query, key, value, virtual_key, virtual_value, is_causal=True)


ATTENTIONS: dict[str, Callable[..., Tensor]] = {"plain": plain_attention, "hificl": with_pairs, **FORMS}


def attention_calls(shape: Shape, tokens: int, device: torch.device) -> dict[str, Call]:
    """Return a call per form that runs forward and backward on the same tensors."""
    torch.manual_seed(0)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32

    def random(*sizes: int) -> Tensor:
        return torch.randn(*sizes, device=device, dtype=dtype)

    batch, heads, kv_heads, head_dim = shape
    # As in models: the heads of one token lie beside one another in memory.
    query, key, value, grad = (
        random(batch, tokens, count, head_dim).transpose(1, 2) for count in (heads, kv_heads, kv_heads, heads)
    )
    pairs = [random(heads, PAIRS, head_dim) for _ in range(2)]
    for tensor in (query, key, value, *pairs):
        tensor.requires_grad_()

    def call(attend: Callable[..., Tensor], wanted: tuple[Tensor, ...]) -> Call:
        return lambda: torch.autograd.grad(attend(query, key, value, *pairs), wanted, grad)

    real = (query, key, value)
    return {name: call(attend, real if name == "plain" else (*real, *pairs)) for name, attend in ATTENTIONS.items()}


def measure(bench: Bench) -> Iterator[Measurement]:
    """Time every form and count its memory, for each shape and number of tokens."""
    for shape in CUDA_SHAPES if bench.device.type == "cuda" else SHAPES:
        for tokens in bench.sizes:
            bench.note(f"{shape}, {tokens} tokens")
            calls = attention_calls(shape, tokens, bench.device)
            timings = in_turns(calls, clock=bench.clock, effort=bench.effort)
            memory = {name: peak_bytes(call, bench.device) for name, call in calls.items()}
            target = TARGET if tokens >= FROM_TOKENS else None
            note = "" if target else f"the target holds from {FROM_TOKENS} tokens"
            comparisons = [
                Comparison("time", "hificl", "plain", timings.ratio("hificl", "plain"), target=target, note=note),
                Comparison(
                    "peak memory", "hificl", "plain", ratio_of(memory["hificl"], memory["plain"]),
                    target=target, note=note,
                ),
            ]  # fmt: skip
            for name in FORMS:
                comparisons.append(Comparison("time", name, "plain", timings.ratio(name, "plain")))
                comparisons.append(Comparison("peak memory", name, "plain", ratio_of(memory[name], memory["plain"])))
            yield Measurement(
                SCRIPT.name, {**shape._asdict(), "tokens": tokens, "pairs": PAIRS}, bench.clock.name,
                tuple(comparisons), {name: timings.spread(name) for name in calls}, memory,
            )  # fmt: skip


SCRIPT = Script(
    "attention", __doc__, measure, size_is="tokens", sizes=(512, 1024, 2048, 4096), quick_sizes=(256,),
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run(SCRIPT))
