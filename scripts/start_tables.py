"""Draw the tables of the start from demonstrations in docs/demonstrations.md from records.

``python scripts/start_tables.py`` rewrites what stands between their marks, after ``hificl run
grids/demonstrations.yaml grids/recipe_transfer.yaml --output results/experiments``. A test compares page and records.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from marked_sections import marked, rewrite

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "demonstrations.md"
RESULTS = ROOT / "results" / "experiments"
MARKS = {
    "untrained": ("<!-- not trained -->", "<!-- end of not trained -->"),
    "trained": ("<!-- trained from there -->", "<!-- end of trained from there -->"),
    "transfer": ("<!-- another model -->", "<!-- end of another model -->"),
}
SUBSETS = {"open": "open questions", "all": "all questions"}
LINES = {"hificl_start": "HiFICL from demonstrations", "hificl": "HiFICL from a random start", "lora": "LoRA"}
RECIPES = {
    ("hificl_robust", None): "`robust`", ("hificl_paper", None): "`paper`", ("lora", None): "LoRA",
    ("icl", 8): "8 demonstrations in the prompt", ("icl", 16): "16 demonstrations in the prompt",
}  # fmt: skip
SURE = 0.05
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


def transfer_table(means: Sequence[Mean]) -> str:
    """Return the scores of the recipes on another model: mean over seeds, lowest to highest, ▼ where told apart."""
    places = sorted({(one["task"], one["train_size"]) for one in means})
    known = {(one["task"], one["train_size"], one["variant"], one["point"]["shots"]): one for one in means}
    lines = ["| | " + " | ".join(f"`{task}`, {size}" for task, size in places) + " |"]
    lines.append("|---" * (len(places) + 1) + "|")
    for line, label in RECIPES.items():
        cells = (_spread(known[(*place, *line)]) for place in places)
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _spread(mean: Mean) -> str:
    scores = mean["seed_scores"]
    apart = not mean["is_reference"] and mean["p_holm"] < SURE
    mark = "" if not apart else " ▼" if mean["difference"] < 0 else " ▲"
    return f"{mean['score']:.1f} ({min(scores):.1f} to {max(scores):.1f}){mark}"


def sections() -> dict[str, str]:
    """Return what stands in the page, with its marks."""
    return marked(MARKS, _tables())


def _tables() -> dict[str, str]:
    means, others = (
        json.loads((RESULTS / f"{grid}.json").read_text(encoding="utf-8"))["means"]
        for grid in ("demonstrations", "recipe_transfer")
    )
    return {
        "untrained": untrained_table(means), "trained": trained_table(means), "transfer": transfer_table(others)
    }  # fmt: skip


if __name__ == "__main__":
    rewrite(PAGE, MARKS, _tables())
