"""Which objects a text names, by a table of phrases: the longest known phrase wins."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from hificl.errors import InputError

_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
POSSESSIVE = re.compile(r"['\u2019]s?\b")


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case, without possessive endings; hyphens join."""
    return _WORD.findall(POSSESSIVE.sub("", text.lower()))


def longest_phrases(words: Sequence[str], phrases: Mapping[str, str], longest: int) -> list[str]:
    """Return the known phrases of a text from left to right, each as long as possible; none overlaps another.

    Args:
        words: Those of the text.
        phrases: The known ones; a single word with hyphens is also looked up with spaces.
        longest: Most words of a known phrase.
    """
    found: list[str] = []
    start = 0
    while start < len(words):
        for length in range(min(longest, len(words) - start), 0, -1):
            phrase = " ".join(words[start : start + length])
            if phrase in phrases or (length == 1 and (phrase := phrase.replace("-", " ")) in phrases):
                found.append(phrase)
                break
        start += length
    return found


class Vocabulary:
    """The objects of a task, with the phrases that name them.

    Args:
        objects: Phrase to the name of its object. Phrases are compared in lower case, word by word.

    Raises:
        InputError: There is no phrase, or one has no word.
    """

    def __init__(self, objects: Mapping[str, str]) -> None:
        self.phrases: dict[str, str] = {}
        for phrase, name in objects.items():
            words = words_of(phrase)
            if not words:
                raise InputError(f"vocabulary: the phrase {phrase!r} of {name!r} has no word; leave it out.")
            self.phrases[" ".join(words)] = name
        if not self.phrases:
            raise InputError("vocabulary: no phrase was given; give at least one.")
        self.names = frozenset(self.phrases.values())
        self.longest = max(len(phrase.split()) for phrase in self.phrases)

    def mentions(self, text: str) -> list[str]:
        """Name the objects that a caption mentions, once per mention: the longest known phrase wins."""
        return [self.phrases[phrase] for phrase in longest_phrases(words_of(text), self.phrases, self.longest)]

    def named_anywhere(self, texts: Iterable[str]) -> set[str]:
        """Name every object of which a phrase stands in a text, inside of a longer phrase too."""
        found = set()
        for text in texts:
            words = words_of(text)
            for start in range(len(words)):
                for end in range(start + 1, min(len(words), start + self.longest) + 1):
                    name = self.phrases.get(" ".join(words[start:end]))
                    found |= set() if name is None else {name}
        return found
