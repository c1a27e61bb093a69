"""Random attention problems on odd shapes, no two axes equal unless a case asks for it, and an oracle of their own."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Case:
    """Sizes and features of one problem."""

    name: str
    batch: int = 2
    kv_heads: int = 3
    groups: int = 2
    queries: int = 7
    keys: int = 11
    head_dim: int = 16
    value_dim: int = 16
    virtual: int = 5
    per_row: bool = False
    mask: str = "none"
    mask_axes: tuple[bool, bool, bool] = (True, False, True)
    is_causal: bool = False
    offset: str = "none"
    scale: float | None = None
    seed: int = field(default=0)

    @property
    def heads(self) -> int:
        return self.kv_heads * self.groups


CASES = [
    Case("plain"),
    Case("one group", groups=1, kv_heads=5),
    Case("one key head", groups=4, kv_heads=1),
    Case("causal square", queries=13, keys=13, is_causal=True),
    Case("causal cached", queries=5, keys=23, is_causal=True),
    Case("causal one query", queries=1, keys=9, is_causal=True),
    Case("causal more queries than keys", queries=9, keys=4, is_causal=True),
    Case("long causal across kernel blocks", batch=1, queries=601, keys=601, is_causal=True),
    Case("long cached across kernel blocks", batch=1, queries=67, keys=1031, is_causal=True),
    Case("no pairs", virtual=0),
    Case("no pairs causal", virtual=0, queries=13, keys=13, is_causal=True),
    Case("one pair", virtual=1),
    Case("many pairs", virtual=61),
    Case("pairs per row", per_row=True, batch=3),
    Case("no keys", keys=0),
    Case("no keys, no pairs", keys=0, virtual=0),
    Case("no queries", queries=0),
    Case("narrow values", value_dim=5),
    Case("wide values", value_dim=29, per_row=True),
    Case("padding", mask="hides", mask_axes=(True, False, False)),
    Case("padding and causal", mask="hides", mask_axes=(True, False, False), queries=13, keys=13, is_causal=True),
    Case("padding, cached", mask="hides", mask_axes=(True, False, False), queries=6, keys=17, is_causal=True),
    Case("mask per head", mask="hides", mask_axes=(False, True, True)),
    Case("mask and causal", mask="hides", queries=13, keys=13, is_causal=True),
    Case("mask, more queries than keys", mask="hides", queries=9, keys=4, is_causal=True),
    Case("mask without pairs", mask="hides", virtual=0),
    Case("rows that see nothing", mask="nothing"),
    Case("rows that see nothing, no pairs", mask="nothing", virtual=0),
    Case("additive", mask="adds", mask_axes=(True, True, True)),
    Case("additive and causal", mask="adds", queries=13, keys=13, is_causal=True),
    Case("additive with -inf", mask="adds and hides"),
    Case("very low rows", mask="low"),
    Case("very low rows, no pairs", mask="low", virtual=0),
    Case("very low rows, no pairs, causal", mask="low", virtual=0, queries=13, keys=13, is_causal=True),
    Case("learned mask", mask="learned", mask_axes=(False, True, True)),
    Case("learned mask, cached", mask="learned", queries=6, keys=17, is_causal=True),
    Case("number as offset", offset="number"),
    Case("offset per pair", offset="per pair"),
    Case("offset per score", offset="per score", per_row=True),
    Case("pairs removed", offset="removes"),
    Case("all removed, nothing visible", offset="removes all", mask="nothing"),
    Case("own scale", scale=0.31, offset="per pair"),
]


@dataclass(frozen=True)
class Problem:
    """The tensors of a case. ``leaves`` are those that get a gradient, by name."""

    query: Tensor
    key: Tensor
    value: Tensor
    virtual_key: Tensor
    virtual_value: Tensor
    mask: Tensor | None
    offset: float | Tensor
    is_causal: bool
    scale: float | None

    def leaves(self) -> dict[str, Tensor]:
        found = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: leaf for name, leaf in found.items() if isinstance(leaf, Tensor) and leaf.requires_grad}

    def to(self, dtype: torch.dtype) -> Problem:
        def cast(leaf: object) -> object:
            if not isinstance(leaf, Tensor) or leaf.dtype == torch.bool:
                return leaf
            return leaf.detach().to(dtype).requires_grad_(leaf.requires_grad)

        return replace(self, **{name: cast(getattr(self, name)) for name in self.__dataclass_fields__})


def make(case: Case, dtype: torch.dtype = torch.float64) -> Problem:
    """Draw the tensors of a case."""
    generator = torch.Generator().manual_seed(case.seed)

    def draw(*sizes: int, learned: bool = True) -> Tensor:
        return torch.randn(*sizes, generator=generator, dtype=torch.float64).to(dtype).requires_grad_(learned)

    row = (case.batch,) if case.per_row else ()
    key = draw(case.batch, case.kv_heads, case.keys, case.head_dim)
    value = draw(case.batch, case.kv_heads, case.keys, case.value_dim)
    sizes = (case.batch, case.heads, case.queries)
    shape = [size if own else 1 for size, own in zip(sizes, case.mask_axes, strict=True)]
    chosen = torch.rand(*shape, case.keys, generator=generator) < 0.6
    numbers = torch.randn(*shape, case.keys, generator=generator, dtype=torch.float64).to(dtype)
    nothing = chosen.clone()
    nothing[-1] = False
    low = torch.where(chosen, 0.0, -1e30).to(dtype)
    low[-1] = -1e30
    masks = {
        "none": None,
        "hides": chosen,
        "nothing": nothing,
        "adds": numbers,
        "adds and hides": numbers.masked_fill(~chosen, -torch.inf),
        "low": low,
        "learned": numbers.clone().requires_grad_(),
    }
    per_pair = draw(case.heads, 1, case.virtual)
    removed = torch.rand(case.heads, 1, case.virtual, generator=generator) < 0.4
    offsets: dict[str, float | Tensor] = {
        "none": 0.0,
        "number": 1.7,
        "per pair": per_pair,
        "per score": draw(*sizes, case.virtual),
        "removes": per_pair.detach().masked_fill(removed, torch.inf).requires_grad_(),
        "removes all": torch.full_like(per_pair, torch.inf).requires_grad_(),
    }
    return Problem(
        draw(*sizes, case.head_dim),
        key,
        value,
        draw(*row, case.heads, case.virtual, case.head_dim),
        draw(*row, case.heads, case.virtual, case.value_dim),
        masks[case.mask],
        offsets[case.offset],
        case.is_causal,
        case.scale,
    )


def naive(problem: Problem, *, additive: bool = False, unmasked_mass: bool = False) -> Tensor:
    """Compute the output one row of scores at a time, by the definition; shares no code with the package."""
    query, scale = problem.query, problem.scale or 1 / math.sqrt(problem.query.shape[-1])
    batch, heads, queries, _ = query.shape
    keys, groups = problem.key.shape[2], heads // problem.key.shape[1]
    rows = []
    for b in range(batch):
        for h in range(heads):
            virtual_key = problem.virtual_key[b, h] if problem.virtual_key.dim() == 4 else problem.virtual_key[h]
            virtual_value = (
                problem.virtual_value[b, h] if problem.virtual_value.dim() == 4 else problem.virtual_value[h]
            )
            key, value = problem.key[b, h // groups], problem.value[b, h // groups]
            real = scale * query[b, h] @ key.T
            virtual = scale * query[b, h] @ virtual_key.T
            if isinstance(problem.offset, Tensor):
                virtual = virtual - problem.offset.expand(batch, heads, queries, -1)[b, h]
            else:
                virtual = virtual - problem.offset
            masked = real
            if problem.mask is not None:
                mask = problem.mask.expand(batch, heads, queries, keys)[b, h]
                masked = real.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else real + mask
            if problem.is_causal:
                seen = torch.arange(keys)[None] <= torch.arange(queries)[:, None] + keys - queries
                masked = masked.masked_fill(~seen, -torch.inf)
            rows.append(_mix(masked, virtual, value, virtual_value, real if unmasked_mass else masked, additive))
    return torch.stack(rows).unflatten(0, (batch, heads))


def _mix(
    masked: Tensor, virtual: Tensor, value: Tensor, virtual_value: Tensor, mass_scores: Tensor, additive: bool
) -> Tensor:
    """Softmax of the parts, through exponentials shifted by the largest score."""
    whole = torch.cat([mass_scores, virtual], dim=-1)
    if whole.shape[-1] == 0:
        return torch.zeros(masked.shape[0], value.shape[-1], dtype=value.dtype)
    top = whole.detach().amax(dim=-1, keepdim=True)
    top = torch.where(top == -torch.inf, 0.0, top)
    total = torch.exp(whole - top).sum(dim=-1, keepdim=True)
    safe_total = torch.where(total == 0, 1.0, total)
    weights = torch.exp(virtual - top) / safe_total
    share = torch.exp(mass_scores - top).sum(dim=-1, keepdim=True) / safe_total
    own_top = masked.detach().amax(dim=-1, keepdim=True) if masked.shape[-1] else top
    own_top = torch.where(own_top == -torch.inf, 0.0, own_top)
    own = torch.exp(masked - own_top)
    own_total = own.sum(dim=-1, keepdim=True)
    attended = (own / torch.where(own_total == 0, 1.0, own_total)) @ value
    return (attended if additive else share * attended) + weights @ virtual_value
