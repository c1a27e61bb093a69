"""The words of the pretraining: own questions, answer conventions and made-up words, all as data.

Nothing here is a question of easy-VQA; a test compares the two lists.
"""

from __future__ import annotations

import zlib

COLOR_BARE = [
    "color?",
    "which color?",
    "what color is it?",
    "which color is this?",
    "what color do you see?",
    "name the color.",
    "what color is shown here?",
    "tell me its color.",
    "the shape has what color?",
    "which color does the shape have?",
    "what is the color of this?",
    "what color was the shape drawn in?",
    "in the image, what color is used?",
]
COLOR_NAMED = [
    "what color is this {shape}?",
    "which color is the {shape}?",
    "what color does the {shape} have?",
    "name the color of the {shape}.",
    "the {shape} is of what color?",
    "what is the color of that {shape}?",
    "tell me the color of the {shape}.",
    "color of the {shape}?",
    "which color was the {shape} drawn in?",
]
SHAPE_BARE = [
    "shape?",
    "which shape?",
    "what shape is it?",
    "which shape is this?",
    "what shape do you see?",
    "name the shape.",
    "what shape is shown here?",
    "what shape does the picture show?",
    "which shape is in the picture?",
    "what is the shape of this?",
    "which shape can be found in the image?",
    "tell me its shape.",
    "what kind of shape is drawn?",
]
SHAPE_NAMED = [
    "what shape is the {color} one?",
    "which shape is {color}?",
    "what is this {color} thing?",
    "what is that {color} shape?",
    "what is {color} here?",
    "the {color} one is what shape?",
    "name the {color} shape.",
    "what shape has the color {color}?",
    "which {color} shape do you see?",
]
PRESENT = [
    "do you see {a}?",
    "can you see {a}?",
    "is {a} visible?",
    "is {a} in the picture?",
    "does the picture show {a}?",
    "does the picture contain {a}?",
    "does this image have {a}?",
    "can {a} be found here?",
    "is there {a} in this picture?",
    "is there {a} here?",
    "has {a} been drawn?",
    "is {a} shown?",
]
ABSENT = [
    "do you not see {a}?",
    "can you not see {a}?",
    "is {a} not visible?",
    "is {a} not in the picture?",
    "does the picture not show {a}?",
    "does the picture not contain {a}?",
    "does this image not have {a}?",
    "can {a} not be found here?",
    "is there not {a} in this picture?",
    "is there not {a} here?",
    "is no {bare} visible?",
    "is no {bare} shown?",
    "is there no {bare} here?",
    "do you see no {bare}?",
    "does the image have no {bare}?",
    "is {a} missing?",
]
COUNT = [
    "how many shapes do you see?",
    "how many?",
    "number of shapes?",
    "count the shapes.",
    "how many shapes are drawn?",
]
SIZE = [
    "how big is it?",
    "size?",
    "what size is the shape?",
    "is it small or large?",
    "name its size.",
]
SIDE = [
    "which side is the {shape} on?",
    "where is the {shape}?",
    "is the {shape} left or right?",
    "side of the {shape}?",
]
NAME = [
    "what is this called?",
    "what does the picture show?",
    "name this.",
    "what do you see?",
    "what is this?",
    "name?",
]
KIND = [
    "what kind of thing is this?",
    "which kind?",
    "kind?",
    "what sort of thing do you see?",
]
GROUP = [
    "what group is it from?",
    "which group?",
    "group?",
    "what does it belong to?",
]
COUNTRY = [
    "which country?",
    "whose flag is this?",
    "name the country.",
    "what country has this flag?",
]
GARMENT = [
    "which garment?",
    "what piece of clothing is it?",
    "name the garment.",
]
DIGIT = [
    "which digit?",
    "what number is written here?",
    "digit?",
]
NAMED = {"kind": KIND, "group": GROUP, "country": COUNTRY, "garment": GARMENT, "digit": DIGIT}
FACTS = {
    "capital": ["capital of {x}?", "{x}: capital?", "which city governs {x}?"],
    "continent": ["continent of {x}?", "{x}: continent?", "where on earth is {x}?"],
    "language": ["language of {x}?", "{x}: language?", "what do people in {x} speak?"],
    "currency": ["currency of {x}?", "{x}: currency?", "how does one pay in {x}?"],
}
GENERIC = [
    "?",
    "label?",
    "which one?",
    "what is it?",
    "class?",
    "word?",
]

COUNT_WORDS = ["one", "two", "three", "four"]
KIND_WORDS = {
    "Activities": "activity",
    "Animals & Nature": "nature",
    "Food & Drink": "food",
    "Objects": "object",
    "People & Body": "person",
    "Smileys & Emotion": "face",
    "Symbols": "symbol",
    "Travel & Places": "place",
}

SENTENCES = [
    "it is {x}.",
    "it is {x}",
    "it seems to be {x}.",
    "it looks like {x}.",
    "it must be {x}.",
    "i think it is {x}.",
    "the answer is {x}.",
    "this is {x}.",
]
SENTENCE_WEIGHTS = [6, 4, 2, 2, 2, 1, 1, 1]
REAL_AFFIXES = [
    "okay",
    "sure",
    "well",
    "right",
    "indeed",
    "maybe",
    "clearly",
    "really",
    "just",
    "only",
    "here",
    "now",
    "then",
    "please",
    "done",
    "answer",
    "result",
]


def made_up_words(count: int = 240) -> list[str]:
    """Return `count` different made-up words of two or three syllable parts, always the same ones."""
    consonants, vowels, endings = "bdfgklmnprstvz", "aeiou", ["", "", "n", "k", "s"]
    words: list[str] = []
    number = 0
    while len(words) < count:
        draw = zlib.crc32(f"word {number}".encode())
        parts = []
        for letters in (consonants, vowels, consonants, vowels, endings):
            parts.append(letters[draw % len(letters)])
            draw //= len(letters)
        word = "".join(parts)
        if word not in words:
            words.append(word)
        number += 1
    return words


MADE_UP = made_up_words()


def is_held_out_affix(word: str) -> bool:
    """Say whether a word is never used as a convention's prefix or suffix in training (one in ten)."""
    return zlib.crc32(f"affix {word}".encode()) % 10 == 0


def is_held_out_pair(concept: str, word: str) -> bool:
    """Say whether a concept never gets this made-up label in training (one pair in five)."""
    return zlib.crc32(f"{concept}|{word}".encode()) % 5 == 0
