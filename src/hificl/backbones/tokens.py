"""Token ids of a text that continues another one, as the tokenizer itself would write them."""

from __future__ import annotations

from typing import Any


def continuation(tokenizer: Any, before: str, text: str) -> list[int]:
    """Token ids that, appended to those of ``before``, spell ``before + text``.

    Where the two texts do not merge at the seam these are exactly the last tokens of the joint text, so a SentencePiece
    tokenizer gets its leading-space form and a byte-level one the space that stands in ``text``. Where they would merge
    (the tokens of ``before`` are already fixed), ``text`` is tokenised on its own.
    """
    if not text:
        return []
    first = _ids(tokenizer, before)
    joint = _ids(tokenizer, before + text)
    if len(joint) > len(first) and joint[: len(first)] == first:
        return joint[len(first) :]
    return _ids(tokenizer, text)


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False, truncation=False)["input_ids"])
