"""All twins by name, and the laws that some plain models break, with the reason."""

from __future__ import annotations

from .cross_families import CROSS_FAMILIES
from .grid_families import GRID_FAMILIES
from .image_families import IMAGE_FAMILIES
from .text_families import TEXT_FAMILIES

TWINS = {**TEXT_FAMILIES, **IMAGE_FAMILIES, **GRID_FAMILIES, **CROSS_FAMILIES}

SEES_LATER_TOKENS = {
    "paligemma": "the prompt is a prefix in which every token sees every other; only generated tokens are causal",
    "gemma3": "the tokens of one image see each other; text does not see later tokens",
}
"""Families whose plain model lets a later token change an earlier output: why, and so for which tokens."""
