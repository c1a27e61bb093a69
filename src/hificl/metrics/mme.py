"""MME: two yes/no questions per image; accuracy, accuracy of whole images, and their sums over subtasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hificl.errors import InputError
from hificl.metrics.score import Score, check_labels, check_pairs, mean_score
from hificl.statistics import Counts, Floats, percentile_interval, resampled_counts

PERCEPTION = (
    "existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR",
)  # fmt: skip
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")

_RESAMPLES = 10_000


@dataclass(frozen=True)
class MmeScore(Score):
    """MME; ``score`` is the sum of ``perception`` and ``cognition``, ``per_item`` 1.0 or 0.0 per question.

    Args:
        accuracy: Questions answered right, in [0, 100].
        accuracy_plus: Images with both questions answered right, in [0, 100].
        perception: Sum over the subtasks of perception of ``accuracy + accuracy_plus``, at most 2,000.
        cognition: The same over those of cognition, at most 800.
        intervals: Bootstrap 95 % interval of each of the four, by name.
        by_category: ``accuracy + accuracy_plus`` of each subtask, in [0, 200]; there ``per_item`` is per image.
    """

    accuracy: float = 0.0
    accuracy_plus: float = 0.0
    perception: float = 0.0
    cognition: float = 0.0
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    by_category: Mapping[str, Score] = field(default_factory=dict)


def mme(
    predictions: Sequence[str], references: Sequence[Sequence[str]], images: Sequence[str], categories: Sequence[str]
) -> MmeScore:
    """MME (Fu et al. 2023).

    A prediction says yes or no when one of these words stands in its first four characters, in any case (the rule of
    the public evaluator: "No." and "Yes, it is" count, "Indeed" is wrong, and so is "I say no").

    Args:
        predictions: One answer per question.
        references: ``["Yes"]`` or ``["No"]`` for each question, in any case.
        images: Which image each question is about; there are two questions per image and category.
        categories: The subtask of each question, one of ``PERCEPTION`` or ``COGNITION``. Those that do not occur add 0.

    Returns:
        All figures; the intervals resample images within each subtask.

    Raises:
        InputError: The lengths differ, there is no question, something is not a text, an answer is not yes or no, a
            category is unknown, or an image has not two questions.
    """
    right = yes_no_accuracy(predictions, references).per_item
    check_labels(images, "image", predictions)
    check_labels(categories, "category name", predictions)
    pairs: dict[str, dict[str, list[float]]] = {}
    for position, (image, category, value) in enumerate(zip(images, categories, right, strict=True)):
        if category not in PERCEPTION + COGNITION:
            known = ", ".join(PERCEPTION + COGNITION)
            raise InputError(f"mme: item {position} has the category {category!r}; known are {known}")
        pairs.setdefault(category, {}).setdefault(image, []).append(value)
    for category, by_image in pairs.items():
        for image, values in by_image.items():
            if len(values) != 2:
                raise InputError(f"mme: image {image!r} of {category} has {len(values)} questions instead of 2")
    return _score(right, {category: list(by_image.values()) for category, by_image in pairs.items()})


def yes_no_accuracy(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
    """Share of questions answered right with yes or no; how an answer is read is said at :func:`mme`."""
    check_pairs(predictions, references)
    for position, answers in enumerate(references):
        if any(answer.lower() not in ("yes", "no") for answer in answers):
            raise InputError(f"yes or no: item {position} has the right answers {list(answers)!r}; give yes or no")
    return mean_score(
        [
            float(_yes_or_no(prediction) in {answer.lower() for answer in answers})
            for prediction, answers in zip(predictions, references, strict=True)
        ]
    )


def _yes_or_no(prediction: str) -> str | None:
    start = prediction.strip().lower()[:4]
    return next((word for word in ("yes", "no") if word in start), None)


def _score(right: tuple[float, ...], pairs: Mapping[str, list[list[float]]]) -> MmeScore:
    """Put the figures together from the two answers per image of each category."""
    # Per category: the numbers of images with 0, 1 and 2 right answers, [1, 3], and the same of resamples.
    observed = {
        name: np.bincount([int(sum(pair)) for pair in pairs[name]], minlength=3)[None]
        for name in PERCEPTION + COGNITION
        if name in pairs
    }
    generator = np.random.default_rng(0)
    resampled = {
        name: np.concatenate(list(resampled_counts(counts[0], _RESAMPLES, generator)))
        for name, counts in observed.items()
    }
    values = {name: float(value[0]) for name, value in _figures(observed).items()}
    intervals = {name: percentile_interval(drawn) for name, drawn in _figures(resampled).items()}
    return MmeScore(
        score=values["score"],
        per_item=right,
        ci95=intervals.pop("score"),
        n=len(right),
        scale=1.0,
        accuracy=values["accuracy"],
        accuracy_plus=values["accuracy_plus"],
        perception=values["perception"],
        cognition=values["cognition"],
        intervals=intervals,
        by_category={name: mean_score([_worth(pair) for pair in pairs[name]], scale=1.0) for name in observed},
    )


def _worth(pair: Sequence[float]) -> float:
    """What an image adds to its subtask: 50 per right answer, 100 more when both are right."""
    return 50.0 * sum(pair) + 100.0 * (sum(pair) == 2)


def _figures(images: Mapping[str, Counts]) -> dict[str, Floats]:
    """Every figure by name, [rows], from the images with 0, 1 and 2 right answers, [rows, 3] per category."""
    total = np.sum(list(images.values()), axis=0)
    worth = {name: counts @ [0.0, 50.0, 200.0] / counts.sum(axis=1) for name, counts in images.items()}
    nothing = np.zeros(len(total))
    perception = np.sum([nothing, *(worth[name] for name in PERCEPTION if name in worth)], axis=0)
    cognition = np.sum([nothing, *(worth[name] for name in COGNITION if name in worth)], axis=0)
    return {
        "accuracy": total @ [0.0, 50.0, 100.0] / total.sum(axis=1),
        "accuracy_plus": total @ [0.0, 0.0, 100.0] / total.sum(axis=1),
        "perception": perception,
        "cognition": cognition,
        "score": perception + cognition,
    }
