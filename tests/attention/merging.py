"""Random problems for what joins virtual pairs to attention, and their formula, for any dtype and device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from closeness import MARGIN, assert_close, rounding_budget
from hificl.attention.merge import Merge, Merged, PairTensors


@dataclass(frozen=True)
class Joining:
    """Sizes and features of one problem; ``offset``: none, number, per pair, per head, per score, removes."""

    name: str
    batch: int = 2
    heads: int = 3
    queries: int = 7
    virtual: int = 5
    head_dim: int = 64
    value_dim: int = 64
    per_row: bool = False
    offset: str = "none"
    empty: bool = False


JOININGS = [
    Joining("plain", queries=21),
    Joining("several tiles", batch=2, heads=1, queries=131, virtual=8, head_dim=80, value_dim=96, offset="per pair"),
    Joining("most pairs", batch=1, heads=2, virtual=64, head_dim=128, value_dim=128),
    Joining("largest heads", batch=1, heads=2, queries=17, virtual=33, head_dim=256, value_dim=160, offset="number"),
    Joining("odd sizes", batch=1, heads=2, queries=19, virtual=17, head_dim=129, value_dim=71, offset="per head"),
    Joining("one pair, one query", batch=1, heads=2, queries=1, virtual=1),
    Joining("pairs per row", heads=1, batch=3, queries=9, per_row=True, offset="per pair"),
    Joining("offset per score", heads=1, queries=11, offset="per score"),
    Joining("rows without real keys", heads=1, batch=1, empty=True, offset="per pair"),
    Joining("pairs removed, rows without real keys", heads=2, batch=1, empty=True, offset="removes"),
]


@dataclass(frozen=True)
class Problem:
    """Tensors in the memory order of attention, [batch queries heads size], seen as [batch heads queries size]."""

    query: Tensor
    pairs: PairTensors
    scale: float
    output: Tensor
    real_mass: Tensor
    grad: Tensor
    grad_query: Tensor

    def to(self, dtype: torch.dtype | None = None, device: str | None = None) -> Problem:
        """Cast everything but the log-sum-exp, which stays in float32 beside half precision."""

        def cast(found: Tensor, kind: torch.dtype | None) -> Tensor:
            return found.to(device=device, dtype=kind)

        wide = torch.float64 if dtype == torch.float64 else None
        pairs = (cast(each, wide) if isinstance(each, Tensor) else each for each in self.pairs)
        tensors = (cast(getattr(self, name), dtype) for name in ("output", "grad", "grad_query"))
        output, grad, grad_query = tensors
        query, mass = cast(self.query, dtype), cast(self.real_mass, wide)
        return Problem(query, PairTensors(*pairs), self.scale, output, mass, grad, grad_query)


def make(case: Joining, dtype: torch.dtype) -> Problem:
    """Draw a problem in a dtype; the pairs are float32, as adapters keep them."""
    generator = torch.Generator().manual_seed(3)

    def draw(*sizes: int) -> Tensor:
        return torch.randn(*sizes, generator=generator)

    def beside(size: int) -> Tensor:
        return draw(case.batch, case.queries, case.heads, size).to(dtype).transpose(1, 2)

    row = (case.batch,) if case.per_row else ()
    pairs = [
        draw(*row, case.heads, size, case.virtual).transpose(-1, -2)  # pairs may be strided as well
        for size in (case.head_dim, case.value_dim)
    ]
    per_pair = draw(case.heads, 1, case.virtual)
    removed = per_pair.masked_fill(per_pair > 0.0, torch.inf)
    removed[-1] = torch.inf
    offset: float | Tensor = {
        "none": 0.0,
        "number": 1.7,
        "per pair": per_pair,
        "per head": draw(case.heads, 1, 1),
        "per score": draw(case.batch, case.heads, case.queries, case.virtual),
        "removes": removed,
    }[case.offset]
    output, mass = beside(case.value_dim), draw(case.batch, case.queries, case.heads).transpose(1, 2)
    if case.empty:
        mass[:, :, 2] = -torch.inf
        output[:, :, 2] = 0.0
    return Problem(
        beside(case.head_dim), PairTensors(*pairs, offset), case.head_dim**-0.5, output, mass,
        beside(case.value_dim), beside(case.head_dim),
    )  # fmt: skip


def formula(problem: Problem, dtype: torch.dtype) -> dict[str, Tensor]:
    """Compute output, log-sum-exp and, by autograd, all gradients by the definition, everything in one dtype."""
    query, key, value = (
        tensor.detach().to(dtype).requires_grad_() for tensor in (problem.query, problem.pairs.key, problem.pairs.value)
    )
    offset = problem.pairs.offset
    leaves = {"query": query, "virtual_key": key, "virtual_value": value}
    if isinstance(offset, Tensor):
        offset = leaves["offset"] = offset.detach().to(dtype).requires_grad_()
    scores = problem.scale * query @ key.transpose(-1, -2) - offset
    mass = problem.real_mass.to(dtype).unsqueeze(-1)
    whole = torch.cat([scores, mass.expand(*scores.shape[:-1], 1)], dim=-1)
    hidden = whole == -torch.inf
    nothing = hidden.all(dim=-1, keepdim=True)
    weights = torch.softmax(whole.masked_fill(nothing, 0.0), dim=-1).masked_fill(hidden, 0.0)
    output = weights[..., :-1] @ value + weights[..., -1:] * problem.output.to(dtype)
    grads = torch.autograd.grad(output, list(leaves.values()), problem.grad.to(dtype))
    found = {f"gradient of {name}": grad.nan_to_num() for name, grad in zip(leaves, grads, strict=True)}
    found["gradient of query"] = found["gradient of query"] + problem.grad_query.to(dtype)
    return {"output": output.detach(), **found}


def joined(merge: Merge, problem: Problem, *, wants_offset: bool) -> tuple[Merged, dict[str, Tensor]]:
    """Run a merge both ways, on copies of what it may overwrite."""
    query, pairs, scale = problem.query, problem.pairs, problem.scale
    merged = merge.forward(query, pairs, scale, problem.output.clone(), problem.real_mass.clone())
    found = merge.backward(
        query, pairs, scale, problem.grad, merged, problem.grad_query.clone(), wants_offset=wants_offset
    )
    names = ("query", "virtual_key", "virtual_value", "offset")
    gradients = {f"gradient of {name}": grad for name, grad in zip(names, found, strict=True) if grad is not None}
    return merged, {"output": merged.output, **gradients}


def check(merge: Merge, case: Joining, dtype: torch.dtype, device: str = "cpu") -> None:
    """Hold a merge to twice the error of the formula in the same dtype, in everything it gives.

    In float32 both differ in the order of their sums alone, which moves the error of a small tensor by more than that.
    """
    margin = MARGIN if dtype == torch.float32 else 2.0
    problem = make(case, dtype)
    exact, rounded = formula(problem.to(torch.float64), torch.float64), formula(problem, dtype)
    wants_offset = case.offset in ("per pair", "per head", "removes")
    merged, found = joined(merge, problem.to(device=device), wants_offset=wants_offset)
    assert merged.output.dtype == dtype
    assert set(found) == set(exact) - (set() if wants_offset else {"gradient of offset"})
    for name, tensor in found.items():
        assert_close(tensor.cpu(), exact[name], rounding_budget(rounded[name], exact[name], margin), name)
    assert torch.equal(merged.joint.cpu() == torch.inf, problem.real_mass == -torch.inf)
