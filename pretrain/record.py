"""What a run did, as a small JSON record: stages with their last probe, seed, versions and hardware."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pretrain.recipe import Recipe

PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "pillow")


def _processor() -> str:
    """Return the processor's name where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def run_record(recipe: Recipe, size: str, seed: int, threads: int, stages: Path) -> dict[str, Any]:
    """Collect the record of a finished run from its folder of stages."""
    rows = []
    for number, stage in enumerate(recipe.stages):
        log = (stages / f"{number:02d}-{stage.name}" / "log.jsonl").read_text().splitlines()
        rows.append({"name": stage.name, "batch": stage.batch, "last": json.loads(log[-1])})
    return {
        "kind": "pretraining",
        "size": size,
        "seed": seed,
        "architecture": asdict(recipe.architecture),
        "pools": dict(recipe.pools),
        "stages": rows,
        "environment": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "volatile": {
            "seconds": sum(row["last"]["seconds"] for row in rows),
            "processor": _processor(),
            "threads": threads,
        },
    }
