"""From example to token ids: one prompt for training and evaluation, the answer appended as ids."""

from __future__ import annotations

import copy
import dataclasses

import pytest
from PIL import Image
from tokenizers.processors import TemplateProcessing

from hificl.backbones import Backbone, check_context, encode
from hificl.data import Example
from hificl.errors import InputError


def text_of(backbone: Backbone, ids: list[int]) -> str:
    return str(backbone.tokenizer.decode(ids))


def test_prompt_with_demonstrations_is_rendered_and_images_are_expanded(
    backbone: Backbone, examples: list[Example]
) -> None:
    encoded = encode(backbone, examples[0], demonstrations=[examples[3], examples[1]])
    image = "<image>" * 16
    assert text_of(backbone, encoded.input_ids) == (
        f"<s>{image}{image} what color is the shape shape shape shape? A: black\n"
        f"{image} what color is the shape shape? A: blue\n"
        f"{image} what color is the shape? A:"
    )
    assert encoded.inputs["pixel_values"].shape == (4, 3, 64, 64)
    assert encoded.id == "q0"


def test_answer_leaves_the_prompt_as_it_is_and_ends_with_the_end_marker(
    backbone: Backbone, examples: list[Example]
) -> None:
    asked = encode(backbone, examples[2])
    taught = encode(backbone, examples[2], answer="light blue")
    assert asked.answer_ids == []
    assert taught.input_ids == asked.input_ids
    assert [text_of(backbone, [token]) for token in taught.answer_ids] == [" light", " blue", "\n"]


def test_taught_tokens_are_those_of_a_demonstration(backbone: Backbone, examples: list[Example]) -> None:
    taught = encode(backbone, examples[0], answer=examples[0].answers[0])
    shown = encode(backbone, examples[1], demonstrations=[examples[0]])
    assert shown.input_ids[: taught.length] == taught.input_ids + taught.answer_ids


def test_chat_answer_is_the_one_of_an_answered_turn(chat_backbone: Backbone, examples: list[Example]) -> None:
    taught = encode(chat_backbone, examples[0], answer="red")
    shown = encode(chat_backbone, examples[1], demonstrations=[examples[0]])
    assert shown.input_ids[: taught.length] == taught.input_ids + taught.answer_ids
    assert text_of(chat_backbone, taught.answer_ids) == " red<|end|>"


def test_end_marker_stays_its_own_token_after_punctuation(backbone: Backbone, examples: list[Example]) -> None:
    assert tuple(encode(backbone, examples[0], answer="yes.").answer_ids[-1:]) == backbone.end_ids


@pytest.mark.parametrize("start", ["", "<s>"])
def test_begin_mark_is_written_once(text_backbone: Backbone, text_examples: list[Example], start: str) -> None:
    """Whether the tokenizer adds it by itself or the prompt form brings it."""
    tokenizer = copy.deepcopy(text_backbone.tokenizer)
    begin = tokenizer.bos_token_id
    tokenizer._tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", begin)])
    prompt = dataclasses.replace(text_backbone.prompt, start=start)
    ids = encode(dataclasses.replace(text_backbone, processor=tokenizer, prompt=prompt), text_examples[0]).input_ids
    assert ids[0] == begin
    assert ids.count(begin) == 1


def test_only_first_answers_are_shown_and_those_of_the_query_never(backbone: Backbone, examples: list[Example]) -> None:
    demonstration = dataclasses.replace(examples[1], answers=["circle", "yes"])
    query = dataclasses.replace(examples[0], answers=["teal"])
    text = text_of(backbone, encode(backbone, query, demonstrations=[demonstration]).input_ids)
    assert "circle" in text
    assert "yes" not in text
    assert "teal" not in text


def test_images_for_a_text_model(text_backbone: Backbone, examples: list[Example]) -> None:
    with pytest.raises(InputError, match="sample 'q4' has images and .* reads text only"):
        encode(text_backbone, examples[4])


def test_unreadable_image_names_sample_and_place(backbone: Backbone) -> None:
    bad = Example(id="odd", images=[Image.new("RGB", (9, 9)), b"no image"], question="q", answers=["a"])
    with pytest.raises(InputError, match="sample 'odd', image 2"):
        encode(backbone, bad)


@pytest.mark.parametrize("where", ["question", "answer"])
def test_image_mark_inside_a_text(backbone: Backbone, examples: list[Example], where: str) -> None:
    changes = {"question": {"question": "what <image>?"}, "answer": {"answers": ["<image>"]}}[where]
    bad = dataclasses.replace(examples[1], id="odd", **changes)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="sample 'odd': the text '.*' contains the image mark '<image>'"):
        encode(backbone, examples[0], demonstrations=[bad])


def test_demonstration_without_answer(backbone: Backbone, examples: list[Example]) -> None:
    bad = dataclasses.replace(examples[1], answers=[])
    with pytest.raises(InputError, match="sample 'q1' is a demonstration and has no answer"):
        encode(backbone, examples[0], demonstrations=[bad])


@pytest.mark.parametrize("answer", ["", " \n", "<pad>"])
def test_answer_that_tokenises_to_nothing(backbone: Backbone, examples: list[Example], answer: str) -> None:
    with pytest.raises(InputError, match="sample 'q5': the answer '.*' tokenises to nothing"):
        encode(backbone, examples[5], answer=answer)


def test_prompt_longer_than_the_context(backbone: Backbone, examples: list[Example]) -> None:
    long = dataclasses.replace(examples[6], question="what? " * 300)
    length = len(backbone.tokenizer("what? " * 300)["input_ids"])
    with pytest.raises(InputError, match=r"sample 'q6': the sequence has (\d+) tokens .* holds 311; shorten") as caught:
        encode(backbone, long)
    assert str(length // 100) in str(caught.value)


def test_too_many_shots_are_the_remedy_named(backbone: Backbone, examples: list[Example]) -> None:
    shown = [dataclasses.replace(examples[1], question="what? " * 40)] * 5
    with pytest.raises(InputError, match="use fewer than 5 shots"):
        encode(backbone, examples[0], demonstrations=shown)


def test_context_may_be_filled_to_its_last_token(backbone: Backbone) -> None:
    check_context(backbone, 311, "q")
    with pytest.raises(InputError, match="312 tokens"):
        check_context(backbone, 312, "q")
