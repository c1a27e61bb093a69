"""Images by class for the relabelling task: shapes and colours of easy-VQA, and garments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from hificl.data import Example, ImageSource, load_image
from hificl.errors import InputError
from hificl.tasks.easy_vqa import COLOURS, SHAPES, read_split

SHEET = Path(__file__).with_name("data") / "fashion_mnist_test.png"
"""240 test images of Fashion-MNIST, grey, 24 per row."""

GARMENTS = (
    "t-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
"""What each row of the sheet shows."""

CELLS, CELL = 24, 28
"""Images of a row, and pixels along a side of each."""

Images = Mapping[str, ImageSource]
"""Images by their own names."""


@dataclass(frozen=True)
class Pictures:
    """One family of classes.

    shown: images of every class for demonstrations, by class and name.
    asked: images of every class for queries, likewise. An image that is in both has one name.
    """

    shown: Mapping[str, Images]
    asked: Mapping[str, Images]


def _colours() -> Pictures:
    return _easy_vqa(lambda colour, shape: colour)


def _shapes() -> Pictures:
    return _easy_vqa(lambda colour, shape: shape)


def _coloured_shapes() -> Pictures:
    return _easy_vqa(lambda colour, shape: f"{colour} {shape}" if colour and shape else None)


def _easy_vqa(name: Callable[[str | None, str | None], str | None]) -> Pictures:
    """Training images are shown, test images are asked about."""
    found: list[dict[str, dict[str, ImageSource]]] = []
    for split in ("train", "test"):
        by_class: dict[str, dict[str, ImageSource]] = {}
        for example, colour, shape in _described(split):
            if (concept := name(colour, shape)) is not None:
                by_class.setdefault(concept, {})[f"{split}-{example.meta['image_id']}"] = example.images[0]
        found.append({concept: by_class[concept] for concept in sorted(by_class)})
    return Pictures(*found)


@cache
def _described(split: str) -> tuple[tuple[Example, str | None, str | None], ...]:
    """One question of every image, with the colour and the shape that the image's questions and answers tell.

    The data name neither, and of one image in ten they tell too little for both.
    """
    first: dict[int, Example] = {}
    told: dict[int, set[str]] = {}
    for example in read_split(split):
        first.setdefault(example.meta["image_id"], example)
        told.setdefault(example.meta["image_id"], set()).update(_told(example))
    return tuple((first[image], _only(told[image] & COLOURS), _only(told[image] & SHAPES)) for image in sorted(first))


def _told(example: Example) -> set[str]:
    """What a question and its answer say about the image: "is there no red shape?" and "no" say red."""
    answer, words = example.answers[0], set(example.question.rstrip("?").split())
    if example.meta["open"]:
        return words | {answer}
    return words if (answer == "yes") != bool(words & {"no", "not"}) else set()


def _only(words: set[str]) -> str | None:
    return next(iter(words)) if len(words) == 1 else None


def _garments() -> Pictures:
    """The sheet has a row of test images for every garment; each image may be shown and asked about."""
    sheet = load_image(SHEET, place="relabel: the garments of this package")
    expected = (CELL * CELLS, CELL * len(GARMENTS))
    if sheet.size != expected:
        raise InputError(f"relabel: {SHEET} has {sheet.size} pixels, {expected} were expected; install hificl anew")
    pictures: dict[str, dict[str, ImageSource]] = {garment: {} for garment in GARMENTS}
    for row, garment in enumerate(GARMENTS):
        for column in range(CELLS):
            left, top = CELL * column, CELL * row
            cell = sheet.crop((left, top, left + CELL, top + CELL))
            pictures[garment][f"{garment.replace(' ', '-')}-{column}"] = cell
    return Pictures(pictures, pictures)


FAMILIES: Mapping[str, Callable[[], Pictures]] = MappingProxyType(
    {"colour": _colours, "shape": _shapes, "colour-shape": _coloured_shapes, "garment": _garments}
)
"""Families of classes by name, each with the function that reads it."""
