"""Draw the README's table from a recorded quickstart.

``python scripts/readme_table.py`` rewrites the part of README.md between the table's marks from
``results/quickstart``; ``make quickstart`` and copying ``summary.json``, ``floors.json`` and the ``cell.json`` files
there come first. A test compares the two.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "quickstart"
START, END = "<!-- quickstart table -->", "<!-- end of quickstart table -->"
NAMES = {"zero_shot": "zero-shot", "icl": "{shots}-shot in the prompt", "lora": "LoRA", "hificl": "**HiFICL**"}


def _interval(row: Mapping[str, Any]) -> str:
    low, high = row["score_ci95"]
    return f"{row['score']:.1f} [{low:.1f}, {high:.1f}]"


def _name(row: Mapping[str, Any]) -> str:
    name = NAMES[row["method"]].format(**row)
    return f"{name}, random LM (control)" if row["control"] else name


def table(summary: Mapping[str, Any], floors: Mapping[str, Any]) -> str:
    """Return the table as Markdown: one line per method, open questions and all, and the floors."""
    cells: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in summary["rows"]:
        cells.setdefault((row["method"], row["shots"], row["control"]), {})[row["subset"]] = row
    lines = [
        "| method | open questions | all questions | trained weights | training | time per answer |",
        "|---|---|---|---|---|---|",
    ]
    for by_subset in cells.values():
        row, whole = by_subset["open"], by_subset["all"]
        weights = f"{row['trainable_parameters']:,}" if row["trainable_parameters"] else "-"
        seconds = "-" if row["train_seconds"] is None else f"{row['train_seconds']:.0f} s"
        answer = f"{1000 * row['seconds_per_answer']:.0f} ms"
        lines.append(f"| {_name(row)} | {_interval(row)} | {_interval(whole)} | {weights} | {seconds} | {answer} |")
    for name, label in (("blind", "blind prior (no image)"), ("majority", "majority answer")):
        scores = floors["results"]
        lines.append(f"| {label} | {scores['open'][name]:.1f} | {scores['all'][name]:.1f} | - | - | - |")
    return "\n".join(lines)


def conditions(summary: Mapping[str, Any]) -> str:
    """Return what the numbers were measured on, from the records."""
    record = json.loads((RESULTS / summary["rows"][0]["record"]).read_text(encoding="utf-8"))
    host, versions = record["volatile"]["host"], record["environment"]
    return (
        f"Exact match in percent [95 % bootstrap interval over questions], {summary['train_size']} training questions "
        f"of easy-VQA, one seed, the {summary['backbone']} model. {host['cpu']}, {host['threads']} thread, torch "
        f"{versions['torch']}, transformers {versions['transformers']}; other programs ran on the machine, so times "
        "are upper bounds. Records: [results/quickstart](results/quickstart)."
    )


def section() -> str:
    """Return what stands between the marks."""
    summary = json.loads((RESULTS / "summary.json").read_text(encoding="utf-8"))
    floors = json.loads((RESULTS / "floors.json").read_text(encoding="utf-8"))
    return f"{START}\n\n{table(summary, floors)}\n\n{conditions(summary)}\n\n{END}"


def main() -> None:
    """Rewrite the README."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    readme.write_text(re.sub(f"{START}.*{END}", lambda _: section(), text, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    main()
