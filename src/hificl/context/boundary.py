"""Where demonstrations end and the query begins, in tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hificl.backbones import Backbone, Encoded, encode, encode_context, with_opening
from hificl.data import Example
from hificl.errors import InputError


def context_of(backbone: Backbone, demonstrations: Sequence[Example], query: Example) -> Encoded:
    """Encode what stands before the query of a prompt with demonstrations.

    Args:
        backbone: Processor and prompt form; the opening is written.
        demonstrations: Each with its first answer.
        query: Any example; it shows where its part begins.

    Raises:
        InputError: The tokens of demonstrations and query merge where they meet, or demonstrations are written
            otherwise where no query follows, so that they cannot be captured alone; with both pieces of text.
    """
    written = with_opening(backbone, "written")
    whole = encode(written, query, demonstrations=demonstrations).input_ids
    alone = encode(with_opening(backbone, "in_adapter"), query).input_ids
    context = encode_context(written, demonstrations)
    before = whole[: len(whole) - len(alone)]
    along = any(map(context.runs_along_sequence, context.inputs))
    if whole[len(before) :] != alone or (context.input_ids != before and along):
        shown = [backbone.tokenizer.decode(ids) for ids in (context.input_ids[-8:], before[-8:], alone[:8])]
        raise InputError(
            f"prompt form {backbone.prompt.name!r}: demonstrations that end with {shown[0]!r} alone end with "
            f"{shown[1]!r} before a query, which alone begins with {shown[2]!r}: they cannot be captured without it; "
            "use another prompt form or init='random'."
        )
    return replace(context, input_ids=before)
