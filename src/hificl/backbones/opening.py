"""What a prompt holds before its first round: begin mark, instruction, opening of a chat. How many tokens it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hificl.backbones.prompts import PromptForm, Round, chat_seam, render
from hificl.backbones.tokens import continuation
from hificl.errors import InputError

if TYPE_CHECKING:
    from hificl.backbones.backbone import Backbone

_QUESTION, _ANSWER = "Which?", "That."
"""Stand-ins that show where a chat template puts its marks."""


def with_opening(backbone: Backbone, opening: str) -> Backbone:
    """Return the backbone with the opening of its prompts ``"written"`` or ``"in_adapter"``."""
    return replace(backbone, prompt=replace(backbone.prompt, opening=opening))


def lead(form: PromptForm) -> str:
    """Return what is written before a prompt that begins with a round, and cut off again as tokens.

    Behind a demonstration a round follows a separator, and some tokenizers begin a text otherwise than they go on.
    """
    return form.separator if form.begins_with_a_round and not form.chat else ""


def opening_tokens(backbone: Backbone, text: str, ids: Sequence[int], sample: str) -> int:
    """Return how many tokens of a training prompt stand before its first round.

    Args:
        backbone: Its prompt form tells what comes first.
        text: The rendered prompt.
        ids: Its token ids, images expanded.
        sample: Id of the example, for the message.

    Returns:
        Index into ``ids``. Where a chat form has an instruction, which the first turn shows between images and
        question, the round starts at the question.

    Raises:
        InputError: The tokens of what comes first and of the round merge, so that there is no such place.
    """
    form, tokenizer = backbone.prompt, backbone.tokenizer
    head = form.head if form.head_in == "all" and not form.begins_with_a_round else ""
    if form.chat and head:
        cut = text.index(head) + len(head)
        # Images stand before the instruction, and only the processor knows how many tokens each has.
        expected = continuation(tokenizer, text[:cut], text[cut:])
        start = len(ids) - len(expected)
        found = list(ids[start:])
    else:
        before = _opening(backbone, form, text) if form.chat else (lead(form) or form.start + head)
        expected = list(tokenizer(before, add_special_tokens=False, truncation=False)["input_ids"])
        begin = _begin_marks(backbone, text, ids)
        start = begin + len(expected)
        found = list(ids[begin:start])
    if found != expected:
        raise InputError(
            f"sample {sample!r}: the tokens {expected} of prompt form {form.name!r} merge with the query into "
            f"{found}, so that nobody can tell where the query begins; use another prompt form, or neither teacher nor "
            "a start from demonstrations."
        )
    return start


def _begin_marks(backbone: Backbone, text: str, ids: Sequence[int]) -> int:
    """Count the begin mark that the tokenizer puts before a text that has none."""
    tokenizer = backbone.tokenizer
    written = tokenizer.bos_token and text.startswith(tokenizer.bos_token)
    return int(not written and list(ids[:1]) == [tokenizer.bos_token_id])


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
    opening = before[: len(before) - agreement(before[::-1], between[::-1])]
    return text[: agreement(opening, text)]


def agreement(one: Sequence[object], other: Sequence[object]) -> int:
    """Count the first items that are equal."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (left, right) in pairs if left != right), min(len(one), len(other)))
