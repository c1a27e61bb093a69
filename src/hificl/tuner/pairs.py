"""The learned parameters of one adapter at one site, and what they become for a batch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from hificl.attention.autocast import without_autocast
from hificl.tuner.sites import Site

if TYPE_CHECKING:
    from hificl.tuner.config import HiFICLConfig

BASE = "__base__"  # PEFT's name for "no adapter" in a mixed batch


class Pairs(NamedTuple):
    """Virtual pairs for one attention call.

    ``key`` [heads virtual head_dim], ``value`` [heads virtual value_dim], both with a leading batch axis in a mixed
    batch; ``score_offset`` a number or [heads 1 virtual], likewise [batch heads 1 virtual]. With ``query_gain`` [heads
    virtual head_dim], likewise, the value of a pair becomes ``value + query_gain * query``.
    """

    key: Tensor
    value: Tensor
    score_offset: float | Tensor
    additive: bool
    unmasked_mass: bool
    query_gain: Tensor | None = None


class VirtualPairs(nn.Module):
    """The pairs of one adapter at one site. It is *called*, so that hooks (offload, sharding) run.

    Keys and values are each one ``_full`` parameter, or the product of a ``_left`` and a ``_right`` one. The names are
    long on purpose: PEFT drops every entry whose path has the name of another adapter in it.
    """

    def __init__(self, site: Site, config: HiFICLConfig) -> None:
        super().__init__()
        heads = site.heads if config.share == "query" else site.kv_heads
        self.repeats = site.heads // heads
        self.constant_offset = float(config.init_score_offset)
        self.additive = config.mixing == "additive"
        self.unmasked_mass = config.compat == "official"
        shape = (heads, config.num_virtual_tokens)
        self.dropout = float(config.pair_dropout)
        self._add("key", *shape, site.head_dim, config.r if config.factorize_key else None, config.init_key_scale)
        value_scale = 0.0 if config.init_weights else 0.1
        self._add("value", *shape, site.value_dim, config.r if config.factorize_value else None, value_scale)
        if config.learn_score_offset:
            self.score_offset = nn.Parameter(torch.full(shape, self.constant_offset))
        if config.learn_temperature:
            self.log_temperature = nn.Parameter(torch.zeros(heads))

    def _add(self, name: str, heads: int, virtual: int, size: int, rank: int | None, scale: float) -> None:
        if rank is None:
            self.register_parameter(f"{name}_full", nn.Parameter(torch.randn(heads, virtual, size) * scale))
        else:
            self.register_parameter(f"{name}_left", nn.Parameter(torch.randn(heads, virtual, rank)))
            self.register_parameter(f"{name}_right", nn.Parameter(torch.randn(heads, rank, size) * scale))

    def _matrix(self, name: str) -> Tensor:
        """Return keys or values, [heads virtual size]; ``heads`` are key-value heads where they are shared.

        Products are taken in the dtype of the factors, under autocast too: it would round them.
        """
        full: Tensor | None = getattr(self, f"{name}_full", None)
        if full is not None:
            return full
        left: Tensor = getattr(self, f"{name}_left")
        right: Tensor = getattr(self, f"{name}_right")
        with without_autocast(left.device.type):
            return left @ right

    @torch.no_grad()
    def assign(self, key: Tensor, value: Tensor, offset: Tensor) -> None:
        """Take over pairs; factors get the nearest products of their rank (truncated singular values).

        Args:
            key: [heads virtual head_dim], ``heads`` being key-value heads where pairs are shared.
            value: [heads virtual value_dim].
            offset: [heads virtual], subtracted from the scaled scores; taken over only where the offset is learned.
        """
        for name, matrix in (("key", key), ("value", value)):
            if hasattr(self, f"{name}_full"):
                getattr(self, f"{name}_full").copy_(matrix)
                continue
            left, right = getattr(self, f"{name}_left"), getattr(self, f"{name}_right")
            rows, sizes, columns = torch.linalg.svd(matrix.double(), full_matrices=False)
            kept = min(left.shape[-1], sizes.shape[-1])
            roots = sizes[:, :kept].sqrt()
            # What a rank beyond that of the matrix adds is zero at first, and can grow from the side that is not.
            left[:, :, :kept] = rows[:, :, :kept] * roots.unsqueeze(1)
            right.zero_()[:, :kept] = columns[:, :kept] * roots.unsqueeze(2)
        if hasattr(self, "score_offset"):
            self.score_offset.copy_(offset)
        if hasattr(self, "log_temperature"):
            self.log_temperature.zero_()

    def forward(self, scale: float = 1.0) -> Pairs:
        """Return the pairs of every query head; ``scale``, the factor on their scores, changes nothing here."""
        offset: float | Tensor = self.constant_offset
        if hasattr(self, "score_offset"):
            offset = self.score_offset.repeat_interleave(self.repeats, dim=0).unsqueeze(1)
        key, value = self._matrix("key"), self._matrix("value")
        if hasattr(self, "log_temperature"):
            key = key * torch.exp(-self.log_temperature)[:, None, None]
        if self.repeats > 1:
            key, value = key.repeat_interleave(self.repeats, dim=0), value.repeat_interleave(self.repeats, dim=0)
        pairs = Pairs(key, value, offset, self.additive, self.unmasked_mass)
        return _without_some(pairs, self.dropout) if self.training and self.dropout else pairs


def _without_some(pairs: Pairs, share: float) -> Pairs:
    """Take each pair of each head away with probability ``share``; those that stay count for them, on average."""
    offset = _offset_row(pairs) + math.log1p(-share)
    return pairs._replace(score_offset=offset.masked_fill(torch.rand_like(offset) < share, torch.inf))


@contextmanager
def all_pairs(module: nn.Module) -> Iterator[None]:
    """Let a module give its pairs as they are in evaluation, whatever mode it is in: none is left out."""
    training, module.training = module.training, False
    try:
        yield
    finally:
        module.training = training


def weighted(pairs: Pairs, weight: float) -> Pairs:
    """Let pairs stand for ``weight`` times the mass that they have: ``log(weight)`` is added to their scores.

    0 takes them away.
    """
    if weight == 1.0:
        return pairs
    return pairs._replace(score_offset=pairs.score_offset - (math.log(weight) if weight else -math.inf))


def _same_mixing(found: list[Pairs]) -> tuple[bool, bool]:
    kinds = {(pairs.additive, pairs.unmasked_mass) for pairs in found}
    if len(kinds) > 1:
        raise ValueError(
            "adapters with different mixing or compat cannot be active in one batch; activate them one after the other"
        )
    return kinds.pop()


def _gains(found: list[Pairs]) -> list[Tensor] | None:
    """Return the gain of each, zeros for those that have none, or None where none has."""
    if all(pairs.query_gain is None for pairs in found):
        return None
    return [torch.zeros_like(pairs.key) if pairs.query_gain is None else pairs.query_gain for pairs in found]


def _offset_row(pairs: Pairs) -> Tensor:
    """Return the offsets as [heads 1 virtual]."""
    heads, virtual, _ = pairs.key.shape
    return torch.as_tensor(pairs.score_offset, dtype=pairs.key.dtype, device=pairs.key.device).expand(heads, 1, virtual)


def joined(found: list[Pairs]) -> Pairs:
    """Join the pairs of several active adapters: one softmax over all of them."""
    if len(found) == 1:
        return found[0]
    additive, unmasked_mass = _same_mixing(found)
    offset: float | Tensor = found[0].score_offset
    if any(isinstance(pairs.score_offset, Tensor) or pairs.score_offset != offset for pairs in found):
        offset = torch.cat([_offset_row(pairs) for pairs in found], dim=-1)
    key = torch.cat([pairs.key for pairs in found], dim=1)
    value = torch.cat([pairs.value for pairs in found], dim=1)
    gains = _gains(found)
    gain = None if gains is None else torch.cat(gains, dim=1)
    return Pairs(key, value, offset, additive, unmasked_mass, gain)


def per_row(names: list[str], pairs_of: dict[str, Pairs]) -> Pairs | None:
    """Give each row of a batch the pairs of its own adapter; rows of the base model get pairs that are removed.

    Args:
        names: Adapter of each row, or ``"__base__"``.
        pairs_of: The pairs of every adapter that ``names`` mentions; they may differ in number.

    Returns:
        Pairs with a leading batch axis, or None where no row has any pair.
    """
    found = list(pairs_of.values())
    most = max((pairs.key.shape[1] for pairs in found), default=0)
    if most == 0:
        return None
    additive, unmasked_mass = _same_mixing(found)

    def longer(matrix: Tensor) -> Tensor:
        missing = most - matrix.shape[1]
        return nn.functional.pad(matrix, (0, 0, 0, missing)) if missing else matrix

    index = {name: position for position, name in enumerate(pairs_of)}
    places = [index.get(name, len(found)) for name in names]
    rows = torch.tensor(places, device=found[0].key.device)

    def of_rows(parts: list[Tensor]) -> Tensor:
        if len(found) in places:
            parts = [*parts, torch.zeros_like(parts[0])]
        return torch.stack(parts).index_select(0, rows)

    key = of_rows([longer(pairs.key) for pairs in found])
    value = of_rows([longer(pairs.value) for pairs in found])
    gains = _gains(found)
    gain = None if gains is None else of_rows([longer(one) for one in gains])
    offset: float | Tensor = found[0].score_offset
    if len(found) in places or any(
        isinstance(pairs.score_offset, Tensor) or pairs.score_offset != offset or pairs.key.shape[1] != most
        for pairs in found
    ):
        offset = _offsets_of_rows(found, rows, most)
    return Pairs(key, value, offset, additive, unmasked_mass, gain)


def _offsets_of_rows(found: list[Pairs], rows: Tensor, most: int) -> Tensor:
    """Return the offsets as [batch heads 1 virtual]; what a row lacks is taken away by infinite ones."""
    parts = [nn.functional.pad(_offset_row(pairs), (0, most - pairs.key.shape[1]), value=torch.inf) for pairs in found]
    return torch.stack([*parts, torch.full_like(parts[0], torch.inf)]).index_select(0, rows)
