"""Backbones that read text only: images are refused, marks of images are words like others."""

from __future__ import annotations

import dataclasses

import pytest

from hificl.backbones import Backbone, collate, encode
from hificl.data import Example
from hificl.errors import InputError


def test_an_image_is_refused_before_it_is_opened(text_backbone: Backbone) -> None:
    example = Example(id="q7", images=["no/such/photo.png"], question="what color?", answers=["red"])
    with pytest.raises(InputError, match=r"^sample 'q7' has images and .* reads text only; use another backbone\.$"):
        encode(text_backbone, example)


def test_a_demonstration_with_an_image_is_named(text_backbone: Backbone, examples: list[Example]) -> None:
    query = dataclasses.replace(examples[0], images=[])
    with pytest.raises(InputError, match=r"^sample 'q4' has images"):
        encode(text_backbone, query, demonstrations=[examples[4]])


def test_the_mark_of_an_image_is_text(text_backbone: Backbone) -> None:
    example = Example(id="q", images=[], question="is <image> a tag?", answers=["yes"])
    encoded = encode(text_backbone, example, answer="yes")
    assert "is <image> a tag?" in text_backbone.tokenizer.decode(encoded.input_ids)
    assert not encoded.inputs


def test_a_batch_is_ids_mask_and_labels(text_backbone: Backbone, text_examples: list[Example]) -> None:
    batch = collate(text_backbone, [encode(text_backbone, one, answer=one.answers[0]) for one in text_examples])
    assert set(batch) == {"input_ids", "attention_mask", "labels"}
    assert text_backbone.model(**batch).logits.shape[:2] == batch["labels"].shape
