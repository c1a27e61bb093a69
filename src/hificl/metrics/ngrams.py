"""In how many images' references each n-gram occurs: what CIDEr-D weighs words by; counted, or kept in a JSON file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeGuard

from hificl.errors import InputError
from hificl.metrics.caption_tokens import tokenise_caption
from hificl.metrics.score import check_pairs
from hificl.records import read_json, write_json

LONGEST = 4
"""N-grams have 1 to 4 tokens."""

Ngram = tuple[str, ...]

_MOST_BYTES = 2 * 1024**3  # of a file; all 123,287 images of COCO need about a tenth


@dataclass(frozen=True)
class DocumentFrequencies:
    """Number of images whose references hold an n-gram.

    A score is comparable with another only if both were computed with the same frequencies: count them once over all
    images of a benchmark and keep them when a subset is scored.

    Args:
        images: Number of images that were counted.
        counts: Per n-gram, as a tuple of tokens, the number of images with it, from 1 to ``images``.
    """

    images: int
    counts: Mapping[Ngram, int]

    @classmethod
    def from_references(cls, references: Sequence[Sequence[str]], tokenized: bool = False) -> DocumentFrequencies:
        """Count the n-grams of the references of each image; ``tokenized`` as for ``cider_d``."""
        check_pairs([""] * len(references), references)
        return cls.from_tokens(
            [text.split() if tokenized else tokenise_caption(text) for text in texts] for texts in references
        )

    @classmethod
    def from_tokens(cls, references: Iterable[Sequence[Sequence[str]]]) -> DocumentFrequencies:
        """Count the n-grams of references that are lists of tokens."""
        counts: Counter[Ngram] = Counter()
        images = 0
        for images, captions in enumerate(references, start=1):  # noqa: B007
            counts.update({ngram for tokens in captions for ngram in ngrams(tokens)})
        return cls(images, counts)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write ``{"images": .., "counts": {"a red bus": .., ..}}``, whole or not at all; tokens joined by spaces."""
        counts = {" ".join(ngram): self.counts[ngram] for ngram in sorted(self.counts)}
        write_json(path, {"images": self.images, "counts": counts})

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> DocumentFrequencies:
        """Read a file that :meth:`write` wrote.

        Raises:
            InputError: The file is missing, not JSON of that form, larger than 2 GB, or holds an impossible number.
        """
        if (path := Path(path)).is_file() and path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path}: {path.stat().st_size} bytes; at most {_MOST_BYTES} are read, count fewer images")
        content = read_json(path)
        if not isinstance(content, dict) or not isinstance(content.get("counts"), dict):
            raise InputError(f'{path}: no document frequencies; expected an object {{"images": .., "counts": {{..}}}}')
        images = content.get("images")
        if not _is_count(images):
            raise InputError(f"{path}: images must be an integer of at least 1, got {images!r}")
        counts: dict[Ngram, int] = {}
        for text, count in content["counts"].items():
            ngram = tuple(text.split())
            if not 1 <= len(ngram) <= LONGEST or " ".join(ngram) != text:
                raise InputError(f"{path}: counts: {text[:80]!r} is not 1 to {LONGEST} tokens joined by single spaces")
            if not _is_count(count) or count > images:
                raise InputError(f"{path}: counts: {text!r} must have 1 to {images} images, got {count!r}")
            counts[ngram] = count
        return cls(images, counts)


def ngrams(tokens: Sequence[str]) -> Iterable[Ngram]:
    """All n-grams of 1 to 4 tokens, with their repetitions."""
    shifted = [tokens[start:] for start in range(LONGEST)]
    return chain.from_iterable(zip(*shifted[:n], strict=False) for n in range(1, LONGEST + 1))


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
