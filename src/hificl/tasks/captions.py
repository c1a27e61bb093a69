"""Short captions of emoji drawings, each with several names of the emoji as references; split by concept."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from hificl.data import Example
from hificl.errors import InputError
from hificl.tasks.fetch import package_file, read_files, read_json
from hificl.tasks.split import split
from hificl.tasks.task import Task, TaskData

QUESTION = "caption?"
"""The question of every example; pretraining asks for names in other words."""

SUPPORT_SIZE, QUERY_SIZE = 300, 200
FEWEST_REFERENCES = 3
MOST_NAMES, MOST_KEYWORDS = 3, 3

ONE_QUERY_IN = 5
"""One concept in so many has its Noto drawings among the queries."""

DRAWINGS, NAMES = "emoji-datasource-google", "emojibase-data"
SHORTCODES = ("github", "joypixels", "emojibase")
"""Vendors whose codes, such as ``:slot_machine:``, are names as well."""

LEFT_OUT = ("Component", "Flags")
"""Categories that are no pictures of a thing: skin tones; flags are a task of their own."""

_SKIN_TONES = frozenset({"1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"})
# The variation selector and the skin tones change how a concept is drawn, not which concept it is.
_NOT_THE_CONCEPT = _SKIN_TONES | {"FE0F"}


def is_query_concept(unified: str) -> bool:
    """Say whether the Noto drawings of an emoji are queries of this task, so that pretraining must not show them.

    About one concept in five is chosen, by a checksum of its code points. Lower case, the variation selector
    and skin tones do not matter: all drawings of one concept are on the same side.

    Args:
        unified: Code points in hexadecimal with ``-`` between them, such as ``"1F468-200D-1F373"``.
    """
    return zlib.crc32(f"caption {_concept(unified)}".encode()) % ONE_QUERY_IN == 0


def load(*, support_size: int = SUPPORT_SIZE, query_size: int = QUERY_SIZE, seed: int = 0) -> TaskData:
    """Select the fixed support and query sets: Noto drawings of 64 x 64 pixels with their names as captions.

    No concept is in both sets (:func:`is_query_concept`), though relatives may be: a man and a woman of the same
    profession are two concepts. No drawing is either: what is drawn to the byte like a concept that is no query (two
    men with a boy, like any family) is left out. The order is a seeded hash of the ids: the same in every process, and
    a smaller set is the beginning of a larger one.

    Args:
        support_size: Number of drawings to learn from.
        query_size: Number of drawings to score.
        seed: Seed of both orders; 0 is the fixed split.

    Returns:
        Examples with ids such as ``captions/1F3B0``, the question :data:`QUESTION` and three to five references.
        The first, which is the training target, is the emoji's name in the Unicode CLDR; then follow up to two other
        names (the Unicode character's, the vendors' codes in words) and, where the emoji has keywords beyond its
        name, the name with the three most common of them behind it and these alone. All are lower case, letters and
        digits; emoji with fewer than three captions are left out. As the references of an emoji differ, answering
        the first of every query of the fixed split scores a CIDEr-D of 2.57, and a constant caption next to 0.
        ``meta`` holds ``category``.

    Raises:
        InputError: The packages have not been fetched or hold other data, or a size is out of range.
    """
    try:
        examples = [example for example, _ in _drawings()]
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(
            f"captions: {DRAWINGS} or {NAMES} has other fields than its pinned release "
            f"({type(error).__name__}: {error}); delete both from the cache. Run: hificl data fetch captions"
        ) from error
    return split(
        "captions", examples, lambda example: is_query_concept(example.id.split("/")[1]), support_size=support_size,
        query_size=query_size, seed=seed,
    )  # fmt: skip


def object_names() -> dict[str, str]:
    """Return the objects of all drawings, support and queries alike: every name of an emoji, to its first one.

    For :func:`hificl.metrics.chair`. A name of several emoji stands for the first that has it, unless it is the first
    name of another; both captions and references are read with the same table, so that this changes no mention into an
    invented one.

    Raises:
        InputError: As for :func:`load`.
    """
    return dict(_object_names(package_file("captions", DRAWINGS), package_file("captions", NAMES)))


@lru_cache(maxsize=1)
def _object_names(*_files: Path) -> dict[str, str]:
    """Read :func:`object_names` from packages that lie there; every scoring asks, and unpacking takes seconds."""
    all_names = [[name for name in names if name] for _, names in _drawings()]
    found: dict[str, str] = {}
    for names in all_names:
        for name in names:
            found.setdefault(name, names[0])
    return found | {names[0]: names[0] for names in all_names if names}


def _drawings() -> list[tuple[Example, list[str]]]:
    """Every drawing with enough references, and the names of its emoji, the training target first."""
    entries = read_json("captions", DRAWINGS, "package/emoji.json")
    names = {_concept(one["hexcode"]): one for one in read_json("captions", NAMES, "package/en/data.json")}
    codes = _shortcodes()
    common = Counter(keyword for one in names.values() for keyword in set(one.get("tags", [])))
    drawings = read_files("captions", DRAWINGS, "package/img/google/64/")
    seen = {drawings.get(entry["image"]) for entry in entries if not is_query_concept(entry["unified"])}
    found = []
    for entry in entries:
        concept = _concept(entry["unified"])
        if entry["category"] in LEFT_OUT or concept not in names or entry["image"] not in drawings:
            continue
        if is_query_concept(entry["unified"]) and drawings[entry["image"]] in seen:
            continue
        others = [entry["name"], *entry["short_names"], *codes.get(concept, [])]
        # A keyword of many emoji describes ("animal"); a rare one is more often slang.
        keywords = sorted(names[concept].get("tags", []), key=lambda keyword: (-common[keyword], keyword))
        answers = references(names[concept]["label"], others, keywords)
        if len(answers) >= FEWEST_REFERENCES:
            images, meta = [drawings[entry["image"]]], {"category": entry["category"]}
            example = Example(f"captions/{concept}", images, QUESTION, answers, meta)
            found.append((example, plain_names(names[concept]["label"], others)))
    return found


def references(label: str, others: Sequence[str], keywords: Sequence[str]) -> list[str]:
    """Return the captions of one emoji in plain words, its label first, none twice; see :func:`load`.

    Args:
        label: The name that is the training target.
        others: Further names, the first ones are taken.
        keywords: What else describes it, the best first; those that say no more than the label are passed over.
    """
    found = plain_names(label, others)
    label, keywords = _plain(label), _without_codes(label, keywords)
    beyond = [text for text in keywords if not set(text.split()) <= set(label.split())]
    if beyond:
        described = " ".join(beyond[:MOST_KEYWORDS])
        found += [f"{label} {described}", described]
    return [caption for caption in dict.fromkeys(found) if caption]


def plain_names(label: str, others: Sequence[str]) -> list[str]:
    """Return the first names of one emoji in plain words, its label first, none twice."""
    return list(dict.fromkeys([_plain(label), *_without_codes(label, others)]))[:MOST_NAMES]


def _without_codes(label: str, texts: Sequence[str]) -> list[str]:
    """Bring names or keywords into plain words; with numbers only where the label has one.

    Elsewhere a number only tells one code from another ("whale2") or is slang ("143").
    """
    plain = [_plain(text) for text in texts]
    return plain if re.search("[0-9]", _plain(label)) else [text for text in plain if not re.search("[0-9]", text)]


def _plain(text: str) -> str:
    """Lower-case letters and digits of ASCII, words apart by single spaces; apostrophes join."""
    letters = unicodedata.normalize("NFKD", re.sub("['\u2019]", "", text.lower()))
    return " ".join(re.findall("[a-z0-9]+", "".join(one for one in letters if not unicodedata.combining(one))))


def _concept(unified: str) -> str:
    points = unified.upper().split("-")
    return "-".join(point for point in points if point not in _NOT_THE_CONCEPT) or unified.upper()


def _shortcodes() -> dict[str, list[str]]:
    """The vendors' names of every concept, in the order of the vendors."""
    found: dict[str, list[str]] = {}
    for vendor in SHORTCODES:
        for code, names in read_json("captions", NAMES, f"package/en/shortcodes/{vendor}.json").items():
            if not _SKIN_TONES & set(code.split("-")):
                found.setdefault(_concept(code), []).extend([names] if isinstance(names, str) else names)
    return found


CAPTIONS = Task(
    name="captions",
    description="Short captions of emoji drawings with three to five references each, split by emoji",
    license="drawings: Apache-2.0 (Noto Emoji); names: MIT and Unicode-3.0",
    source="npm package emoji-datasource-google (release 16.0.0), npm package emojibase-data (release 17.0.0)",
    metric="cider_d",
    load=load,
    support_size=SUPPORT_SIZE,
    query_size=QUERY_SIZE,
    origin="fetch",
    kind="caption",
)
