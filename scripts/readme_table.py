"""Draw the README's tables from records.

``python scripts/readme_table.py`` rewrites the parts of README.md between the tables' marks from four folders in
``results``. ``hificl bench speed`` writes ``speed``. For the others first come ``hificl bench embedded`` and copying
``summary.json``, ``floors.json`` and the ``cell.json`` files of its ``quickstart`` folder to ``quickstart``,
``gates.json`` and the other cells to ``gates``; and ``hificl run grids/main.yaml --output results/experiments``. The
figures are those of the report of that folder. A test compares README and records.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hificl.gates import as_markdown
from hificl.reporting.draw import svg_bytes
from hificl.reporting.figures import Figure
from hificl.reporting.found import find_results
from hificl.reporting.names import method_label
from hificl.reporting.sections import all_sections

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "quickstart"
GATES = ROOT / "results" / "gates" / "gates.json"
GATES_START, GATES_END = "<!-- gates table -->", "<!-- end of gates table -->"
EXPERIMENTS = ROOT / "results" / "experiments"
MAIN_START, MAIN_END = "<!-- main table -->", "<!-- end of main table -->"
MAIN_COLUMNS = {
    ("easy_vqa", "open"): "easy-VQA, open",
    ("easy_vqa", "all"): "easy-VQA, all",
    ("flags", "all"): "flags",
    ("captions", "all"): "captions, CIDEr-D x 100",
}
FIGURES = ROOT / "docs" / "figures"
FIGURE_NAMES = ("main_easy_vqa_300_figure", "data_efficiency_easy_vqa_open_figure")
SURE = 0.05
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


def main_table(summary: Mapping[str, Any]) -> str:
    """Return one line for each method of the grid ``main``, its mean over the seeds on every task."""
    rows: dict[str, dict[tuple[str, str], Mapping[str, Any]]] = {}
    for mean in summary["means"]:
        if mean["control"] is None and mean["task"] != "relabel":
            rows.setdefault(mean["variant"], {})[mean["task"], mean["subset"]] = mean
    lines = [
        f"| method | trained weights | {' | '.join(MAIN_COLUMNS.values())} |",
        "|---|---:|" + "---:|" * len(MAIN_COLUMNS),
    ]
    for variant, found in rows.items():
        weights = max(mean["trainable_parameters"] for mean in found.values())
        name = f"**{method_label(variant)}**" if variant == "hificl" else method_label(variant)
        cells = " | ".join(_mean(found[place]) for place in MAIN_COLUMNS)
        lines.append(f"| {name} | {f'{weights:,}' if weights else '-'} | {cells} |")
    return "\n".join(lines)


def _mean(mean: Mapping[str, Any]) -> str:
    """Write a mean with its interval over seeds, and whether the difference to HiFICL is beyond chance."""
    raw = 100.0 / mean["scale"]
    sign = ""
    if mean["p_holm"] is not None and mean["p_holm"] < SURE:
        sign = " ▲" if mean["difference"] > 0 else " ▼"
    if mean["seed_ci95"] is None:
        return f"{raw * mean['score']:.1f}{sign}"
    low, high = mean["seed_ci95"]
    return f"{raw * mean['score']:.1f} [{raw * low:.1f}, {raw * high:.1f}]{sign}"


def main_section() -> str:
    """Return what stands between the marks of the main grid: table, figures, and what they were measured on."""
    summary = json.loads((EXPERIMENTS / "main.json").read_text(encoding="utf-8"))
    hosts = {
        json.loads((EXPERIMENTS / row["record"]).read_text(encoding="utf-8"))["volatile"]["host"]["cpu"]
        for row in summary["rows"]
    }
    seeds = max(len(mean["seeds"]) for mean in summary["means"])
    pictures = " ".join(f"![{figure.description}](docs/figures/{figure.name}.svg)" for figure in figures())
    where = (
        f"The embedded model, 300 training examples, means over {seeds} seeds [95 % interval over seeds]. ▼ and ▲: "
        "below and above HiFICL beyond chance (paired sign-flip test on the same questions, Holm, 5 %). "
        f"Demonstrations in the prompt: 4 on easy-VQA, 8 elsewhere. {', '.join(sorted(hosts))}, one thread. "
        "Records: [results/experiments](results/experiments)."
    )
    return f"{MAIN_START}\n\n{main_table(summary)}\n\n{where}\n\n{pictures}\n\n{MAIN_END}"


def figures() -> list[Figure]:
    """Return the README's figures from the records, as the report draws them."""
    drawn = {figure.name: figure for part in all_sections(find_results(EXPERIMENTS)) for figure in part.figures}
    return [drawn[name] for name in FIGURE_NAMES]


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
    text = re.sub(f"{MAIN_START}.*{MAIN_END}", lambda _: main_section(), text, flags=re.DOTALL)
    FIGURES.mkdir(exist_ok=True)
    for figure in figures():
        (FIGURES / f"{figure.name}.svg").write_bytes(svg_bytes(figure))
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
