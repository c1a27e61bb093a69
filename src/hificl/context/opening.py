"""Where the opening of a prompt is: written, or in the pairs that were captured with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hificl.backbones import Backbone, encode, encode_context
from hificl.data import Example
from hificl.errors import InputError


def with_opening(backbone: Backbone, opening: str) -> Backbone:
    """Return the backbone with the opening of its prompts ``"written"`` or ``"in_adapter"``.

    Raises:
        InputError: The instruction stands inside the first turn, behind the images of the query.
    """
    form = backbone.prompt
    if opening == "in_adapter" and form.chat and form.head:
        raise InputError(
            f"prompt form {form.name!r} has its instruction inside the first turn, so that demonstrations and query "
            "cannot be told apart there; use a prompt form without one, such as with_prompt('default')."
        )
    return replace(backbone, prompt=replace(form, opening=opening))


def check_boundary(backbone: Backbone, demonstrations: Sequence[Example], query: Example) -> None:
    """Refuse prompt forms in which the tokens of demonstrations and query merge where they meet.

    Raises:
        InputError: With both pieces of text.
    """
    written = with_opening(backbone, "written")
    whole = encode(written, query, demonstrations=demonstrations).input_ids
    context = encode_context(written, demonstrations).input_ids
    alone = encode(with_opening(backbone, "in_adapter"), query).input_ids
    if whole != [*context, *alone]:
        decode = backbone.tokenizer.decode
        raise InputError(
            f"prompt form {backbone.prompt.name!r}: the tokens of demonstrations ({decode(context[-6:])!r}) and query "
            f"({decode(alone[:6])!r}) merge where they meet; end the separator with a special token or a line break."
        )
