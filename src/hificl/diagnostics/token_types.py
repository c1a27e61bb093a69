"""What each token of a prompt is: part of an image, of the question, of the answer, or of what stands around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hificl.backbones import Backbone, Encoded
from hificl.backbones.prompts import render
from hificl.backbones.rounds import rounds_of
from hificl.data import Example
from hificl.errors import InputError

TOKEN_TYPES = ("template", "image", "question", "answer")
"""``template``: begin mark, instruction, system turn, the marks of turns and images, what stands before the answer.
``image``: places of image features. ``question``: the question and its choices, a token that also holds a space before
it included. ``answer``: the answer and its end marker."""

_SPAN = tuple[int, int]


def token_types(backbone: Backbone, example: Example, encoded: Encoded) -> list[str]:
    """Return the type of every token of a prompt without demonstrations and of its answer, names in ``TOKEN_TYPES``.

    Args:
        backbone: Its processor says which token stands for an image.
        example: What was encoded.
        encoded: With its answer.

    Raises:
        InputError: The tokenizer tells no places in the text (a slow one), or the processor wrote other tokens than
            the prompt form has.
    """
    text = render(backbone.prompt, rounds_of(backbone.prompt, example), backbone.chat(), teaching=True)
    asked = rounds_of(backbone.prompt, example)[-1]
    spans = [span for piece in (*asked.choices, asked.question) if (span := _last(text, piece)) is not None]
    places = _image_ids(backbone)
    types = ["image" if token in places else "template" for token in encoded.input_ids]
    for index, (start, end) in _places_in_text(backbone, text, encoded, places):
        if types[index] != "image" and any(start < last and first < end for first, last in spans):
            types[index] = "question"
    return types + ["answer"] * len(encoded.answer_ids)


def _last(text: str, piece: str) -> _SPAN | None:
    start = text.rfind(piece) if piece.strip() else -1
    return None if start < 0 else (start, start + len(piece))


def _image_ids(backbone: Backbone) -> set[int]:
    """The ids that stand for image features, as the processor or the config tells them."""
    if not backbone.takes_images:
        return set()
    told = [getattr(backbone.model.config, name, None) for name in ("image_token_id", "image_token_index")]
    told.append(getattr(backbone.processor, "image_token_id", None))
    mark = getattr(backbone.processor, "image_token", None)
    if isinstance(mark, str):
        told.append(backbone.tokenizer.convert_tokens_to_ids(mark))
    return {int(token) for token in told if token is not None}


def _places_in_text(backbone: Backbone, text: str, encoded: Encoded, images: set[int]) -> Iterator[tuple[int, _SPAN]]:
    """Yield the index of every token that stands in the text too, and its characters there, from the right end.

    The processor may put in begin marks and, for one image mark, many tokens; all of them are special or image tokens.
    """
    tokenizer = backbone.tokenizer
    if not tokenizer.is_fast:
        raise InputError(f"{backbone.name}: its tokenizer tells no places in the text; token types need a fast one.")
    told = tokenizer(text, add_special_tokens=False, truncation=False, return_offsets_mapping=True)
    written: Sequence[int] = told["input_ids"]
    passed = {*images, *tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    left, index = len(written) - 1, len(encoded.input_ids) - 1
    while index >= 0 and left >= 0:
        if encoded.input_ids[index] == written[left]:
            start, end = told["offset_mapping"][left]
            yield index, (int(start), int(end))
            left, index = left - 1, index - 1
        elif encoded.input_ids[index] in passed:
            index -= 1
        elif written[left] in passed:
            left -= 1
        else:
            raise InputError(
                f"sample {encoded.id!r}: token {index} is {encoded.input_ids[index]} where the text of prompt form "
                f"{backbone.prompt.name!r} has {written[left]}, so token types cannot be told; use another prompt form."
            )
