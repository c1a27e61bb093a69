"""How examples become text: one prompt form, as data, for training and for evaluation alike."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from hificl.errors import InputError

ChatRenderer = Callable[[list[dict[str, Any]], bool], str]


@dataclass(frozen=True)
class PromptForm:
    """The text around images, questions and answers.

    A template form writes ``start``, then the instruction, then one round per example; demonstrations are rounds
    with their answer, the query is the last round and stops where the answer begins::

        start + head + question + answer + separator + ... + question

    A chat form writes the same rounds as user and assistant turns through the chat template of the processor; there
    ``question`` holds no ``{images}`` (images come first in their turn), and ``head`` stands before the first question.

    Raises:
        InputError: a template lacks ``{question}``, ``{images}`` (template form) or ``{answer}``.
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
    """One round up to the place where the answer begins, with ``{images}`` and ``{question}``."""

    answer: str = " {answer}"
    """How an answer joins the question, with the leading space that the model would write itself."""

    separator: str = "\n"
    """What follows the answer of a demonstration (template form)."""

    end: str = ""
    """The end marker that training appends to an answer; empty means the end-of-text token of the tokenizer."""

    image: str = "<image>"
    """The mark of one image (template form)."""

    def __post_init__(self) -> None:
        needed = {"question": "{question}", "answer": "{answer}"}
        for field, mark in needed.items():
            if mark not in getattr(self, field):
                raise InputError(f"prompt form {self.name!r}: {field} {getattr(self, field)!r} lacks {mark}; add it.")
        if not self.chat and "{images}" not in self.question:
            raise InputError(
                f"prompt form {self.name!r}: question {self.question!r} lacks {{images}}; add it, "
                "or set chat=True for a model with a chat template."
            )

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON values; ``from_dict`` restores an equal form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PromptForm:
        """Restore a form that ``to_dict`` wrote.

        Raises:
            InputError: an unknown or missing field, named in the message.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise InputError(f"prompt form: unknown field {unknown[0]!r}; known are {', '.join(sorted(known))}.")
        if "name" not in values:
            raise InputError("prompt form: the field 'name' is missing; every stored form carries one.")
        return cls(**values)

    @property
    def hash(self) -> str:
        """Sixteen hex digits that change when any field changes, the same on every machine."""
        text = json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Round:
    """One question with its number of images; ``answer`` is None for the query."""

    images: int
    question: str
    answer: str | None = None


def render(form: PromptForm, rounds: Sequence[Round], chat: ChatRenderer | None = None) -> str:
    """Write the prompt whose last round is the query, up to the place where its answer begins.

    Args:
        form: The prompt form.
        rounds: Demonstrations (with answers) and then the query (without).
        chat: For a chat form, the chat template: messages and ``add_generation_prompt`` to text.

    Raises:
        InputError: ``form`` is a chat form and ``chat`` is None.
    """
    if form.chat:
        if chat is None:
            raise InputError(
                f"prompt form {form.name!r} needs a chat template and this processor has none; "
                "use a template form instead."
            )
        return form.start + chat(_messages(form, rounds), True)
    text = form.start + form.head
    for round_ in rounds:
        text += _fill(form.question, images=form.image * round_.images, question=round_.question)
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
        text = (form.head if index == 0 else "") + _fill(form.question, images="", question=round_.question)
        content = [{"type": "image"}] * round_.images + [{"type": "text", "text": text}]
        messages.append({"role": "user", "content": content})
        if round_.answer is not None:
            answer = _fill(form.answer, answer=round_.answer)
            messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    return messages


def _fill(template: str, **values: str) -> str:
    """Replace the marks in one pass, so that braces inside a question stay as they are."""
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], found[0]), template)
