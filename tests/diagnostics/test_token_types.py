"""Every token of a prompt has a type: images, question, answer, and what stands around them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hificl.backbones import Backbone, Encoded, PromptForm, encode
from hificl.data import Example
from hificl.diagnostics.token_types import token_types
from hificl.errors import InputError
from training.test_alignment import CHAT, PLAIN

IMAGE_TOKENS = 16


def typed(backbone: Backbone, example: Example) -> tuple[Encoded, dict[str, str]]:
    """The prompt, and the text of its tokens of each type."""
    encoded = encode(backbone, example, answer=example.answers[0])
    types = token_types(backbone, example, encoded)
    ids = [*encoded.input_ids, *encoded.answer_ids]
    assert len(types) == len(ids)
    by_type: dict[str, list[int]] = {}
    for name, token in zip(types, ids, strict=True):
        by_type.setdefault(name, []).append(token)
    return encoded, {name: backbone.tokenizer.decode(found) for name, found in by_type.items()}


def test_a_template_form(backbone: Backbone, examples: list[Example]) -> None:
    form = replace(PLAIN, head="light yellow\n")
    _, found = typed(replace(backbone, prompt=form), examples[8])
    assert found["image"] == "<image>" * IMAGE_TOKENS
    assert found["question"] == f" {examples[8].question}"
    assert found["answer"] == f" {examples[8].answers[0]}\n"
    assert found["template"] == "<s>light yellow\n A:"


def test_a_chat_form(backbone: Backbone, examples: list[Example], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone.processor, "chat_template", CHAT)
    form = PromptForm(name="chat", chat=True, question="{question}")
    _, found = typed(replace(backbone, prompt=form), examples[1])
    assert found["image"] == "<image>" * IMAGE_TOKENS
    assert found["question"].strip() == examples[1].question
    assert "system: be brief" in found["template"]
    assert found["template"].endswith("assistant:")


def test_an_image_behind_the_question(backbone: Backbone, examples: list[Example]) -> None:
    form = replace(PLAIN, question="{question} {images} A:")
    encoded, found = typed(replace(backbone, prompt=form), examples[2])
    assert found["question"].strip() == examples[2].question
    assert found["image"] == "<image>" * IMAGE_TOKENS
    assert encoded.input_ids[-1] != encoded.input_ids[1]


def test_choices_belong_to_the_question(backbone: Backbone) -> None:
    form = replace(PLAIN, question="{images} {question} [{choices}] A:")
    example = Example("c", [], "what color?", ["red"], {"choices": ["red", "light blue"]})
    _, found = typed(replace(backbone, prompt=form), example)
    assert found["question"].replace(" ", "") == "whatcolor?redlightblue"


def test_other_tokens_than_those_of_the_form_are_refused(backbone: Backbone, examples: list[Example]) -> None:
    encoded = encode(backbone, examples[0], answer="red")
    ids = list(encoded.input_ids)
    ids[-2] += 1
    with pytest.raises(InputError, match=f"sample 'q0': token {len(ids) - 2} is {ids[-2]} where"):
        token_types(backbone, examples[0], replace(encoded, input_ids=ids))
