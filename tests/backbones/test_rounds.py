"""From examples to rounds, and what a form must not leave out."""

from __future__ import annotations

import pytest

from hificl.backbones.prompts import PromptForm, Round
from hificl.backbones.rounds import rounds_of
from hificl.data import Example
from hificl.errors import InputError

ASKS = PromptForm(name="asks")
LISTS = PromptForm(name="lists", kind="choice", question="{images}{question} {choices}:")
CAPTIONS = PromptForm(name="captions", kind="caption", question="{images}Caption:")


def example(name: str, question: str, answers: list[str], **meta: object) -> Example:
    return Example(name, [b"x", b"y"], question, answers, meta)


def test_demonstrations_have_their_first_answer_and_the_query_none() -> None:
    shown = [example("d", "what?", ["red", "blue"])]
    assert rounds_of(ASKS, example("q", "where?", ["here"]), shown) == [Round(2, "what?", "red"), Round(2, "where?")]


@pytest.mark.parametrize("choices", [["one", "two"], {"A": "one", "B": "two"}])
def test_choices_are_texts_in_a_list_or_by_letter(choices: object) -> None:
    assert rounds_of(LISTS, example("q", "which?", [], choices=choices)) == [Round(2, "which?", None, ("one", "two"))]


def test_a_form_that_lists_choices_takes_the_question_without_them() -> None:
    meta = {"question": "which?", "choices": {"A": "one", "B": "two"}}
    asked = Example("q", [b"x"], "which? A. one B. two", [], meta)
    assert rounds_of(LISTS, asked)[0].question == "which?"
    assert rounds_of(ASKS, asked)[0].question == "which? A. one B. two"


@pytest.mark.parametrize("choices", ["one, two", 3, [1, 2]])
def test_other_columns_of_that_name_are_no_choices(choices: object) -> None:
    assert rounds_of(ASKS, example("q", "which?", [], choices=choices))[0].choices == ()


@pytest.mark.parametrize(
    "form, asked, said",
    [
        (CAPTIONS, example("q", "where?", []), "'q' asks 'where\\?', and prompt form 'captions' for captions shows no"),
        (ASKS, example("q", "which?", [], choices=["one", "two"]), "with_prompt\\('default', 'choice'\\)"),
        (LISTS, example("q", "which?", [], choices=["x"] * 27), "'q' has 27 choices"),
    ],
)
def test_nothing_is_left_out_in_silence(form: PromptForm, asked: Example, said: str) -> None:
    with pytest.raises(InputError, match=said):
        rounds_of(form, asked)


def test_a_demonstration_needs_an_answer() -> None:
    with pytest.raises(InputError, match="'d' is a demonstration and has no answer"):
        rounds_of(ASKS, example("q", "what?", []), [example("d", "what?", [])])
