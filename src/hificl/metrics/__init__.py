"""Metrics: predicted and accepted answers in, numbers out. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hificl.metrics.exact_match import exact_match
from hificl.metrics.score import Metric, Score

METRICS: Mapping[str, Metric] = MappingProxyType({"exact_match": exact_match})
"""Every metric by name."""

__all__ = ["METRICS", "Metric", "Score", "exact_match"]
