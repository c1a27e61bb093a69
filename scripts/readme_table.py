"""Draw the README's tables from records.

``python scripts/readme_table.py`` rewrites the parts of README.md between the tables' marks from four folders in
``results``. ``hificl bench speed`` writes ``speed``. For the others first come ``hificl bench embedded`` and copying
``summary.json``, ``floors.json`` and the ``cell.json`` files of its ``quickstart`` folder to ``quickstart``,
``gates.json`` and the other cells to ``gates``; and ``hificl compare --task easy_vqa --seeds 3`` and copying its
``summary.json`` and ``cell.json`` files to ``compare``. A test compares README and records.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
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
SPEED = ROOT / "results" / "speed"
SPEED_START, SPEED_END = "<!-- speed table -->", "<!-- end of speed table -->"
SPEED_NAMES = {
    "attention": "attention, forward and backward",
    "training_step": "training step",
    "padded_step": "training step, padded batch of 8",
    "prefill": "prefill with cache",
    "decode": "decode step with cache",
    "teacher_training": "training to the end, MimIC with a teacher over HiFICL, by counted FLOPs",
    "prompt_length": "prefill, prompt with demonstrations over 0 shots with adapter, by counted FLOPs",
    "answer_logits": "logits of answer rows",
    "mixed_batch": "8 adapters in one batch",
    "evaluation_batch": "evaluation in batches that fit",
    "start_up": "start-up",
    "scaling": "growth of a training step",
}
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


def speed_table(records: Sequence[Mapping[str, Any]]) -> str:
    """Return one line for each number that has a target: over how many settings, the range of medians, how many met."""
    found: dict[tuple[str, str, str, str], list[Mapping[str, Any]]] = {}
    for record in sorted(records, key=lambda one: list(SPEED_NAMES).index(one["config"]["row"])):
        for one in record["volatile"]["comparisons"]:
            if one["target"] is not None:
                versus = f"{_rival_name(one['subject'])} / {one['rival']}" if one["rival"] else one["subject"]
                sign = ">=" if one["target"]["at_least"] else "<="
                what = (SPEED_NAMES[record["config"]["row"]], one["quantity"], versus)
                found.setdefault((*what, f"{sign} {one['target']['bound']:g}"), []).append(one)
    lines = ["| what | number | medians | target | met |", "|---|---|---|---|---|"]
    for (what, quantity, versus, target), numbers in found.items():
        medians = sorted(one["value"]["median"] for one in numbers)
        shown = f"{medians[0]:.3f}" if len(medians) == 1 else f"{medians[0]:.3f} to {medians[-1]:.3f}"
        met = sum(bool(one["met"]) for one in numbers)
        lines.append(f"| {what} | {quantity}, {versus} | {shown} | {target} | {met} of {len(numbers)} |")
    return "\n".join(lines)


def _rival_name(subject: str) -> str:
    """Take the number of demonstrations out, so that settings which differ in it share a line."""
    return re.sub(r"\d+ shots", "shots", subject)


def speed_section() -> str:
    """Return what stands between the marks of speed."""
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(SPEED.glob("*/*.json"))]
    hardware = sorted({record["config"]["hardware"] for record in records})
    torch = sorted({record["environment"]["torch"] for record in records})
    where = (
        f"Medians over settings (sizes, models, heads); {', '.join(hardware)}, one thread, torch {', '.join(torch)}. "
        "All numbers, with quartiles: [benchmarks/speed.csv](benchmarks/speed.csv); records: "
        "[results/speed](results/speed)."
    )
    return f"{SPEED_START}\n\n{speed_table(records)}\n\n{where}\n\n{SPEED_END}"


def main() -> None:
    """Rewrite the README."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    text = re.sub(f"{START}.*{END}", lambda _: section(), text, flags=re.DOTALL)
    text = re.sub(f"{GATES_START}.*{GATES_END}", lambda _: gates_section(), text, flags=re.DOTALL)
    text = re.sub(f"{SPEED_START}.*{SPEED_END}", lambda _: speed_section(), text, flags=re.DOTALL)
    text = re.sub(f"{COMPARE_START}.*{COMPARE_END}", lambda _: comparison_section(), text, flags=re.DOTALL)
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
