"""CHAIR: how many of the objects that captions mention are not in the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hificl.errors import InputError
from hificl.metrics.coco_words import categories, coco_objects
from hificl.metrics.object_words import Vocabulary
from hificl.metrics.score import Score, check_pairs, check_same_length, check_texts
from hificl.statistics import Counts, Floats, percentile_interval, resampled_counts

_RESAMPLES = 10_000


@dataclass(frozen=True)
class ChairScore(Score):
    """CHAIR of a set of captions; all values are shares in [0, 1] (papers print them times 100).

    ``score`` and ``ci95`` are those of ``chair_i``; ``per_item`` is CHAIR_i of each caption alone.

    Args:
        chair_i: Mentions of objects that are not in the picture, among all mentions. Lower is better.
        chair_s: Captions with such a mention, among all captions. Lower is better.
        recall: Objects in the pictures that their captions mention, among all objects in the pictures.
        intervals: Bootstrap 95 % interval of each of the three, by name.
    """

    chair_i: float = 0.0
    chair_s: float = 0.0
    recall: float = 0.0
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def chair(
    captions: Sequence[str],
    objects: Sequence[Sequence[str]],
    captions_reference: Sequence[Sequence[str]] | None = None,
    *,
    vocabulary: Mapping[str, str] | None = None,
) -> ChairScore:
    """CHAIR (Rohrbach et al. 2018): objects that captions mention against objects that are there.

    Mentions are found by ``coco_words.coco_objects`` with a word table of this project, so that scores differ a little
    from those with the table of the authors. An object is there when it is annotated or a reference caption mentions
    it; the protocol uses both.

    Args:
        captions: One caption per image.
        objects: The annotated objects of each image, names of the 80 categories of COCO; may be empty.
        captions_reference: The captions that people wrote for each image; None uses the annotated objects alone.
        vocabulary: The objects of another data set, from a phrase to the object that it names. A caption mentions what
            the longest phrases in it name; a reference shows what any phrase in it names, inside of longer ones too
            (a picture of a "man cook" shows a man).

    Returns:
        CHAIR_i, CHAIR_s and recall. A share of nothing (captions without any mention, pictures without any object) is
        0; the public evaluator divides by zero there. The intervals resample images and take the ratio of the sums.

    Raises:
        InputError: The lengths differ, there is no image, something is not a text, or an object is no COCO category or
            none of ``vocabulary``.
    """
    check_texts(captions, "caption")
    check_same_length(captions, "captions", objects, "lists of objects")
    if captions_reference is not None:
        check_pairs(captions, captions_reference)
    words = None if vocabulary is None else Vocabulary(vocabulary)
    counts = []
    for position, (caption, names) in enumerate(zip(captions, objects, strict=True)):
        present = _checked(names, position, words)
        references = captions_reference[position] if captions_reference is not None else ()
        present |= _named(references) if words is None else words.named_anywhere(references)
        mentioned = coco_objects(caption) if words is None else words.mentions(caption)
        invented = sum(name not in present for name in mentioned)
        counts.append((len(mentioned), invented, int(invented > 0), len(present & set(mentioned)), len(present)))
    return _score(np.array(counts, dtype=np.int64))


def _checked(names: Sequence[str], position: int, words: Vocabulary | None) -> set[str]:
    check_texts(names, f"item {position}, object")
    known = categories() if words is None else words.names
    for name in names:
        if name not in known:
            where = "the 80 categories of COCO" if words is None else f"the {len(known)} objects of the vocabulary"
            raise InputError(f"chair: item {position} has the object {name!r}; name one of {where}")
    return set(names)


def _named(texts: Sequence[str]) -> set[str]:
    return {name for text in texts for name in coco_objects(text)}


def _score(counts: Counts) -> ChairScore:
    """Score from [images, (mentions, invented, whether any is, objects found, objects)]."""
    chair_i, chair_s, recall = (float(value) for value in _shares(counts.sum(axis=0)[None], len(counts))[0])
    kinds, repeats = np.unique(counts, axis=0, return_counts=True)
    draws = resampled_counts(repeats, _RESAMPLES, np.random.default_rng(0))
    resampled = np.concatenate([_shares(drawn @ kinds, len(counts)) for drawn in draws])
    names = ("chair_i", "chair_s", "recall")
    intervals = {name: percentile_interval(column) for name, column in zip(names, resampled.T, strict=True)}
    return ChairScore(
        score=chair_i,
        per_item=tuple(float(invented / max(1, mentions)) for mentions, invented, *_ in counts),
        ci95=intervals["chair_i"],
        n=len(counts),
        scale=1.0,
        chair_i=chair_i,
        chair_s=chair_s,
        recall=recall,
        intervals=intervals,
    )


def _shares(sums: Counts, images: int) -> Floats:
    """CHAIR_i, CHAIR_s and recall, [rows, 3], from sums over images, [rows, 5]."""
    mentions, invented, captions, found, objects = sums.T
    shares = (invented / np.maximum(1, mentions), captions / images, found / np.maximum(1, objects))
    return np.stack(shares, axis=1)
