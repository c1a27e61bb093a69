"""Which group of Unicode's an emoji belongs to, asked by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from hificl.data import Example
from hificl.errors import InputError
from hificl.tasks.fetch import read_json
from hificl.tasks.split import split
from hificl.tasks.task import TaskData, text_task
from hificl.tasks.words import is_query_word

PACKAGE = "emojibase-data"
SUPPORT_SIZE, QUERY_SIZE = 300, 200

GROUPS: Mapping[int, str] = MappingProxyType(
    {0: "smileys", 1: "people", 3: "nature", 4: "food", 5: "travel", 6: "activities", 7: "objects", 8: "symbols"}
)
"""Unicode's groups by their numbers, in one word each; without its components and flags, whose names tell."""

_WHO = re.compile(r"^((people|person|men|women|man|woman|boy|girl|with)\b[: ]*)+", re.IGNORECASE)


def load(*, support_size: int = SUPPORT_SIZE, query_size: int = QUERY_SIZE, seed: int = 0) -> TaskData:
    """Select the fixed support and query sets.

    Args:
        support_size: Number of questions to learn from.
        query_size: Number of questions to score.
        seed: Seed of both orders; 0 is the fixed split. Names with the same first three letters are on the same side
            under every seed, whoever does it: "woman dancing" counts as "dancing".

    Returns:
        Examples without images, with ids such as ``emoji_groups/1F3B0``, one of eight answers, and ``meta["group"]``.

    Raises:
        InputError: The package has not been fetched or holds something else, or a size is out of range.
    """
    try:
        entries = [
            (str(entry["hexcode"]), str(entry["label"]), GROUPS[entry["group"]])
            for entry in read_json("emoji_groups", PACKAGE, "package/en/data.json")
            if entry.get("group") in GROUPS
        ]
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(
            f"emoji_groups: {PACKAGE} has other fields than its pinned release ({type(error).__name__}: {error}); "
            "delete it from the cache. Run: hificl data fetch emoji_groups"
        ) from error
    sides = {code: is_query_word(_WHO.sub("", label)) for code, label, _ in entries}
    examples = [
        Example(
            f"emoji_groups/{code}", [], f"Which group does the emoji '{label}' belong to?", [group], {"group": group}
        )
        for code, label, group in entries
    ]
    return split(
        "emoji_groups", examples, lambda example: sides[example.id.split("/")[1]], support_size=support_size,
        query_size=query_size, seed=seed,
    )  # fmt: skip


EMOJI_GROUPS = text_task(
    "emoji_groups", "which of Unicode's groups an emoji belongs to, by its name", load,
    license="MIT; names: Unicode-3.0",
    source="npm package emojibase-data (release 17.0.0)", support_size=SUPPORT_SIZE, query_size=QUERY_SIZE,
)  # fmt: skip
