"""Draw the README's tables from records.

``python scripts/readme_table.py`` rewrites the parts of README.md between the tables' marks from three folders in
``results``. First come ``hificl bench embedded`` and copying ``summary.json``, ``floors.json`` and the ``cell.json``
files of its ``quickstart`` folder to ``quickstart``, ``gates.json`` and the other cells to ``gates``; and
``hificl compare --task easy_vqa --seeds 3`` and copying its ``summary.json`` and ``cell.json`` files to ``compare``. A
test compares README and records.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hificl.comparison.page import as_markdown as comparison_page
from hificl.gates import as_markdown

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "quickstart"
GATES = ROOT / "results" / "gates" / "gates.json"
GATES_START, GATES_END = "<!-- gates table -->", "<!-- end of gates table -->"
COMPARE = ROOT / "results" / "compare" / "easy_vqa"
COMPARE_START, COMPARE_END = "<!-- comparison table -->", "<!-- end of comparison table -->"
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


def gates_section() -> str:
    """Return what stands between the marks of the gates."""
    results = json.loads(GATES.read_text(encoding="utf-8"))["results"]
    return f"{GATES_START}\n\n{as_markdown(results)}\n{GATES_END}"


def comparison_section() -> str:
    """Return what stands between the marks of the comparison: its page, with the title as a plain line."""
    summary = json.loads((COMPARE / "summary.json").read_text(encoding="utf-8"))
    title, _, page = comparison_page(summary).partition("\n\n")
    host = json.loads((COMPARE / summary["rows"][0]["record"]).read_text(encoding="utf-8"))["volatile"]["host"]
    where = f"{host['cpu']}, {host['threads']} thread. Records: [results/compare/easy_vqa](results/compare/easy_vqa)."
    return f"{COMPARE_START}\n\n{title.removeprefix('# ')}:\n\n{page}\n{where}\n\n{COMPARE_END}"


def main() -> None:
    """Rewrite the README."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    text = re.sub(f"{START}.*{END}", lambda _: section(), text, flags=re.DOTALL)
    text = re.sub(f"{GATES_START}.*{GATES_END}", lambda _: gates_section(), text, flags=re.DOTALL)
    text = re.sub(f"{COMPARE_START}.*{COMPARE_END}", lambda _: comparison_section(), text, flags=re.DOTALL)
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
