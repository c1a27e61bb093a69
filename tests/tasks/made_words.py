"""A small WordNet, a small list of strengths and a few emoji, in the files of the packages that are fetched."""

from __future__ import annotations

from pathlib import Path

import pytest

from hificl.tasks import emoji_groups, sentiment, wordnet

from .made_packages import as_json, put_packages

LETTERS = "abcdefghijklmnopqrstuvwxyz"
ANIMALS = [f"{one}nimal" for one in LETTERS]
FOODS = [f"{one}oodstuff" for one in LETTERS]


def sense(word: str, count: int, *, part: int = 1, file: int = 5) -> str:
    return f"{word}%{part}:{file:02}:00:: 00001740 1 {count}"


def antonyms(*pairs: tuple[str, str]) -> list[str]:
    """Lines of a data file: two sets of two words each per pair, whose first words are opposites."""
    lines = ["  1 This software and database is being provided to you"]
    for at, (word, other) in enumerate(pairs):
        here, there = f"{2 * at:08}", f"{2 * at + 1:08}"
        lines.append(f"{here} 00 a 02 {word}(a) 0 also_{word} 0 002 & {there} a 0000 ! {there} a 0101 | of {word}")
        lines.append(f"{there} 00 a 01 {other} 0 001 ! {here} a 0101 | of {other}; ! no pointer")
    return lines


def put_words(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """26 animals and 26 foods, of which the letter is the count; a verb, a word of two kinds, a name, rare ones."""
    senses = [sense(word, 26 - at) for at, word in enumerate(ANIMALS)]
    senses += [sense(word, 26 - at, file=13) for at, word in enumerate(FOODS)]
    senses += [sense("mixture", 9), sense("mixture", 9, file=13), sense("running", 9), sense("running", 9, part=2)]
    senses += [
        sense("italy", 9, file=15),
        sense("two_words", 9),
        sense("o'clock", 9, file=28),
        sense("unseen", 0),
        sense("cause", 9, file=3),
    ]
    opposed = [(f"{one}oud", f"{one}uiet") for one in LETTERS] + [("rare", "common"), ("noisy", "auiet")]
    senses += [sense(word, 3 if word[0] < "m" else 2, part=3, file=0) for pair in opposed for word in pair]
    senses = [line for line in senses if not line.startswith("rare%")]
    named = [*ANIMALS, *FOODS, "mixture", "running", "unseen", "cause"]
    nouns = [
        "  1 This software",
        *(f"{at:08} 03 n 02 {word} 0 {word.title()} 0 000 | it" for at, word in enumerate(named)),
    ]
    nouns.append("00000099 03 n 01 Italy 0 000 | a republic")
    files = {"index.sense": senses, "data.adj": antonyms(*opposed), "data.noun": nouns, "data.verb": [], "data.adv": []}
    words = {f"{wordnet.FOLDER}{name}": "\n".join(lines).encode() for name, lines in files.items()}
    strengths = {f"{one}lad": 2 for one in LETTERS} | {f"{one}rim": -3 for one in LETTERS}
    strengths |= {"weak": 1, "swear": -4, "two words": 2, "naïve": -2}
    emoji = [{"hexcode": f"1F4{at:02}", "label": f"{one} thing", "group": at % 10} for at, one in enumerate(LETTERS)]
    emoji.append({"hexcode": "1F1E6", "label": "regional indicator A"})
    put_packages(
        monkeypatch,
        folder,
        {
            wordnet.PACKAGE: words,
            sentiment.PACKAGE: {"package/index.json": as_json(strengths)},
            emoji_groups.PACKAGE: {"package/en/data.json": as_json(emoji)},
        },
    )
