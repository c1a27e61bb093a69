"""How examples become text: one prompt form, as data, for training and for evaluation alike."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from string import ascii_uppercase
from typing import Any

from hificl.errors import InputError

ChatRenderer = Callable[[list[dict[str, Any]], bool], str]

HEAD_IN = ("all", "evaluation", "frozen")

OPENINGS = ("written", "in_adapter")

_FIRST_FIELDS = 9
"""The first fields, from ``name`` to ``image``, are stored and hashed always."""


@dataclass(frozen=True)
class PromptForm:
    """The text around images, questions and answers.

    A template form writes ``start``, then the instruction, then one round per example; demonstrations are rounds
    with their answer, the query is the last round and stops where the answer begins::

        start + head + question + answer + separator + ... + question

    A chat form writes the same rounds as user and assistant turns through the chat template of the processor; there
    ``question`` holds no ``{images}`` (images come first in their turn), and ``head`` stands before the first question.

    The fields from ``kind`` on came later. They say where a published form renders training and evaluation differently;
    at their defaults they are neither stored nor hashed, so that what older versions stored stays equal.

    Raises:
        InputError: a template lacks ``{question}`` (captions need none), ``{images}`` (template form) or ``{answer}``,
            or ``head_in`` or ``opening`` is unknown.
    """

    name: str
    """Name of the form within its family; "default" is rendered alike in training and evaluation."""

    chat: bool = False
    """Render through the chat template of the processor instead of the templates of this form."""

    start: str = ""
    """Text before everything, such as ``<s>`` where the tokenizer adds none itself (never doubled)."""

    head: str = ""
    """The instruction with its marks; empty for none. It stands once, before the first round."""

    question: str = "{images}Question: {question}\nAnswer:"
    """One round up to the place where the answer begins, with ``{images}``, ``{question}`` and, for multiple choice,
    ``{choices}`` (``A. one B. two``)."""

    answer: str = " {answer}"
    """How an answer joins the question, with the leading space that the model would write itself."""

    separator: str = "\n"
    """What follows the answer of a demonstration (template form)."""

    end: str = ""
    """The end marker that training appends to an answer; empty means the end-of-text token of the tokenizer."""

    image: str = "<image>"
    """The mark of one image (template form)."""

    kind: str = ""
    """Kind of task that the form is for, such as "caption"; empty for questions."""

    head_in: str = "all"
    """Prompts with ``head``: "all"; "evaluation", with training prompts that have demonstrations; or "frozen", those
    without an adapter on the model."""

    close: str = ""
    """What the query has in the place where a demonstration has its answer (template form)."""

    cue: str = ""
    """What follows in evaluation alone, where the answer begins (template form)."""

    taught_answer: str = ""
    """How training joins an answer to the query; empty: as ``answer``."""

    stop_words: tuple[str, ...] | None = None
    """A generated answer is cut at the first of these; None: the stop words of the family."""

    opening: str = "written"
    """Where what stands before the first round is (begin mark, instruction, system turn): "written" in the prompt, or
    "in_adapter", whose pairs were captured with it; prompts then begin with their first round."""

    def __post_init__(self) -> None:
        needed = {"answer": "{answer}"} if self.kind == "caption" else {"question": "{question}", "answer": "{answer}"}
        for field, mark in needed.items():
            if mark not in getattr(self, field):
                raise InputError(f"prompt form {self.name!r}: {field} {getattr(self, field)!r} lacks {mark}; add it.")
        if self.head_in not in HEAD_IN:
            raise InputError(f"prompt form {self.name!r}: head_in is {self.head_in!r}; known are {', '.join(HEAD_IN)}.")
        if self.opening not in OPENINGS:
            known = ", ".join(OPENINGS)
            raise InputError(f"prompt form {self.name!r}: opening is {self.opening!r}; known are {known}.")
        if not self.chat and "{images}" not in self.question:
            raise InputError(
                f"prompt form {self.name!r}: question {self.question!r} lacks {{images}}; add it, "
                "or set chat=True for a model with a chat template."
            )

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values, later ones only where they are set; ``from_dict`` restores an equal form."""
        values = asdict(self)
        for field in fields(self)[_FIRST_FIELDS:]:
            if values[field.name] == field.default:
                del values[field.name]
        if self.stop_words is not None:
            values["stop_words"] = list(self.stop_words)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PromptForm:
        """Restore a form that ``to_dict`` wrote.

        Raises:
            InputError: an unknown or missing field, or one of another type, named in the message.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise InputError(f"prompt form: unknown field {unknown[0]!r}; known are {', '.join(sorted(known))}.")
        if "name" not in values:
            raise InputError("prompt form: the field 'name' is missing; every stored form carries one.")
        for field, value in values.items():
            wanted = bool if field == "chat" else str
            if field != "stop_words" and not isinstance(value, wanted):
                kind = "true or false" if wanted is bool else "a text"
                raise InputError(f"prompt form {values['name']!r}: {field} is {value!r}; it must be {kind}.")
        words = values.get("stop_words")
        if not (words is None or (isinstance(words, list) and all(isinstance(word, str) for word in words))):
            raise InputError(f"prompt form {values['name']!r}: stop_words is {words!r}; it must be a list of texts.")
        return cls(**{**values, "stop_words": None if words is None else tuple(words)})

    @property
    def begins_with_a_round(self) -> bool:
        """Whether prompts hold no opening."""
        return self.opening == "in_adapter"

    @property
    def hash(self) -> str:
        """Sixteen hex digits that change when any field changes, the same on every machine."""
        text = json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Round:
    """One question with its number of images; ``answer`` is None for the query, ``choices`` are those it lists."""

    images: int
    question: str
    answer: str | None = None
    choices: tuple[str, ...] = ()


def render(
    form: PromptForm, rounds: Sequence[Round], chat: ChatRenderer | None = None, *, teaching: bool = False
) -> str:
    """Write the prompt whose last round is the query, up to the place where its answer begins.

    Args:
        form: The prompt form.
        rounds: Demonstrations (with answers) and then the query (without).
        chat: For a chat form, the chat template: messages and ``add_generation_prompt`` to text.
        teaching: Write the prompt of training; only published forms tell it from that of evaluation.

    Raises:
        InputError: ``form`` is a chat form and ``chat`` is None.
    """
    if (teaching and form.head_in != "all" and len(rounds) == 1) or form.begins_with_a_round:
        form = replace(form, head="", start="" if form.begins_with_a_round else form.start)
    if form.chat:
        if chat is None:
            raise InputError(
                f"prompt form {form.name!r} needs a chat template and this processor has none; "
                "use a template form instead."
            )
        return form.start + chat(_messages(form, rounds), True)
    return form.start + form.head + _rounds(form, rounds) + form.close + ("" if teaching else form.cue)


def render_context(form: PromptForm, rounds: Sequence[Round], chat: ChatRenderer | None = None) -> str:
    """Write what stands before the query: the opening and the demonstrations, up to where the query's round begins.

    Args:
        form: The prompt form, with its opening.
        rounds: Demonstrations, with answers; at least one.
        chat: As for :func:`render`.
    """
    if form.chat:
        assert chat is not None  # render has been asked before
        return form.start + chat(_messages(form, rounds), False)
    return form.start + form.head + _rounds(form, rounds)


def _rounds(form: PromptForm, rounds: Sequence[Round]) -> str:
    text = ""
    for round_ in rounds:
        text += _fill(form.question, **_question_values(round_), images=form.image * round_.images)
        if round_.answer is not None:
            text += _fill(form.answer, answer=round_.answer) + form.separator
    return text


def chat_seam(form: PromptForm, chat: ChatRenderer) -> tuple[str, str]:
    """What the chat template writes between the prompt and an answer (white space at most), and after the answer.

    Both are ``""`` where the template writes an answered turn otherwise than it opens one.
    """
    probe = "answer"
    prompt = form.start + chat(_messages(form, [Round(0, "question")]), True)
    answered = form.start + chat(_messages(form, [Round(0, "question", probe)]), False)
    if not answered.startswith(prompt):
        return "", ""
    join, _, after = answered[len(prompt) :].partition(_fill(form.answer, answer=probe))
    return (join, after) if not join.strip() else ("", "")


def _messages(form: PromptForm, rounds: Sequence[Round]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for index, round_ in enumerate(rounds):
        text = (form.head if index == 0 else "") + _fill(form.question, **_question_values(round_), images="")
        content = [{"type": "image"}] * round_.images + [{"type": "text", "text": text}]
        messages.append({"role": "user", "content": content})
        if round_.answer is not None:
            answer = _fill(form.answer, answer=round_.answer)
            messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    return messages


def _question_values(round_: Round) -> dict[str, str]:
    choices = " ".join(f"{letter}. {choice}" for letter, choice in zip(ascii_uppercase, round_.choices, strict=False))
    return {"question": round_.question, "choices": choices}


def _fill(template: str, **values: str) -> str:
    """Replace the marks in one pass, so that braces inside a question stay as they are."""
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], found[0]), template)
