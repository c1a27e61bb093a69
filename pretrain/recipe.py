"""The recipes: architecture, pools and stages of the two sizes, all as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pretrain.architecture import Architecture
from pretrain.loop import Stage


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, besides the seed and the code.

    pools: images per source (for emoji, as many variants of every picture as fit).
    """

    architecture: Architecture
    pools: Mapping[str, int]
    stages: tuple[Stage, ...]


WORDS = {"embed_tokens": 0.1}
CIRCUIT = {**WORDS, "layers.0.self_attn": 0.0, "layers.2.self_attn": 0.0, "multi_modal_projector": 0.0}
"""Freezes what finds the answer of a like picture. True answers are often not those of like pictures, and while they
are new they drown what labels teach: without this, binding is lost within 300 steps of the mix."""

MIX = {
    "scenes": 0.36,
    "labels": 0.28,
    "same image": 0.04,
    "permuted": 0.03,
    "named": 0.1,
    "flipped": 0.02,
    "scene text": 0.05,
    "facts": 0.04,
    "asked map": 0.03,
    "word map": 0.02,
    "repeated words": 0.03,
}
MIX_PROBES = [
    *("emoji2", "emoji4", "color2", "color4", "shape2", "garment2"),
    *("prefix", "short0", "short4", "short8", "short16", "presence8", "sentence0"),
]

SMALL = Recipe(
    architecture=Architecture(
        text_width=160,
        text_layers=6,
        text_inner=448,
        heads=4,
        kv_heads=2,
        vision_width=128,
        vision_layers=4,
        vision_inner=384,
        vision_heads=4,
        vocabulary=3072,
    ),
    pools={"scenes": 60_000, "emoji": 26_000, "flags": 6_000, "fashion": 12_000, "digits": 6_000},
    stages=(
        Stage("vision", "vision", 2800, 240, 2e-3, 1e-5, warmup=200, weight_decay=0.05),
        Stage(
            "binding",
            "episodes",
            steps=700,
            batch=2048,
            learning_rate=1e-3,
            final_rate=1e-3,
            options={
                "mix": {"labels": 0.6, "same image": 0.3, "named": 0.05, "scenes": 0.05},
                "lengths": (60, 360),
                "visual_tokens": 16,
                "probes": ["same2", "emoji2", "emoji4", "color2", "shape2", "garment2", "short4"],
            },
        ),
        Stage(
            "mix",
            "episodes",
            steps=3600,
            batch=2048,
            learning_rate=1e-3,
            final_rate=3e-4,
            shares=CIRCUIT,
            options={
                "mix": MIX,
                "lengths": (30, 620),
                "visual_tokens": 16,
                "probes": MIX_PROBES,
            },
        ),
        Stage(
            "polish",
            "episodes",
            steps=800,
            batch=2048,
            learning_rate=3e-4,
            final_rate=2e-5,
            shares=WORDS,
            options={
                "mix": MIX,
                "lengths": (30, 620),
                "visual_tokens": 16,
                "probes": MIX_PROBES,
            },
        ),
    ),
)

TINY = Recipe(
    architecture=Architecture(
        text_width=96,
        text_layers=4,
        text_inner=256,
        heads=4,
        kv_heads=2,
        vision_width=64,
        vision_layers=2,
        vision_inner=128,
        vision_heads=2,
        vocabulary=1024,
    ),
    pools={"scenes": 3_000},
    stages=(
        Stage("vision", "vision", 120, 120, 3e-3, 1e-4, warmup=20),
        Stage(
            "binding",
            "episodes",
            steps=160,
            batch=1024,
            learning_rate=2e-3,
            final_rate=1e-3,
            warmup=30,
            shares=WORDS,
            options={
                "mix": {"labels": 0.5, "same image": 0.5},
                "lengths": (60, 160),
                "visual_tokens": 4,
                "probes": ["same2", "color2"],
            },
        ),
        Stage(
            "mix",
            "episodes",
            steps=360,
            batch=1024,
            learning_rate=2e-3,
            final_rate=3e-4,
            warmup=50,
            shares=CIRCUIT,
            options={
                "mix": {"scenes": 0.7, "scene text": 0.1, "labels": 0.2},
                "lengths": (30, 120),
                "visual_tokens": 4,
                "probes": ["color2", "short0", "short4", "sentence0"],
            },
        ),
    ),
)

RECIPES: Mapping[str, Recipe] = {"small": SMALL, "tiny": TINY}
