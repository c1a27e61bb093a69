"""Pairs whose values follow the query, against the definition in float64, on every path that attention takes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from closeness import assert_close
from hificl.tuner.attend import Seen, attend
from hificl.tuner.pairs import BASE, Pairs, joined, per_row

BATCH, HEADS, QUERIES, SIZE = 3, 2, 5, 7
EXACT = 1e-12  # float64 identities
MIXTURES = [(False, False), (True, False), (False, True)]


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pairs(virtual: int, seed: int, additive: bool = False, unmasked: bool = False, gain: bool = True) -> Pairs:
    key, value, weights = (drawn(HEADS, virtual, SIZE, seed=seed + part) for part in (0, 1, 2))
    offset = drawn(HEADS, 1, virtual, seed=seed + 3)
    return Pairs(key, value, offset, additive, unmasked, weights if gain else None)


def naive(query: Tensor, key: Tensor, value: Tensor, virtual: Pairs) -> Tensor:
    """Causal attention over pairs and keys, [batch queries heads size]; every value of a pair is made for its query."""
    scale = SIZE**-0.5
    real = scale * query @ key.transpose(-1, -2)
    seen = real.masked_fill(torch.ones(QUERIES, QUERIES, dtype=torch.bool).triu(1), -torch.inf)
    scores = scale * query @ virtual.key.transpose(-1, -2) - virtual.score_offset
    mass = torch.logsumexp(real if virtual.unmasked_mass else seen, dim=-1, keepdim=True)
    joint = torch.logaddexp(mass, torch.logsumexp(scores, dim=-1, keepdim=True))
    share = torch.ones_like(joint) if virtual.additive else torch.exp(mass - joint)
    gain = torch.zeros_like(virtual.key) if virtual.query_gain is None else virtual.query_gain
    made = virtual.value.unsqueeze(-3) + gain.unsqueeze(-3) * query.unsqueeze(-2)  # [batch heads queries virtual size]
    output = share * (torch.softmax(seen, dim=-1) @ value) + (torch.exp(scores - joint).unsqueeze(-2) @ made).squeeze(
        -2
    )
    return output.transpose(1, 2)


def eager(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **_: Any
) -> tuple[Tensor, Tensor]:
    """What an attention module's own file holds."""
    weights = torch.softmax(SIZE**-0.5 * query @ key.transpose(-1, -2) + mask, dim=-1)
    return (weights @ value).transpose(1, 2), weights


def attended(virtual: Pairs, own_function: bool) -> tuple[Tensor, Tensor]:
    query, key, value = (drawn(BATCH, HEADS, QUERIES, SIZE, seed=seed) for seed in (11, 12, 13))
    later = torch.full((QUERIES, QUERIES), -torch.inf, dtype=torch.float64).triu(1)[None, None]
    module = SimpleNamespace(is_causal=True, num_key_value_groups=1, site="here")
    seen, reason = (Seen(later), "told so") if own_function else (Seen(is_causal=True), None)
    output, _ = attend(eager, module, virtual, query, key, value, seen, {}, eager=reason)
    return output, naive(query, key, value, virtual)


@pytest.mark.parametrize("own_function", [False, True], ids=["fused", "eager"])
@pytest.mark.parametrize(("additive", "unmasked"), MIXTURES, ids=["softmax", "additive", "official"])
def test_values_that_follow_the_query(additive: bool, unmasked: bool, own_function: bool) -> None:
    found, expected = attended(pairs(1, 1, additive, unmasked), own_function)
    assert_close(found, expected, EXACT, "one pair")
    found, expected = attended(pairs(4, 2, additive, unmasked), own_function)
    assert_close(found, expected, EXACT, "four pairs")
    without, _ = attended(pairs(4, 2, additive, unmasked, gain=False), own_function)
    assert (without - found).abs().max() > 0.1


def test_they_join_pairs_that_do_not() -> None:
    found, expected = attended(joined([pairs(2, 1, gain=False), pairs(3, 5)]), own_function=False)
    assert_close(found, expected, EXACT, "joined")
    assert joined([pairs(2, 1, gain=False), pairs(3, 5, gain=False)]).query_gain is None


def test_rows_have_their_own() -> None:
    one, two = pairs(2, 1, gain=False), pairs(3, 5)
    mixed = per_row(["two", BASE, "one"], {"one": one, "two": two})
    assert mixed is not None
    found, _ = attended(mixed, own_function=False)
    assert_close(found[0], attended(two, own_function=False)[1][0], EXACT, "with gain")
    assert_close(found[2], attended(one, own_function=False)[1][2], EXACT, "without gain")
    removed = per_row([BASE, BASE, BASE], {"two": two})
    assert removed is not None
    assert_close(found[1], attended(removed, own_function=False)[1][1], EXACT, "without pairs")


def test_rows_that_lack_nothing_share_a_plain_offset() -> None:
    """Then a mixed batch is computed as one adapter is."""
    found = {name: pairs(3, seed=seed, gain=False)._replace(score_offset=1.5) for name, seed in (("a", 1), ("b", 2))}
    mixed = per_row(["b", "a", "b"], found)
    assert mixed is not None
    assert mixed.score_offset == 1.5
    assert torch.equal(mixed.key, torch.stack([found[name].key for name in "bab"]))
    for names, others in (
        (["b", BASE, "a"], found),
        (["b", "a"], {**found, "a": pairs(2, seed=7, gain=False)._replace(score_offset=1.5)}),
        (["b", "a"], {**found, "a": found["a"]._replace(score_offset=0.5)}),
    ):
        rows = per_row(names, others)
        assert rows is not None
        assert isinstance(rows.score_offset, Tensor)
