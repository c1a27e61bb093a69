"""From examples to the rounds of a prompt, refusing what its form would leave out. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import ascii_uppercase

from hificl.backbones.prompts import PromptForm, Round
from hificl.data import Example
from hificl.errors import InputError


def rounds_of(form: PromptForm, example: Example, demonstrations: Sequence[Example] = ()) -> list[Round]:
    """The demonstrations, each with its first answer, and the query.

    The choices of an example stand in ``meta["choices"]``: texts in a list, or by letter. A form that shows choices by
    itself takes ``meta["question"]``, the question without them, where there is one.

    Raises:
        InputError: A demonstration without answer, too many choices, or a question or choices that the form does not
            show. The message names the sample.
    """
    return [*(_round(form, one, _first_answer(one)) for one in demonstrations), _round(form, example, None)]


def _round(form: PromptForm, example: Example, answer: str | None) -> Round:
    question, choices = example.question, _choices(example)
    if choices and "{choices}" in form.question:
        question = str(example.meta.get("question", question))
    round_ = Round(len(example.images), question, answer, choices)
    _refuse_hidden(form, example, round_)
    return round_


def _first_answer(demonstration: Example) -> str:
    if not demonstration.answers or not demonstration.answers[0].strip():
        raise InputError(
            f"sample {demonstration.id!r} is a demonstration and has no answer; give it one or leave it out."
        )
    return demonstration.answers[0]


def _choices(example: Example) -> tuple[str, ...]:
    found = example.meta.get("choices")
    if isinstance(found, Mapping):
        found = list(found.values())
    if not isinstance(found, list | tuple) or not all(isinstance(choice, str) for choice in found):
        return ()
    if len(found) > len(ascii_uppercase):
        raise InputError(f"sample {example.id!r} has {len(found)} choices; more than letters, leave some out.")
    return tuple(found)


def _refuse_hidden(form: PromptForm, example: Example, round_: Round) -> None:
    """Nobody can answer a question that the prompt leaves out."""
    if round_.question.strip() and "{question}" not in form.question:
        raise InputError(
            f"sample {example.id!r} asks {round_.question!r}, and prompt form {form.name!r} for captions shows no "
            "question; use the form of another kind of task, or leave the question empty."
        )
    shown = all(choice in round_.question for choice in round_.choices)
    if not shown and "{choices}" not in form.question:
        raise InputError(
            f"sample {example.id!r} has choices in meta, and prompt form {form.name!r} shows none; use the form "
            "for multiple choice, backbone.with_prompt('default', 'choice'), or rename the column."
        )
