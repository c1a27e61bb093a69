"""Which demonstrations a query gets: drawn at random, or those whose images look most like its own (RICES)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from hificl.backbones import Backbone
from hificl.data import Example, choose_demonstrations, nearest_demonstrations
from hificl.errors import InputError
from hificl.evaluation.image_features import ImageFeatures

RETRIEVALS = ("random", "rices")
"""``random``: a seeded draw per query. ``rices``: by cosine similarity of the images, the most similar one last."""

Choose = Callable[[Example], list[Example]]
"""From a query to its demonstrations, in prompt order."""


def demonstration_chooser(
    backbone: Backbone, support: Sequence[Example], *, shots: int, retrieval: str = "random", seed: int = 0
) -> Choose:
    """Return the function that chooses the demonstrations of a query; never the query itself, only of its episode.

    Args:
        backbone: Its vision tower compares the images for ``rices``; the random draw does not use it.
        support: Labelled examples to choose from.
        shots: Demonstrations per query.
        retrieval: A name in ``RETRIEVALS``.
        seed: Seed of the random draw.

    Raises:
        InputError: An unknown ``retrieval``, or ``rices`` on a backbone that reads text only.
    """
    if retrieval not in RETRIEVALS:
        raise InputError(f"retrieval {retrieval!r} is unknown; use {' or '.join(map(repr, RETRIEVALS))}.")
    if retrieval == "random" or not shots:
        return lambda query: choose_demonstrations(support, query, shots, seed)
    return partial(_most_similar, ImageFeatures(backbone), support, shots)


def _most_similar(features: ImageFeatures, support: Sequence[Example], shots: int, query: Example) -> list[Example]:
    wanted = features.vector(query)
    return nearest_demonstrations(support, query, shots, lambda one: float(features.vector(one) @ wanted))
