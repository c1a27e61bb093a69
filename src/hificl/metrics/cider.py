"""CIDEr-D: how much of what the reference captions agree on is in the caption, weighted by rarity."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hificl.metrics.caption_tokens import tokenise_caption
from hificl.metrics.ngrams import LONGEST, DocumentFrequencies, Ngram, ngrams
from hificl.metrics.score import Score, check_pairs, mean_score

_LENGTH_SPREAD = 6.0  # sigma of the penalty for another length, in bigrams


def cider_d(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    tokenized: bool = False,
    *,
    document_frequencies: DocumentFrequencies | str | os.PathLike[str] | None = None,
) -> Score:
    """CIDEr-D of captions (Vedantam et al. 2015), as the COCO caption evaluator computes it.

    For n = 1 to 4, a text is a vector of its n-grams: count times ``log(images / images with the n-gram)``. Per
    reference, the product of both vectors, in which the caption's weights count at most as the reference's, is divided
    by both lengths and multiplied with ``exp(-d ** 2 / 72)``, where d is the difference of the numbers of bigrams. The
    score is 10 times the mean over references and n.

    Two things surprise: with the frequencies of a single image every weight is ``log 1 = 0`` and so is every score; and
    a score depends on which images were evaluated, because by default the frequencies are those of their references.

    Args:
        predictions: One caption per image.
        references: The captions that people wrote for each image, any number from 1.
        tokenized: The texts are tokens with spaces between them and are taken as they are. By default they are
            tokenised by ``caption_tokens.tokenise_caption``, which lower-cases and drops punctuation.
        document_frequencies: Counted elsewhere, such as over all images of the benchmark, or a JSON file of them.

    Returns:
        The score, raw: 1.0 is what papers also print as 100. ``per_item`` is raw, from 0 to 10. The interval resamples
        images and keeps the document frequencies as they are.

    Raises:
        InputError: The lengths differ, there is no image, something is not a text, or the file is unusable.
    """
    check_pairs(predictions, references)
    cut = str.split if tokenized else tokenise_caption
    cut_references = [[cut(text) for text in texts] for texts in references]
    if document_frequencies is None:
        document_frequencies = DocumentFrequencies.from_tokens(cut_references)
    elif not isinstance(document_frequencies, DocumentFrequencies):
        document_frequencies = DocumentFrequencies.read(document_frequencies)
    rarity = _Rarity(document_frequencies)
    per_item = [
        _similarity(_Vector.of(cut(prediction), rarity), [_Vector.of(tokens, rarity) for tokens in texts])
        for prediction, texts in zip(predictions, cut_references, strict=True)
    ]
    return mean_score(per_item, scale=1.0)


class _Rarity(dict[Ngram, float]):
    """Weight of one occurrence of an n-gram; one that no reference holds counts as held by one image."""

    def __init__(self, frequencies: DocumentFrequencies) -> None:
        self.images = math.log(frequencies.images)
        self.counts = frequencies.counts

    def __missing__(self, ngram: Ngram) -> float:
        weight = self.images - math.log(self.counts.get(ngram, 1))
        if ngram in self.counts:
            self[ngram] = weight
        return weight


@dataclass(frozen=True)
class _Vector:
    """The weighted n-grams of one text, the length of the vector for each n, and the number of bigrams."""

    weights: dict[Ngram, float]
    norms: tuple[float, ...]
    bigrams: int

    @classmethod
    def of(cls, tokens: Sequence[str], rarity: _Rarity) -> _Vector:
        weights = {ngram: count * rarity[ngram] for ngram, count in Counter(ngrams(tokens)).items()}
        squares = [0.0] * LONGEST
        for ngram, weight in weights.items():
            squares[len(ngram) - 1] += weight * weight
        return cls(weights, tuple(math.sqrt(square) for square in squares), max(0, len(tokens) - 1))


def _similarity(caption: _Vector, references: Sequence[_Vector]) -> float:
    """10 times the mean over references and n of the clipped cosine with its length penalty."""
    total = 0.0
    for reference in references:
        products = [0.0] * LONGEST
        for ngram, weight in caption.weights.items():
            other = reference.weights.get(ngram, 0.0)
            products[len(ngram) - 1] += min(weight, other) * other
        cosines = sum(
            product / (own * other)
            for product, own, other in zip(products, caption.norms, reference.norms, strict=True)
            if own and other
        )
        distance = caption.bigrams - reference.bigrams
        total += cosines * math.exp(-(distance**2) / (2 * _LENGTH_SPREAD**2))
    return 10.0 * total / (LONGEST * len(references))
