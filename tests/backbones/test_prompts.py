"""Prompt forms: what they render, what they refuse, how they are stored."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from hificl.backbones.embedded import EMBEDDED
from hificl.backbones.prompts import PromptForm, Round, chat_seam, render
from hificl.errors import InputError

FORM = PromptForm(
    name="f",
    start="<s>",
    head="Do it.\n",
    question="{images}Q {question} A:",
    answer=" {answer}",
    separator="#",
    image="@",
)

PUBLISHED = dataclasses.replace(
    FORM, kind="vqa", head_in="evaluation", close="|", cue=">", taught_answer="{answer}", stop_words=("\n", "Q")
)


def chat(messages: list[dict[str, Any]], add_generation_prompt: bool) -> str:
    def show(part: dict[str, str]) -> str:
        return "@" if part["type"] == "image" else part["text"]

    turns = "".join(f"[{one['role']}] {''.join(map(show, one['content']))}<e>" for one in messages)
    return turns + ("[assistant]" if add_generation_prompt else "")


def test_rounds_follow_each_other_and_the_query_stops_where_the_answer_begins() -> None:
    rounds = [Round(2, "one?", "yes"), Round(0, "two?", "no"), Round(1, "three?")]
    assert render(FORM, rounds) == "<s>Do it.\n@@Q one? A: yes#Q two? A: no#@Q three? A:"


def test_embedded_form_is_the_text_that_the_model_was_pretrained_on() -> None:
    rounds = [Round(1, "which?", "red"), Round(1, "what?")]
    assert render(EMBEDDED.prompt, rounds) == "<s><image> which? A: red\n<image> what? A:"


def test_marks_inside_a_question_stay_text() -> None:
    rounds = [Round(1, "{answer} {images} {x}?", "{question}"), Round(1, "q")]
    assert render(FORM, rounds) == "<s>Do it.\n@Q {answer} {images} {x}? A: {question}#@Q q A:"


def test_unknown_marks_of_a_template_stay_text() -> None:
    form = dataclasses.replace(FORM, question="{images}{sic} {question}:")
    assert render(form, [Round(0, "q")]) == "<s>Do it.\n{sic} q:"


def test_chat_form_writes_turns_with_images_first_and_the_head_once() -> None:
    form = PromptForm(name="c", chat=True, head="Do it. ", question="{question}", answer="{answer}")
    rounds = [Round(1, "one?", "yes"), Round(2, "two?")]
    assert render(form, rounds, chat) == "[user] @Do it. one?<e>[assistant] yes<e>[user] @@two?<e>[assistant]"


def test_chat_seam_is_what_the_template_writes_around_an_answer() -> None:
    form = PromptForm(name="c", chat=True, question="{question}", answer="{answer}")
    assert chat_seam(form, chat) == (" ", "<e>")


def test_chat_seam_is_empty_when_an_answered_turn_opens_otherwise() -> None:
    form = PromptForm(name="c", chat=True, question="{question}", answer="{answer}")
    assert chat_seam(form, lambda messages, opens: "think:" if opens else "answer") == ("", "")


def test_chat_form_without_template_is_refused() -> None:
    with pytest.raises(InputError, match="'c' needs a chat template"):
        render(PromptForm(name="c", chat=True), [Round(1, "q")])


@pytest.mark.parametrize(
    "field, value, lacks",
    [("question", "{images} what?", "{question}"), ("question", "{question}", "{images}"), ("answer", "x", "{answer}")],
)
def test_templates_without_their_mark_are_refused(field: str, value: str, lacks: str) -> None:
    with pytest.raises(InputError, match=f"'f': {field} .* lacks {lacks}"):
        dataclasses.replace(FORM, **{field: value})


def test_stored_form_comes_back_equal_with_the_same_hash() -> None:
    again = PromptForm.from_dict(FORM.to_dict())
    assert again == FORM
    assert again.hash == FORM.hash


def test_hash_is_the_same_on_every_machine() -> None:
    """A changed value here means that adapters stored before would warn."""
    assert EMBEDDED.prompt.hash == "c758d5cb5d039962"


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(PromptForm)])
def test_every_field_changes_the_hash(field: str) -> None:
    value = getattr(FORM, field)
    special: dict[str, Any] = {
        "head_in": "frozen",
        "stop_words": ("\n",),
        "taught_answer": "{answer}",
        "opening": "in_adapter",
    }
    changed: Any = special.get(field, not value if isinstance(value, bool) else f"{value}+")
    assert dataclasses.replace(FORM, **{field: changed}).hash != FORM.hash


def test_fields_that_came_later_are_stored_only_where_they_are_set() -> None:
    first = ["name", "chat", "start", "head", "question", "answer", "separator", "end", "image"]
    assert list(FORM.to_dict()) == first
    assert list(PUBLISHED.to_dict()) == [*first, "kind", "head_in", "close", "cue", "taught_answer", "stop_words"]
    assert PromptForm.from_dict(json.loads(json.dumps(PUBLISHED.to_dict()))) == PUBLISHED


def test_training_and_evaluation_differ_where_the_form_says_so() -> None:
    query = [Round(1, "one?")]
    assert render(PUBLISHED, query) == "<s>Do it.\n@Q one? A:|>"
    assert render(PUBLISHED, query, teaching=True) == "<s>@Q one? A:|"
    shown = [Round(1, "one?", "yes"), *query]
    assert render(PUBLISHED, shown, teaching=True) == "<s>Do it.\n@Q one? A: yes#@Q one? A:|"
    assert render(FORM, query, teaching=True) == render(FORM, query)


def test_choices_get_letters() -> None:
    form = dataclasses.replace(FORM, question="{images}{question} ({choices}):")
    assert render(form, [Round(1, "q", choices=("one {x}", "two", "three"))]) == (
        "<s>Do it.\n@q (A. one {x} B. two C. three):"
    )


def test_only_captions_do_without_a_question() -> None:
    assert render(dataclasses.replace(FORM, kind="caption", question="{images} C:"), [Round(1, "")]).endswith("@ C:")


def test_unknown_place_of_the_instruction() -> None:
    with pytest.raises(InputError, match="head_in is 'never'; known are all, evaluation, frozen"):
        dataclasses.replace(FORM, head_in="never")


@pytest.mark.parametrize(
    "values, named",
    [
        ({"name": "x", "qestion": ""}, "'qestion'"),
        ({"chat": True}, "'name'"),
        ({"name": "x", "stop_words": "ab"}, "stop_words is 'ab'"),
    ],
)
def test_unknown_or_missing_fields_are_named(values: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        PromptForm.from_dict(values)
