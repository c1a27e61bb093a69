"""Where demonstrations end and the query begins, in tokens."""

from __future__ import annotations

from collections.abc import Sequence

from hificl.backbones import Backbone, encode, encode_context, with_opening
from hificl.data import Example
from hificl.errors import InputError


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
