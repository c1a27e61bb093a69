"""Continuations: token ids appended to fixed ones."""

from __future__ import annotations

from backbones.sentence_piece import sentence_piece_tokenizer
from backbones.tiny_models import image_tokenizer
from hificl.backbones.tokens import continuation


def test_joint_tokenisation_is_reproduced() -> None:
    tokenizer = image_tokenizer()
    joint = tokenizer("what? A: light blue")["input_ids"]
    first = tokenizer("what? A:")["input_ids"]
    assert first + continuation(tokenizer, "what? A:", " light blue") == joint


def test_leading_space_form_is_the_one_inside_the_text() -> None:
    tokenizer = sentence_piece_tokenizer("always", [])
    alone = tokenizer("red", add_special_tokens=False)["input_ids"]
    assert tokenizer.convert_ids_to_tokens(alone) == ["▁red"]
    assert tokenizer.convert_ids_to_tokens(continuation(tokenizer, "A:", "red")) == ["red"]
    assert tokenizer.convert_ids_to_tokens(continuation(tokenizer, "A:", " red")) == ["▁red"]


def test_text_that_would_merge_with_the_fixed_tokens_is_tokenised_on_its_own() -> None:
    tokenizer = image_tokenizer()
    assert len(tokenizer(" red")["input_ids"]) == 1
    assert continuation(tokenizer, " r", "ed yes no") == tokenizer("ed yes no")["input_ids"]


def test_nothing_continues_with_nothing() -> None:
    assert continuation(image_tokenizer(), "a", "") == []
