"""Which tokens a prompt shares with the one that has demonstrations before it: the query, its answer and the end."""

from __future__ import annotations

from hificl.backbones import Backbone, Encoded
from hificl.backbones.opening import agreement, opening_tokens
from hificl.backbones.prompts import render
from hificl.backbones.rounds import rounds_of
from hificl.data import Example
from hificl.errors import InputError


def query_start(backbone: Backbone, example: Example, encoded: Encoded) -> int:
    """Return how many tokens of a training prompt stand before the query.

    Args:
        backbone: Its prompt form tells what comes first.
        example: The query.
        encoded: The same, encoded with its answer and without demonstrations.

    Returns:
        Index into ``encoded.input_ids``; see :func:`hificl.backbones.opening.opening_tokens`.

    Raises:
        InputError: The tokens of what comes first and of the query merge, so that there is no such place.
    """
    if backbone.prompt.begins_with_a_round:
        return 0
    text = render(backbone.prompt, rounds_of(backbone.prompt, example), backbone.chat(), teaching=True)
    return opening_tokens(backbone, text, encoded.input_ids, encoded.id)


def aligned_tokens(backbone: Backbone, student: Encoded, teacher: Encoded, start: int) -> int:
    """Return how many tokens at the right end both sequences share: query, answer and end marker.

    Args:
        backbone: For the texts of the message.
        student: The example without demonstrations.
        teacher: The same with demonstrations.
        start: Where the query starts in ``student``; see :func:`query_start`.

    Returns:
        Tokens from the query on. Where a tokenizer writes the first word of a text otherwise than the same word
        behind another text (SentencePiece: with a space), that word is left out.

    Raises:
        InputError: Another id differs; the message names the sample and both ids.
    """
    ours, theirs = student.input_ids[start:], teacher.input_ids
    shared = agreement(ours[::-1], theirs[::-1])
    parts = {"answer": (student.answer_ids, teacher.answer_ids)}
    if not _same_text(backbone, ours[: len(ours) - shared], theirs[: len(theirs) - shared]):
        parts = {"query": (ours, theirs[-len(ours) :]), **parts}
    for part, (one, other) in parts.items():
        if one != other:
            raise InputError(
                f"sample {student.id!r}: {_difference(backbone, one, other, part)}, so the states of teacher and "
                "student cannot be compared; train without teacher or use another prompt form."
            )
    return shared + len(student.answer_ids)


def _same_text(backbone: Backbone, ours: list[int], theirs: list[int]) -> bool:
    """Whether the last tokens of ``theirs`` spell, but for white space around it, what all of ``ours`` spell."""
    text = backbone.tokenizer.decode(ours).strip()
    spelt = (backbone.tokenizer.decode(theirs[-count:]).strip() for count in range(1, len(text.encode()) + 1))
    return not text or text in spelt


def _difference(backbone: Backbone, ours: list[int], theirs: list[int], part: str) -> str:
    """Say where two lists of ids first differ, seen from their right end."""
    shared = agreement(ours[::-1], theirs[::-1])
    shown = [
        "nothing" if shared == len(ids) else f"{ids[-shared - 1]} ({backbone.tokenizer.decode([ids[-shared - 1]])!r})"
        for ids in (ours, theirs)
    ]
    place = len(ours) - shared
    return f"token {place} of its {part} is {shown[0]} without demonstrations and {shown[1]} after them"
