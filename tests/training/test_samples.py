from __future__ import annotations

import dataclasses

import pytest

from hificl.backbones import Backbone
from hificl.data import Example
from hificl.errors import InputError
from hificl.training.samples import EncodedExamples, Visits


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
