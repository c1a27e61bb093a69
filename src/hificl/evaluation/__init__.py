"""Evaluation: greedy batched answers, k-shot prompts, a size estimate before the start, scores with intervals."""

from __future__ import annotations

from hificl.evaluation.estimate import Estimate, estimate_size
from hificl.evaluation.generation import Generated, generate_answers
from hificl.evaluation.queries import Queries
from hificl.evaluation.scoring import Prediction, Result, evaluate

__all__ = [
    "Estimate",
    "Generated",
    "Prediction",
    "Queries",
    "Result",
    "estimate_size",
    "evaluate",
    "generate_answers",
]
