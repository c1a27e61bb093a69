"""The order of the visits: seeded, every example once an epoch, grouped by length where asked."""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from hificl.backbones import Backbone
from hificl.data import Example
from hificl.training import train
from hificl.training.order import WINDOW_BATCHES, visiting_order

LENGTHS = random.Random(4).choices(range(20, 190), k=213)


def grouped(visits: int, *, seed: int = 5, reshuffle: bool = True, size: int = 4) -> list[int]:
    return visiting_order(213, visits, seed, reshuffle, lengths=LENGTHS, micro_batch_size=size)


def padding(order: list[int], size: int) -> int:
    """Padded positions of an order that is cut into batches of this size."""
    batches = [[LENGTHS[index] for index in order[start : start + size]] for start in range(0, len(order), size)]
    return sum(len(batch) * max(batch) - sum(batch) for batch in batches)


def test_each_epoch_visits_every_example_once() -> None:
    order = visiting_order(7, 24, seed=5, reshuffle=True)
    assert len(order) == 24
    assert all(sorted(order[start : start + 7]) == list(range(7)) for start in (0, 7, 14))
    assert order[:7] != order[7:14]
    assert max(Counter(order).values()) - min(Counter(order).values()) <= 1


def test_order_is_seeded() -> None:
    assert visiting_order(11, 30, seed=5, reshuffle=True) == visiting_order(11, 30, seed=5, reshuffle=True)
    assert visiting_order(11, 30, seed=5, reshuffle=True) != visiting_order(11, 30, seed=6, reshuffle=True)


def test_paper_order_repeats() -> None:
    order = visiting_order(7, 21, seed=3407, reshuffle=False)
    assert order[:7] == order[7:14] == order[14:]
    assert order[:7] != list(range(7))


@pytest.mark.parametrize("size", [1, 2, 4, 7])
def test_grouped_epochs_visit_every_example_once(size: int) -> None:
    """Also where an epoch begins inside a batch: 213 is a multiple of none of these but 1."""
    order = grouped(1000, size=size)
    assert len(order) == 1000
    epochs = [order[start : start + 213] for start in range(0, 852, 213)]
    assert all(sorted(epoch) == list(range(213)) for epoch in epochs)
    assert all(one != other for one, other in pairwise(epochs))


@pytest.mark.parametrize("size", [2, 4, 7])
def test_grouping_takes_more_than_half_of_the_padding_away(size: int) -> None:
    plain = visiting_order(213, 852, 5, True)
    assert padding(grouped(852, size=size), size) < 0.5 * padding(plain, size)


def test_grouped_order_is_seeded() -> None:
    assert grouped(500) == grouped(500)
    assert grouped(500) != grouped(500, seed=6)
    assert grouped(500)[:213] == grouped(213), "an epoch depends on the number of visits"


def test_order_of_the_batches_is_drawn() -> None:
    """Otherwise a run would see short examples first, window by window."""
    order = grouped(212)
    longest = [max(LENGTHS[index] for index in order[start : start + 4]) for start in range(0, 212, 4)]
    window = longest[:WINDOW_BATCHES]
    assert window not in (sorted(window), sorted(window, reverse=True))
    neighbours = [
        {frozenset(order[place : place + 4]) for place in range(0, 212, 4)} for order in (order, grouped(424)[212:])
    ]
    assert len(neighbours[0] & neighbours[1]) < 5, "the batches of two epochs are the same"


def test_paper_order_of_groups_repeats() -> None:
    order = visiting_order(212, 424, 3407, False, lengths=LENGTHS, micro_batch_size=4)
    assert order[:212] == order[212:]


def test_a_run_sees_the_grouped_order(backbone: Backbone, examples: list[Example], tmp_path: Path) -> None:
    """And is another run than one without."""
    options = {"steps": 6, "learning_rate": 0.01}
    plain = train(backbone, examples, output_dir=tmp_path / "plain", **options)
    found = train(backbone, examples, output_dir=tmp_path / "grouped", group_by_length=True, **options)
    assert found.record["results"]["losses"] != plain.record["results"]["losses"]
    recipes = [json.loads((tmp_path / name / "run.json").read_text())["recipe"] for name in ("plain", "grouped")]
    assert "group_by_length" not in recipes[0]
    assert recipes[1] == {**recipes[0], "group_by_length": True}
