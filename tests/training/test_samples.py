from __future__ import annotations

import dataclasses
from collections import Counter

import pytest

from hificl.backbones import Backbone
from hificl.data import Example
from hificl.errors import InputError
from hificl.training.samples import EncodedExamples, Visits, visiting_order


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


def test_examples_beyond_the_memory_are_encoded_again(backbone: Backbone, examples: list[Example]) -> None:
    all_kept = EncodedExamples(backbone, examples[:3])
    size = sum(tensor.nbytes for tensor in all_kept[0].inputs.values())
    some = EncodedExamples(backbone, examples[:3], kept_bytes=size)
    assert (len(all_kept.kept), len(some.kept)) == (3, 1)
    for index in range(3):
        assert some[index].input_ids == all_kept[index].input_ids
        assert all((some[index].inputs[key] == all_kept[index].inputs[key]).all() for key in some[index].inputs)
    assert (
        some.lengths == all_kept.lengths == [len(all_kept[i].input_ids) + len(all_kept[i].answer_ids) for i in range(3)]
    )


def test_visits_follow_the_order(backbone: Backbone, examples: list[Example]) -> None:
    visits = Visits(EncodedExamples(backbone, examples[:3]), [2, 0, 2])
    assert [visits[position].id for position in range(len(visits))] == ["q2", "q0", "q2"]


def test_bad_examples_are_refused(backbone: Backbone, examples: list[Example]) -> None:
    with pytest.raises(InputError, match="no example"):
        EncodedExamples(backbone, [])
    with pytest.raises(InputError, match="'q1' occurs twice"):
        EncodedExamples(backbone, [examples[1], examples[0], examples[1]])
    with pytest.raises(InputError, match="'q2': no answer"):
        EncodedExamples(backbone, [examples[0], dataclasses.replace(examples[2], answers=[])])
    with pytest.raises(InputError, match=r"'q1'.* 199"):
        EncodedExamples(backbone, [examples[0], dataclasses.replace(examples[1], question="red " * 300)])
