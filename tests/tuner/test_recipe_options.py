"""What can be screened about the pairs: temperature, starting scale, dropout of pairs."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from peft import get_peft_model
from torch import Tensor

from hificl import HiFICLConfig
from hificl.context.written import written_context
from hificl.errors import InputError
from hificl.tuner import HiFICLLayer
from hificl.tuner.pairs import VirtualPairs
from hificl.tuner.sidecar import sidecars
from methods.small_decoder import padded_batch, small_decoder


def made(seed: int = 0, **options: Any) -> tuple[Any, VirtualPairs]:
    """An adapted small decoder and the pairs of its first layer."""
    torch.manual_seed(seed)
    model = get_peft_model(
        small_decoder(), HiFICLConfig(**{"num_virtual_tokens": 3, "r": 2, "init_weights": False, **options})
    )
    layer = next(layer for _, _, layer in sidecars(model, HiFICLLayer))
    return model, layer.adapters["default"]


def logits(model: Any) -> Tensor:
    with torch.no_grad():
        found: Tensor = model(**padded_batch()).logits
    return found


@pytest.mark.parametrize("share", ["query", "kv"])
def test_a_temperature_divides_the_scores_of_its_head(share: str) -> None:
    _, plain = made(share=share)
    _, warm = made(share=share, learn_temperature=True)
    assert torch.equal(plain().key, warm().key)
    assert warm.log_temperature.shape == plain.key_left.shape[:1]
    with torch.no_grad():
        warm.log_temperature[1] = torch.log(torch.tensor(4.0))
    change = (warm().key / plain().key).mean(dim=(1, 2))
    hot = torch.arange(len(change)) // plain.repeats == 1
    assert torch.allclose(change, torch.where(hot, 0.25, 1.0))
    assert torch.equal(plain().value, warm().value)


def test_a_temperature_is_learned_and_pairs_that_are_given_reset_it() -> None:
    model, pairs = made(learn_temperature=True)
    model(**padded_batch()).logits.square().sum().backward()
    assert bool((pairs.log_temperature.grad != 0).all())
    with torch.no_grad():
        pairs.log_temperature.fill_(0.7)
    found = pairs()
    pairs.assign(found.key, found.value, torch.zeros(found.key.shape[:2]))
    assert torch.allclose(pairs().key, found.key, atol=1e-5)


def test_the_starting_scale_is_that_of_the_keys() -> None:
    _, one = made(init_key_scale=0.01)
    _, other = made(init_key_scale=0.5)
    assert torch.allclose(other.key_right, 50 * one.key_right)
    assert torch.equal(other.key_left, one.key_left)
    _, full = made(init_key_scale=0.5, factorize_key=False)
    assert 0.3 < float(full.key_full.std()) < 0.7


def test_pairs_are_away_in_training_alone() -> None:
    _, pairs = made(pair_dropout=0.4, num_virtual_tokens=200)
    assert pairs.eval()().score_offset == 0.0
    torch.manual_seed(0)
    away = torch.isinf(pairs.train()().score_offset)
    assert away.shape == (pairs.key_left.shape[0], 1, 200)
    assert 0.3 < float(away.float().mean()) < 0.5
    assert not torch.equal(away[0], away[1])


def test_those_that_stay_count_for_those_that_are_away() -> None:
    _, pairs = made(pair_dropout=0.4, num_virtual_tokens=2000, init_score_offset=1.5)
    torch.manual_seed(0)
    mass = torch.exp(-pairs.train()().score_offset).sum(dim=-1)
    assert torch.allclose(mass, torch.full_like(mass, 2000 * math.exp(-1.5)), rtol=0.06)


def test_what_reads_the_pairs_reads_all_of_them() -> None:
    model, pairs = made(pair_dropout=0.4)
    layer = next(layer for _, _, layer in sidecars(model, HiFICLLayer))
    model.train()
    assert bool(written_context(layer, "default").offset.isfinite().all())
    assert pairs.training


def test_without_any_pair_a_head_is_the_frozen_one() -> None:
    model, _ = made(pair_dropout=1 - 1e-9)
    assert not torch.allclose(logits(model.eval()), logits(small_decoder()))
    assert torch.allclose(logits(model.train()), logits(small_decoder().train()), atol=1e-6)
    model(**padded_batch()).logits.sum().backward()
    assert all(bool(one.grad.isfinite().all()) for one in model.parameters() if one.grad is not None)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"init_key_scale": 0}, "init_key_scale=0 must be above 0"),
        ({"pair_dropout": 1.0}, "pair_dropout=1.0 must be a share from 0 to below 1"),
        ({"pair_dropout": "0.1"}, "pair_dropout='0.1' must be a share"),
        ({"pair_dropout": 0.1, "mixing": "additive"}, "pair_dropout leaves the mass of a pair"),
        ({"pair_dropout": 0.1, "compat": "official"}, "pair_dropout leaves the mass of a pair"),
    ],
)
def test_wrong_options(options: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as caught:
        HiFICLConfig(**options)
    assert told in str(caught.value)


def test_nothing_is_added_that_was_not_asked_for() -> None:
    _, pairs = made()
    assert {name for name, _ in pairs.named_parameters()} == {"key_left", "key_right", "value_left", "value_right"}
