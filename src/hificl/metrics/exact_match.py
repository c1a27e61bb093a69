"""Exact match after a light clean-up of both sides."""

from __future__ import annotations

from collections.abc import Sequence

from hificl.metrics.score import Score, check_pairs, mean_score


def exact_match(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
    """Share of predictions that equal one of their accepted answers, both normalised by :func:`normalise`.

    Args:
        predictions: One answer per item.
        references: The accepted answers of each item, at least one.

    Returns:
        The score; ``per_item`` is 1.0 for a match and 0.0 otherwise.

    Raises:
        InputError: The lengths differ, there is no item, or an item has no accepted answer.
    """
    check_pairs(predictions, references)
    return mean_score(
        [
            float(normalise(prediction) in {normalise(answer) for answer in accepted})
            for prediction, accepted in zip(predictions, references, strict=True)
        ]
    )


def normalise(answer: str) -> str:
    """Clean an answer for comparison: lower case, white space, trailing periods; nothing else.

    In this order: lower-case; every run of white space becomes one space and the ends are stripped; periods
    at the end are removed with the white space before them. An answer of periods alone stays. Articles,
    number words and other punctuation are kept, unlike in VQA accuracy.

    Example:
        >>> normalise("  Light\\nBlue. ")
        'light blue'
    """
    text = " ".join(answer.lower().split())
    return text.rstrip(". ") or text
