"""Stemming for OK-VQA, whose reference answers are stemmed: rules, and words learned from its training answers."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping

from hificl.errors import InputError
from hificl.tasks.benchmarks import fields
from hificl.tasks.benchmarks.json_rows import rows_of_array
from hificl.tasks.benchmarks.ok_vqa import annotations_file
from hificl.tasks.benchmarks.root import Root

IRREGULAR = {
    "buses": "bus",
    "children": "child",
    "feet": "foot",
    "geese": "goose",
    "mice": "mouse",
    "oxen": "ox",
    "people": "person",
    "teeth": "tooth",
    **{f"{stem}ves": f"{stem}f" for stem in ("cal", "hal", "lea", "loa", "shel", "thie", "wol", "scar", "hoo")},
    **{f"{stem}ves": f"{stem}fe" for stem in ("kni", "li", "wi")},
    **{f"{word}s": word for word in ("movie", "cookie", "zombie", "pie", "tie", "brownie", "smoothie", "selfie")},
    **{f"{word}s": word for word in ("shoe", "horseshoe", "toe", "canoe", "hoe")},
    **{f"{word}s": word for word in ("axe", "cache", "ache", "headache", "house", "horse", "nurse", "purse", "vase")},
}
"""Forms that the rules would get wrong."""

# fmt: off
UNCHANGED = frozenset({
    "abdomen", "always", "anything", "as", "bias", "building", "canvas", "ceiling", "christmas",
    "clothing", "does", "during", "evening", "everything", "gas", "goes", "has", "his", "its", "king",
    "lens", "mars", "morning", "news", "nothing", "omen", "pudding", "ramen", "series", "something",
    "specimen", "species", "texas", "thing", "this", "was", "yes",
})
# fmt: on
"""Words that end like a plural or a participle and are none, or that are names of things."""

_VOWELS = re.compile(r"[aeiouy]+")
_SHORT = re.compile(r"^[^aeiou]*[aeiou][^aeiouwxy]$")
_NEEDS_E = re.compile(r"([cvu]|[^z]z|[aeiou]s|dg|[^aeioul]l|[^aeo]at)$")
_DOUBLED = re.compile(r"([bdgmnprt])\1$")


def stem_answer(text: str, words: Mapping[str, str] | None = None) -> str:
    """Stem a prediction as the reference answers of OK-VQA were: plurals to singulars, ``-ing`` to the verb.

    The published procedure needs the tagger and dictionary of a language toolkit, which it downloads when it
    runs. Here rules stand in for both, so some words come out otherwise; words from :func:`learn_stems` take
    precedence over the rules and bring the two together.

    Args:
        text: A prediction. Case is lost, as in scoring.
        words: Stem by word.
    """
    known = words or {}
    return " ".join(known[word] if word in known else stem_word(word) for word in text.lower().split())


def stem_word(word: str) -> str:
    """Stem one word in lower case by rules alone."""
    if word in IRREGULAR:
        return IRREGULAR[word]
    if word in UNCHANGED or not word.isalpha():
        return word
    if word.endswith("ing") and _VOWELS.search(word[:-3]) and len(word) > 4:
        return _verb(word[:-3])
    if word.endswith("men"):
        return f"{word[:-2]}an"
    return _singular(word)


def learn_stems(root: str | os.PathLike[str]) -> dict[str, str]:
    """Learn stems from OK-VQA's training annotations, where each answer stands raw and stemmed.

    Only answers whose two forms have equally many words count; of several stems of a word the most common is
    kept. The validation answers are never looked at.

    Args:
        root: Folder of OK-VQA's official files.

    Returns:
        Stem by word; empty where the training annotations are not there.

    Raises:
        InputError: ``root`` is no folder, or the file or a row of it is wrong.
    """
    path = Root.open(root, None).find(annotations_file("train"))
    if path is None:
        return {}
    rows = rows_of_array(path, "annotations", lambda row: None)
    counts: dict[str, Counter[str]] = {}
    for index in range(len(rows)):
        row = rows.row(index)
        raw = fields.texts(row, "answers", inner=("raw_answer",))
        stemmed = fields.texts(row, "answers", inner=("answer",))
        for before, after in zip(raw, stemmed, strict=True):
            pairs = before.lower().split(), after.lower().split()
            if len(pairs[0]) == len(pairs[1]):
                for word, stem in zip(*pairs, strict=True):
                    counts.setdefault(word, Counter())[stem] += 1
    if not counts:
        raise InputError(f"{path.name}: holds no answer in both forms; fetch version 1.1 of the annotations")
    return {word: min(found, key=lambda stem: (-found[stem], stem)) for word, found in counts.items()}


def _verb(stem: str) -> str:
    """Return the verb of a participle that has lost its ``ing``."""
    if _DOUBLED.search(stem):
        return stem[:-1]
    # A verb of one short syllable doubles its consonant, so where it is single an e was dropped: riding, ride.
    if _SHORT.search(stem) or _NEEDS_E.search(stem):
        return f"{stem}e"
    return stem


def _singular(word: str) -> str:
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    if word.endswith(("ches", "shes", "sses", "xes", "zzes", "oes")):
        return word[:-2]
    return word[:-1]
