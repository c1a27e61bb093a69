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
    shared = agreement(ours[::-1], theirs[::-1])
    shown = [
        "nothing" if shared == len(ids) else f"{ids[-shared - 1]} ({backbone.tokenizer.decode([ids[-shared - 1]])!r})"
        for ids in (ours, theirs)
    ]
    place = len(ours) - shared
    return f"token {place} of its {part} is {shown[0]} without demonstrations and {shown[1]} after them"
