"""Which tokens a prompt shares with the one that has demonstrations before it: the query, its answer and the end."""

from __future__ import annotations

from collections.abc import Sequence

from hificl.backbones import Backbone, Encoded
from hificl.backbones.prompts import PromptForm, Round, chat_seam, render
from hificl.backbones.rounds import rounds_of
from hificl.backbones.tokens import continuation
from hificl.data import Example
from hificl.errors import InputError

_QUESTION, _ANSWER = "Which?", "That."
"""Stand-ins that show where a chat template puts its marks."""


def query_start(backbone: Backbone, example: Example, encoded: Encoded) -> int:
    """Return how many tokens of a training prompt stand before the query: begin mark, instruction, opening of a chat.

    Args:
        backbone: Its prompt form tells what comes first.
        example: The query.
        encoded: The same, encoded with its answer and without demonstrations.

    Returns:
        Index into ``encoded.input_ids``. Where a chat form has an instruction, which its turn shows between images and
        question, the query starts at the question.

    Raises:
        InputError: The tokens of what comes first and of the query merge, so that there is no such place.
    """
    form, tokenizer = backbone.prompt, backbone.tokenizer
    text = render(form, rounds_of(form, example), backbone.chat(), teaching=True)
    head = form.head if form.head_in == "all" else ""
    if form.chat and head:
        cut = text.index(head) + len(head)
        # Images stand before the instruction, and only the processor knows how many tokens each has.
        expected = continuation(tokenizer, text[:cut], text[cut:])
        start = len(encoded.input_ids) - len(expected)
        found = encoded.input_ids[start:]
    else:
        before = _opening(backbone, form, text) if form.chat else form.start + head
        expected = list(tokenizer(before, add_special_tokens=False, truncation=False)["input_ids"])
        begin = _begin_marks(backbone, text, encoded)
        start = begin + len(expected)
        found = encoded.input_ids[begin:start]
    if found != expected:
        raise InputError(
            f"sample {encoded.id!r}: the tokens {expected} of prompt form {form.name!r} merge with the query into "
            f"{found}, so a teacher's prompt cannot be aligned; train without teacher or use another prompt form."
        )
    return start


def aligned_tokens(backbone: Backbone, student: Encoded, teacher: Encoded, start: int) -> int:
    """Return how many tokens at the right end both sequences share: query, answer and end marker.

    Args:
        backbone: For the texts of the message.
        student: The example without demonstrations.
        teacher: The same with demonstrations.
        start: Where the query starts in ``student``; see :func:`query_start`.

    Raises:
        InputError: An id differs; the message names the sample and both ids.
    """
    query = student.input_ids[start:]
    parts = {
        "query": (query, teacher.input_ids[-len(query) :] if query else []),
        "answer": (student.answer_ids, teacher.answer_ids),
    }
    for part, (ours, theirs) in parts.items():
        if ours != theirs:
            raise InputError(
                f"sample {student.id!r}: {_difference(backbone, ours, theirs, part)}, so the states of teacher and "
                "student cannot be compared; train without teacher or use another prompt form."
            )
    return student.length - start


def _difference(backbone: Backbone, ours: list[int], theirs: list[int], part: str) -> str:
    """Say where two lists of ids first differ, seen from their right end."""
    shared = _agreement(ours[::-1], theirs[::-1])
    shown = [
        "nothing" if shared == len(ids) else f"{ids[-shared - 1]} ({backbone.tokenizer.decode([ids[-shared - 1]])!r})"
        for ids in (ours, theirs)
    ]
    place = len(ours) - shared
    return f"token {place} of its {part} is {shown[0]} without demonstrations and {shown[1]} after them"


def _begin_marks(backbone: Backbone, text: str, encoded: Encoded) -> int:
    """Count the begin mark that the tokenizer puts before a text that has none."""
    tokenizer = backbone.tokenizer
    written = tokenizer.bos_token and text.startswith(tokenizer.bos_token)
    return int(not written and encoded.input_ids[:1] == [tokenizer.bos_token_id])


def _opening(backbone: Backbone, form: PromptForm, text: str) -> str:
    """Return what a chat template writes before the first turn, such as its system message.

    A second turn shows how a turn begins; what is left of the text before the first question is the opening.
    """
    chat = backbone.chat()
    assert chat is not None  # the prompt was rendered with it
    one = render(form, [Round(0, _QUESTION)], chat, teaching=True)
    two = render(form, [Round(0, _QUESTION, _ANSWER), Round(0, _QUESTION)], chat, teaching=True)
    before = one.partition(_QUESTION)[0]
    between = two.rpartition(_ANSWER)[2].partition(_QUESTION)[0].removeprefix(chat_seam(form, chat)[1])
    opening = before[: len(before) - _agreement(before[::-1], between[::-1])]
    return text[: _agreement(opening, text)]


def _agreement(one: Sequence[object], other: Sequence[object]) -> int:
    """Count the first items that are equal."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (left, right) in pairs if left != right), min(len(one), len(other)))
