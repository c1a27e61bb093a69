"""What some tasks want beside their metric: answers brought into the form that is scored, and further figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from hificl import metrics
from hificl.data import Example
from hificl.errors import InputError
from hificl.metrics import Score
from hificl.metrics.score import scores_by_label
from hificl.tasks.benchmarks.stemming import stem_answer
from hificl.tasks.captions import object_names

Details = Callable[[Sequence[Example], Sequence[str], Score], Mapping[str, Any]]
"""Examples, answers and their score in; further results out, as JSON values."""

POSTPROCESS: Mapping[str, Callable[..., str]] = MappingProxyType({"ok_vqa": stem_answer})
"""By task: OK-VQA's answers are stemmed, so predictions are too."""


def _vqa(examples: Sequence[Example], answers: Sequence[str], score: Score) -> Mapping[str, Any]:
    """The other mode of VQA accuracy, and accuracy by type of answer and of question."""
    other = metrics.vqa_accuracy_normalised(answers, [list(example.answers) for example in examples])
    return {
        "vqa_accuracy_normalised": other.score,
        "by_answer_type": _by(examples, "answer_type", score),
        "by_question_type": _by(examples, "question_type", score),
    }


def _captions(examples: Sequence[Example], answers: Sequence[str], score: Score) -> Mapping[str, Any]:
    """The scale in which most papers print CIDEr."""
    return {"times_100": 100.0 * score.score}


def _choice(examples: Sequence[Example], answers: Sequence[str], score: Score) -> Mapping[str, Any]:
    return {"by_question_type": _by(examples, "question_type_id", score)}


def _mme(examples: Sequence[Example], answers: Sequence[str], score: Score) -> Mapping[str, Any]:
    """The sums of MME, where both questions of every image are there; accuracy by category."""
    found: dict[str, Any] = {"by_category": _by(examples, "category", score)}
    try:
        sums = metrics.mme(
            answers,
            [list(example.answers) for example in examples],
            [str(example.meta["pair"]) for example in examples],
            [str(example.meta["category"]) for example in examples],
        )
    except InputError as error:
        return {"no_sums": str(error), **found}
    return {name: getattr(sums, name) for name in ("accuracy", "accuracy_plus", "perception", "cognition")} | found


def _chair(examples: Sequence[Example], answers: Sequence[str], score: Score) -> Mapping[str, Any]:
    """CHAIR of the captions; an object is there when it is annotated or a reference names it."""
    found = metrics.chair(
        answers,
        [list(example.meta["objects"]) for example in examples],
        [list(example.answers) for example in examples],
    )
    return {**_captions(examples, answers, score), **_chair_shares(found)}


def _emoji_captions(examples: Sequence[Example], answers: Sequence[str], score: Score) -> Mapping[str, Any]:
    """CHAIR of emoji captions: the objects are all emoji of the task, there is what a reference names."""
    found = metrics.chair(
        answers, [[] for _ in examples], [list(example.answers) for example in examples], vocabulary=object_names()
    )
    return {**_captions(examples, answers, score), **_chair_shares(found)}


def _chair_shares(found: metrics.ChairScore) -> dict[str, Any]:
    shares = {name: getattr(found, name) for name in ("chair_i", "chair_s", "recall")}
    return {**shares, "chair_ci95": {name: list(ends) for name, ends in found.intervals.items()}}


def _by(examples: Sequence[Example], key: str, score: Score) -> dict[str, float]:
    """Score of the examples of each kind; empty where some example does not tell its kind."""
    labels = [example.meta.get(key) for example in examples]
    if any(label is None for label in labels):
        return {}
    found = scores_by_label(score.per_item, [str(label) for label in labels], scale=score.scale)
    return {label: one.score for label, one in found.items()}


DETAILS: Mapping[str, Details] = MappingProxyType(
    {
        "vqav2": _vqa,
        "ok_vqa": _vqa,
        "coco_captions": _captions,
        "flickr30k": _captions,
        "captions": _emoji_captions,
        "seed_bench": _choice,
        "mme": _mme,
        "chair": _chair,
    }
)
"""Further figures by task."""


def ranked_by_yes(probability: Callable[[Example], float]) -> Details:
    """ROC-AUC of Hateful Memes, from the probability of "yes" for each example."""
    return partial(_ranked, probability)


def _ranked(
    probability: Callable[[Example], float], examples: Sequence[Example], answers: Sequence[str], score: Score
) -> Mapping[str, Any]:
    found = metrics.roc_auc(
        [probability(example) for example in examples], [int(example.meta["label"]) for example in examples]
    )
    return {"roc_auc": found.score, "roc_auc_ci95": list(found.ci95)}
