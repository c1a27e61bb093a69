"""What a prompt holds before its first round: begin mark, instruction, opening of a chat. How many tokens it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hificl.backbones.prompts import Round, chat_seam, render, render_context
from hificl.backbones.tokens import continuation
from hificl.errors import InputError

if TYPE_CHECKING:
    from hificl.backbones.backbone import Backbone

_QUESTION, _ANSWER = "Which?", "That"
"""Stand-ins that show where a chat template puts its marks. The answer ends with a letter: a full stop may merge with a
line break behind it."""


def with_opening(backbone: Backbone, opening: str) -> Backbone:
    """Return the backbone with the opening of its prompts ``"written"`` or ``"in_adapter"``."""
    return replace(backbone, prompt=replace(backbone.prompt, opening=opening))


def behind_a_round(backbone: Backbone, text: str) -> tuple[str, str]:
    """Return a stand-in demonstration with whatever opens the prompt, and the first round of ``text``, to follow it.

    Some tokenizers begin a text otherwise than they go on, and the pairs of an adapter that holds the opening are those
    of demonstrations: its prompts are written behind one, which is cut off again as tokens (``round_start``).

    Args:
        backbone: In a prompt form that begins with a round.
        text: The rendered prompt.
    """
    form, chat = backbone.prompt, backbone.chat()
    if form.chat:
        opening, behind = _openings(backbone)
        return behind, text[agreement(opening, text) :]
    return render_context(replace(form, start="", head=""), [Round(0, _QUESTION, _ANSWER)], chat), text


def round_start(backbone: Backbone, behind: str, ids: Sequence[int], sample: str) -> int:
    """Return how many tokens of a prompt stand before its last round.

    Args:
        backbone: For its tokenizer.
        behind: What stands before that round; see :func:`behind_a_round`.
        ids: Token ids of the prompt, images expanded.
        sample: Id of the example, for the message.

    Returns:
        Index into ``ids``. White space that merges with the first word of the round belongs to the round.

    Raises:
        InputError: More than white space merges, so that there is no such place.
    """
    expected = _beginning(backbone, behind, ids)
    start = agreement(expected, ids)
    if backbone.tokenizer.decode(expected[start:]).strip():
        raise InputError(_merges(backbone, sample, expected[start:], ids[start : len(expected)]))
    return start


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
    head = form.head if form.head_in == "all" else ""
    if form.chat and head:
        cut = text.index(head) + len(head)
        # Images stand before the instruction, and only the processor knows how many tokens each has.
        expected = continuation(tokenizer, text[:cut], text[cut:])
        start = len(ids) - len(expected)
        found = list(ids[start:])
    else:
        before = text[: agreement(_openings(backbone)[0], text)] if form.chat else form.start + head
        expected = _beginning(backbone, before, ids)
        start = len(expected)
        found = list(ids[:start])
    if found != expected:
        raise InputError(_merges(backbone, sample, expected, found))
    return start


def _beginning(backbone: Backbone, text: str, ids: Sequence[int]) -> list[int]:
    """Return the token ids of the first characters of a prompt, with the begin mark where its ids have one."""
    tokenizer = backbone.tokenizer
    mark = tokenizer.bos_token or ""
    added = bool(mark) and not text.startswith(mark) and list(ids[:1]) == [tokenizer.bos_token_id]
    # An interleaving processor writes the mark as text, behind which some tokenizers go on otherwise than they begin.
    written = mark if added and backbone.family.interleaved else ""
    found = list(tokenizer(written + text, add_special_tokens=False, truncation=False)["input_ids"])
    return [tokenizer.bos_token_id, *found] if added and not written else found


def _merges(backbone: Backbone, sample: str, expected: Sequence[int], found: Sequence[int]) -> str:
    return (
        f"sample {sample!r}: the tokens {list(expected)} of prompt form {backbone.prompt.name!r} merge with the query "
        f"into {list(found)}, so that nobody can tell where the query begins; use another prompt form, or neither "
        "teacher nor a start from demonstrations."
    )


def _openings(backbone: Backbone) -> tuple[str, str]:
    """Return what a chat template writes before the first turn, such as its system message, and before a second one.

    The second turn shows how a turn begins; what is left of the text before the first question is the opening.
    """
    form, chat = backbone.prompt, backbone.chat()
    assert chat is not None  # the prompt was rendered with it
    one = render(form, [Round(0, _QUESTION)], chat, teaching=True)
    two = render(form, [Round(0, _QUESTION, _ANSWER), Round(0, _QUESTION)], chat, teaching=True)
    before = one.partition(_QUESTION)[0]
    answered = two.rindex(_ANSWER) + len(_ANSWER)
    between = two[answered:].partition(_QUESTION)[0]
    shared = agreement(before[::-1], between.removeprefix(chat_seam(form, chat)[1])[::-1])
    return before[: len(before) - shared], two[: answered + len(between) - shared]


def agreement(one: Sequence[object], other: Sequence[object]) -> int:
    """Count the first items that are equal."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (left, right) in pairs if left != right), min(len(one), len(other)))
