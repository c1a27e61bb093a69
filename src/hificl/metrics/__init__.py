"""Metrics: predicted and accepted answers in, numbers out. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hificl.metrics.cider import cider_d
from hificl.metrics.exact_match import exact_match
from hificl.metrics.hallucination import ChairScore, chair
from hificl.metrics.mme import MmeScore, mme, yes_no_accuracy
from hificl.metrics.multiple_choice import ChoiceScore, choice_accuracy
from hificl.metrics.ngrams import DocumentFrequencies
from hificl.metrics.ranking import roc_auc
from hificl.metrics.score import Metric, Score
from hificl.metrics.vqa import VqaScore, vqa_accuracy, vqa_accuracy_normalised

METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "exact_match": exact_match,
        "vqa_accuracy": vqa_accuracy,
        "vqa_accuracy_normalised": vqa_accuracy_normalised,
        "cider_d": cider_d,
        "choice_accuracy": choice_accuracy,
        "yes_no_accuracy": yes_no_accuracy,
    }
)
"""Every metric that needs no more than predictions and accepted answers, by name."""

__all__ = [
    "METRICS",
    "ChairScore",
    "ChoiceScore",
    "DocumentFrequencies",
    "Metric",
    "MmeScore",
    "Score",
    "VqaScore",
    "chair",
    "choice_accuracy",
    "cider_d",
    "exact_match",
    "mme",
    "roc_auc",
    "vqa_accuracy",
    "vqa_accuracy_normalised",
    "yes_no_accuracy",
]
