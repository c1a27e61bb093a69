"""One labelled item: images, a question, its accepted answers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from hificl.data.cells import ImageCell
from hificl.errors import InputError

ImageSource = Image.Image | str | os.PathLike[str] | bytes | ImageCell
"""What may stand for an image: a PIL image, the path or the bytes of a file, or a cell of a parquet file."""

_IMAGE_TYPES = (Image.Image, str, os.PathLike, bytes, ImageCell)


@dataclass(frozen=True)
class Example:
    """One item of a support set or a query set.

    Args:
        id: Name of the item, unique in its set; records and predictions refer to it. Not empty.
        images: Images in the order in which the prompt shows them; may be empty for a text-only model. They
            are neither opened nor checked here: see :func:`hificl.data.load_image`.
        question: The question, without any prompt mark.
        answers: Accepted answers. The first is the training target, a metric may use all. Empty where the
            answer is not known (prediction).
        meta: Further facts about the item, such as its question type. Empty by default.

    Images and answers become tuples, meta a new dict. Two examples with equal fields are equal; the hash
    leaves out ``images`` and ``meta``.

    Raises:
        InputError: A field has the wrong type, ``id`` is empty or an answer is blank. The message names the
            id.
    """

    id: str
    images: Sequence[ImageSource] = field(hash=False)
    question: str
    answers: Sequence[str]
    meta: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not self.id:
            raise InputError(f"Example: id must be a text that is not empty, got {self.id!r}; give every item a name")
        place = f"Example {self.id!r}"
        if not isinstance(self.question, str):
            raise InputError(f"{place}: question must be a text, got {type(self.question).__name__}; pass a str")
        if not isinstance(self.meta, Mapping):
            raise InputError(f"{place}: meta must be a mapping, got {type(self.meta).__name__}; pass a dict")
        object.__setattr__(self, "images", _checked_images(self.images, place))
        object.__setattr__(self, "answers", _checked_answers(self.answers, place))
        object.__setattr__(self, "meta", dict(self.meta))


def _checked_images(images: object, place: str) -> tuple[ImageSource, ...]:
    if isinstance(images, _IMAGE_TYPES) or not isinstance(images, Sequence):
        raise InputError(
            f"{place}: images must be a list of images, got {type(images).__name__}; put a single image into a list"
        )
    for position, image in enumerate(images):
        if not isinstance(image, _IMAGE_TYPES):
            raise InputError(
                f"{place}: image {position} is a {type(image).__name__}; pass a PIL image, a path or the file's bytes"
            )
    return tuple(images)


def _checked_answers(answers: object, place: str) -> tuple[str, ...]:
    if isinstance(answers, str) or not isinstance(answers, Sequence):
        raise InputError(
            f"{place}: answers must be a list of texts, got {type(answers).__name__}; put a single answer into a list"
        )
    for position, answer in enumerate(answers):
        if not isinstance(answer, str):
            raise InputError(f"{place}: answer {position} is a {type(answer).__name__}; pass a str")
        if not answer.strip():
            raise InputError(f"{place}: answer {position} is empty; write the answer or leave the item out")
    return tuple(answers)
