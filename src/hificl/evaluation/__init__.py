"""Evaluation: answers greedy or by beams, k-shot prompts, a size estimate before the start, scores with intervals."""

from __future__ import annotations

from hificl.evaluation.estimate import Estimate, estimate_size
from hificl.evaluation.generation import Generated, generate_answers
from hificl.evaluation.presets import PRESETS, Decoding, Preset, find_decoding
from hificl.evaluation.queries import Queries
from hificl.evaluation.record import Prediction
from hificl.evaluation.retrieval import RETRIEVALS, demonstration_chooser
from hificl.evaluation.scoring import Result, evaluate
from hificl.evaluation.task_scoring import DETAILS, POSTPROCESS

__all__ = [
    "DETAILS",
    "POSTPROCESS",
    "PRESETS",
    "RETRIEVALS",
    "Decoding",
    "Estimate",
    "Generated",
    "Prediction",
    "Preset",
    "Queries",
    "Result",
    "demonstration_chooser",
    "estimate_size",
    "evaluate",
    "find_decoding",
    "generate_answers",
]
