"""Prompts of an evaluation, measured before it starts."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from hificl.backbones import Backbone, encode
from hificl.data import Example
from hificl.errors import InputError
from hificl.evaluation import Queries, queries


def test_lengths_are_those_of_the_prompts(backbone: Backbone, examples: list[Example]) -> None:
    made = Queries(backbone, examples, shots=1, demonstrations=examples, seed=5)
    for index, example in enumerate(examples):
        whole = encode(backbone, example, demonstrations=made.demonstrations[index])
        assert made.lengths[index] == len(whole.input_ids)
        assert made.image_bytes[index] == whole.inputs["pixel_values"].nbytes


@pytest.mark.parametrize("rows_kept", [0, 2, 7])
def test_prompts_that_are_not_kept_are_encoded_again(
    backbone: Backbone, examples: list[Example], rows_kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [len(example.images) * 3 * 64 * 64 * 4 for example in examples]
    monkeypatch.setattr(queries, "KEPT_BYTES", sum(sizes[:rows_kept]))
    calls: list[str] = []

    def counted(*arguments: object, **options: object) -> object:
        made = encode(*arguments, **options)  # type: ignore[arg-type]
        calls.append(made.id)
        return made

    monkeypatch.setattr(queries, "encode", counted)
    made = Queries(backbone, examples)
    again = [made.encoded(index) for index in range(7)]
    assert len(calls) == 7 + (7 - rows_kept)
    assert [one.id for one in again] == [example.id for example in examples]
    assert all(
        torch.equal(one.inputs["pixel_values"], encode(backbone, example).inputs["pixel_values"])
        for one, example in zip(again, examples, strict=True)
    )


def test_the_answer_must_fit_behind_the_prompt(backbone: Backbone, examples: list[Example]) -> None:
    length = max(Queries(backbone, examples).lengths)
    Queries(backbone, examples, new_tokens=311 - length)
    with pytest.raises(InputError, match="sample '.*': the sequence has 312 tokens .* holds 311"):
        Queries(backbone, examples, new_tokens=312 - length)


def test_no_example(backbone: Backbone) -> None:
    with pytest.raises(InputError, match="no example"):
        Queries(backbone, [])


def test_two_samples_with_one_id(backbone: Backbone, examples: list[Example]) -> None:
    with pytest.raises(InputError, match="sample 'q2' stands at places 2 and 5"):
        Queries(backbone, [*examples[:5], dataclasses.replace(examples[5], id="q2")])


def test_too_small_support_set(backbone: Backbone, examples: list[Example]) -> None:
    with pytest.raises(InputError, match="query 'q0'"):
        Queries(backbone, examples, shots=7, demonstrations=examples)
