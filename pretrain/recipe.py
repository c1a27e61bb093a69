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


SMALL = Recipe(
    architecture=Architecture(
        text_width=160,
        text_layers=5,
        text_inner=448,
        heads=4,
        kv_heads=2,
        vision_width=128,
        vision_layers=4,
        vision_inner=384,
        vision_heads=4,
        vocabulary=2048,
    ),
    pools={"scenes": 60_000, "emoji": 26_000},
    stages=(
        Stage("vision", "vision", 2800, 240, 2e-3, 1e-5, warmup=200, weight_decay=0.05),
        Stage(
            "words",
            "episodes",
            steps=700,
            batch=1024,
            learning_rate=2.5e-3,
            final_rate=2e-3,
            options={
                "mix": {"repeated words": 0.5, "word map": 0.5},
                "words": 60,
                "lengths": (24, 64),
                "visual_tokens": 16,
                "probes": ["map8"],
            },
        ),
        Stage(
            "sentences",
            "episodes",
            steps=400,
            batch=1024,
            learning_rate=2e-3,
            final_rate=2e-3,
            options={
                "mix": {"repeated words": 0.3, "word map": 0.3, "asked map": 0.2, "scene text": 0.2},
                "lengths": (24, 80),
                "visual_tokens": 16,
                "probes": ["map8", "asked8"],
            },
        ),
        Stage(
            "pooled",
            "episodes",
            steps=400,
            batch=2048,
            learning_rate=2e-3,
            final_rate=1.5e-3,
            options={
                "mix": {"scenes": 0.5, "same image": 0.15, "labels": 0.15, "asked map": 0.1, "scene text": 0.1},
                "lengths": (30, 160),
                "visual_tokens": 4,
                "probes": ["asked8", "same2", "color2", "prefix", "short0", "short4", "sentence0"],
            },
        ),
        Stage(
            "mix",
            "episodes",
            steps=4800,
            batch=2048,
            learning_rate=1.5e-3,
            final_rate=3e-5,
            options={
                "mix": {
                    "scenes": 0.44,
                    "labels": 0.14,
                    "same image": 0.1,
                    "permuted": 0.03,
                    "emoji": 0.05,
                    "flipped": 0.02,
                    "scene text": 0.05,
                    "asked map": 0.07,
                    "word map": 0.05,
                    "repeated words": 0.05,
                },
                "lengths": (30, 600),
                "visual_tokens": 16,
                "probes": [
                    *("asked8", "same2", "color2", "emoji2", "shape2"),
                    *("prefix", "short0", "short4", "short8", "sentence0"),
                ],
            },
        ),
    ),
)

TINY = Recipe(
    architecture=Architecture(
        text_width=96,
        text_layers=3,
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
            "words",
            "episodes",
            steps=100,
            batch=1024,
            learning_rate=3e-3,
            final_rate=3e-3,
            warmup=50,
            options={
                "mix": {"repeated words": 0.3, "word map": 0.2, "scene text": 0.5},
                "words": 30,
                "lengths": (24, 64),
                "visual_tokens": 16,
                "probes": ["map8"],
            },
        ),
        Stage(
            "pooled",
            "episodes",
            steps=500,
            batch=1024,
            learning_rate=3e-3,
            final_rate=5e-4,
            warmup=50,
            options={
                "mix": {"scenes": 0.8, "scene text": 0.1, "labels": 0.1},
                "lengths": (30, 90),
                "visual_tokens": 1,
                "probes": ["short0", "short4", "sentence0"],
            },
        ),
    ),
)

RECIPES: Mapping[str, Recipe] = {"small": SMALL, "tiny": TINY}
