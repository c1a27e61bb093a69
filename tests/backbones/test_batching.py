"""Batches: padding, labels, vision inputs of different shapes."""

from __future__ import annotations

import dataclasses
from typing import Literal

import pytest
import torch
from torch import Tensor

from hificl.backbones import IGNORED_LABEL, Backbone, Encoded, collate, encode
from hificl.data import Example
from hificl.errors import InputError

SIDES: list[Literal["left", "right"]] = ["left", "right"]


def encoded(length: int, answer: int = 0, **inputs: Tensor) -> Encoded:
    return Encoded(list(range(10, 10 + length)), list(range(70, 70 + answer)), inputs, f"of {length}")


def test_pads_stand_left_by_default_and_are_masked(backbone: Backbone) -> None:
    batch = collate(backbone, [encoded(3), encoded(5)])
    assert batch["input_ids"].tolist() == [[0, 0, 10, 11, 12], [10, 11, 12, 13, 14]]
    assert batch["attention_mask"].tolist() == [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]]
    assert "labels" not in batch


def test_labels_are_the_answer_and_its_end_only(backbone: Backbone) -> None:
    batch = collate(backbone, [encoded(2, answer=3), encoded(3, answer=1)], padding_side="right")
    ignored = IGNORED_LABEL
    assert batch["input_ids"].tolist() == [[10, 11, 70, 71, 72], [10, 11, 12, 70, 0]]
    assert batch["labels"].tolist() == [[ignored, ignored, 70, 71, 72], [ignored, ignored, ignored, 70, ignored]]


@pytest.mark.parametrize("side", SIDES)
def test_token_types_run_along_with_the_answer(backbone: Backbone, side: Literal["left", "right"]) -> None:
    typed = dataclasses.replace(backbone, family=dataclasses.replace(backbone.family, answer_token_type=7))
    parts = [
        encoded(2, answer=1, token_type_ids=torch.tensor([[3, 4]])),
        encoded(3, answer=2, token_type_ids=torch.tensor([[3, 4, 5]])),
    ]
    types = collate(typed, parts, padding_side=side)["token_type_ids"]
    short = [0, 0, 3, 4, 7] if side == "left" else [3, 4, 7, 0, 0]
    assert types.tolist() == [short, [3, 4, 5, 7, 7]]


@pytest.mark.parametrize("side", SIDES)
def test_image_masks_keep_the_last_row_over_the_answer_and_grow_to_the_most_images(
    backbone: Backbone, side: Literal["left", "right"]
) -> None:
    parts = [
        encoded(2, answer=1, image_attention_mask=torch.tensor([[[0], [1]]])),
        encoded(3, answer=1, image_attention_mask=torch.tensor([[[0, 0], [1, 0], [0, 1]]])),
    ]
    mask = collate(backbone, parts, padding_side=side)["image_attention_mask"]
    short = [[0, 0], [1, 0], [1, 0]]
    assert mask[0].tolist() == ([[0, 0], *short] if side == "left" else [*short, [0, 0]])
    assert mask[1].tolist() == [[0, 0], [1, 0], [0, 1], [0, 1]]


def test_images_are_concatenated_and_padded_at_their_end(backbone: Backbone) -> None:
    small, large = torch.full((1, 2, 3, 4, 5), 2.0), torch.full((1, 3, 3, 6, 5), 3.0)
    pixels = collate(backbone, [encoded(9, pixel_values=small), encoded(9, pixel_values=large)])["pixel_values"]
    assert pixels.shape == (2, 3, 3, 6, 5)
    assert torch.equal(pixels[0, :2, :, :4], small[0])
    assert pixels[0].sum() == small.sum()
    assert torch.equal(pixels[1], large[0])


def test_patches_and_grids_of_samples_without_images_are_left_out(backbone: Backbone) -> None:
    grid = torch.tensor([[1, 2, 4]])
    parts = [encoded(9), encoded(11, pixel_values=torch.ones(8, 13), image_grid_thw=grid)]
    batch = collate(backbone, parts)
    assert batch["pixel_values"].shape == (8, 13)
    assert torch.equal(batch["image_grid_thw"], grid)


def test_images_get_the_dtype_of_the_model_and_masks_keep_theirs(backbone: Backbone) -> None:
    half = dataclasses.replace(backbone, model=backbone.model.bfloat16())
    mask = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    batch = collate(half, [encoded(9, pixel_values=torch.ones(1, 3, 4, 4), pixel_attention_mask=mask)])
    backbone.model.float()
    assert batch["pixel_values"].dtype == torch.bfloat16
    assert batch["pixel_attention_mask"].dtype == torch.bool


def test_a_row_in_a_batch_gets_the_logits_of_a_batch_of_one(backbone: Backbone, examples: list[Example]) -> None:
    parts = [encode(backbone, examples[index], answer=examples[index].answers[0]) for index in (0, 3, 6)]
    with torch.no_grad():
        together = backbone.model(**collate(backbone, parts)).logits
        for row, part in enumerate(parts):
            alone = backbone.model(**collate(backbone, [part])).logits
            torch.testing.assert_close(together[row, -part.length :], alone[0], atol=1e-4, rtol=1e-4)


def test_no_example(backbone: Backbone) -> None:
    with pytest.raises(InputError, match="no example"):
        collate(backbone, [])


def test_examples_with_and_without_answer_do_not_mix(backbone: Backbone) -> None:
    with pytest.raises(InputError, match="sample 'of 4' and sample 'of 2' differ in having an answer"):
        collate(backbone, [encoded(2, answer=1), encoded(3, answer=1), encoded(4)])
