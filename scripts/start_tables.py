"""Draw the tables of the start from demonstrations in docs/demonstrations.md from records.

``python scripts/start_tables.py`` rewrites what stands between their marks, after ``hificl run
grids/demonstrations.yaml --output results/experiments``. A test compares page and records.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from marked_sections import marked, rewrite

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "demonstrations.md"
SUMMARY = ROOT / "results" / "experiments" / "demonstrations.json"
MARKS = {
    "untrained": ("<!-- not trained -->", "<!-- end of not trained -->"),
    "trained": ("<!-- trained from there -->", "<!-- end of trained from there -->"),
}
SUBSETS = {"open": "open questions", "all": "all questions"}
LINES = {"hificl_start": "HiFICL from demonstrations", "hificl": "HiFICL from a random start", "lora": "LoRA"}
Mean = Mapping[str, Any]


def _table(heads: Sequence[object], rows: Mapping[str, Sequence[Mean]]) -> str:
    lines = ["| | " + " | ".join(map(str, heads)) + " |", "|---" * (len(heads) + 1) + "|"]
    for label, means in rows.items():
        lines.append(f"| {label} | {' | '.join(map(_cell, means))} |")
    return "\n".join(lines)


def _cell(mean: Mean) -> str:
    """A score with its interval over seeds."""
    low, high = mean["seed_ci95"]
    return f"{mean['score']:.1f} [{low:.1f}, {high:.1f}]"


def untrained_table(means: Sequence[Mean]) -> str:
    """Return the scores of pairs that were not trained, by their number, beside the demonstrations themselves."""
    rows: dict[str, list[Mean]] = {}
    counts: list[int] = []
    for subset, label in SUBSETS.items():
        own = [one for one in means if one["subset"] == subset]
        pairs = sorted(
            (one for one in own if one["point"].get("num_virtual_tokens")),
            key=lambda one: int(one["point"]["num_virtual_tokens"]),
        )
        rows[label] = [*pairs, *(one for one in own if one["method"] == "icl")]
        counts = [one["point"]["num_virtual_tokens"] for one in pairs]
    return _table([*(f"n = {count}" for count in counts), "8 demonstrations in the prompt"], rows)


def trained_table(means: Sequence[Mean]) -> str:
    """Return the scores after training, by the number of examples."""
    trained = [one for one in means if not one["point"].get("num_virtual_tokens") and one["method"] != "icl"]
    sizes = sorted({one["train_size"] for one in trained})
    rows = {
        f"{label}: {name}": [one for size in sizes for one in trained
                             if (one["subset"], one["variant"], one["train_size"]) == (subset, variant, size)]
        for subset, label in SUBSETS.items()
        for variant, name in LINES.items()
    }  # fmt: skip
    return _table([f"{size} examples" for size in sizes], rows)


def sections() -> dict[str, str]:
    """Return what stands in the page, with its marks."""
    return marked(MARKS, _tables())


def _tables() -> dict[str, str]:
    means = json.loads(SUMMARY.read_text(encoding="utf-8"))["means"]
    return {"untrained": untrained_table(means), "trained": trained_table(means)}


if __name__ == "__main__":
    rewrite(PAGE, MARKS, _tables())
