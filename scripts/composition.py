"""Measure adapters beside other contexts: demonstrations in the prompt, another task's adapter, a second opening.

``python scripts/composition.py run`` trains and evaluates, resumably, and keeps the record of every evaluation under
``results/composition``; ``python scripts/composition.py table`` draws the tables of docs/demonstrations.md from these
records, which a test compares. ``run`` needs ``hificl data fetch`` of smollm2, noun_kinds and sentiment, and about an
hour and a half on one core.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from marked_sections import marked, rewrite
from peft import get_peft_model
from torch import Tensor

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "composition"
PAGE = ROOT / "docs" / "demonstrations.md"
SEEDS = (0, 1, 2)
SHOTS = (0, 1, 2, 4, 8)
QUERIES = 200

BESIDE: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "frozen": ("the frozen model", "", {}),
    "hificl": ("HiFICL", "hificl", {}),
    "hificl_start": (
        "HiFICL from demonstrations", "hificl", {"init": "demonstrations", "learn_score_offset": True}
    ),
    "prefix_tuning": ("prefix tuning", "prefix_tuning", {}),
    "lora": ("LoRA", "lora", {}),
}  # fmt: skip
"""What stands beside demonstrations in the prompt: its name in the table, its method and options."""

TASKS = ("noun_kinds", "sentiment")
DTYPE = "bfloat16"
"""Of SmolLM2, as it was published; float32 for the logits of a second opening."""
MIXES: Mapping[str, Mapping[str, float]] = {
    "frozen": {},
    "noun_kinds": {"noun_kinds": 1.0},
    "sentiment": {"sentiment": 1.0},
    "both": {"noun_kinds": 1.0, "sentiment": 1.0},
    "both, sentiment at a half": {"noun_kinds": 1.0, "sentiment": 0.5},
    "both, noun_kinds at a half": {"noun_kinds": 0.5, "sentiment": 1.0},
}
"""Active adapters with their weights."""

OPENING: Mapping[str, str] = {"embedded": "easy_vqa", "smollm2": "noun_kinds"}
"""Models whose opening is written a second time, and the task of each."""
OPENING_QUERIES = 50

MARKS = {
    "opening": ("<!-- opening -->", "<!-- end of opening -->"),
    "beside": ("<!-- beside demonstrations -->", "<!-- end of beside demonstrations -->"),
    "together": ("<!-- two tasks -->", "<!-- end of two tasks -->"),
}


@dataclass(frozen=True)
class Place:
    """Where the record of one evaluation lies."""

    kind: str
    name: str
    detail: str
    seed: int

    @property
    def folder(self) -> Path:
        """Its folder; the names are those of the settings."""
        return RESULTS / self.kind / re.sub("[^a-z_0-9]+", "_", self.name) / f"{self.detail}_seed{self.seed}"

    @property
    def is_done(self) -> bool:
        """Whether the evaluation was finished."""
        return (self.folder / "record.json").is_file()

    @property
    def score(self) -> float:
        """Its score in percent."""
        return float(json.loads((self.folder / "record.json").read_text(encoding="utf-8"))["results"]["score"])


def beside_places(name: str, seed: int) -> dict[int, Place]:
    """Return the places of one adapter by the number of demonstrations beside it."""
    return {shots: Place("beside", name, f"{shots}shots", seed) for shots in SHOTS}


def together_places(seed: int) -> dict[tuple[str, str], Place]:
    """Return the places of all mixes by mix and task."""
    return {(mix, task): Place("together", mix, f"{task}_{DTYPE}", seed) for mix in MIXES for task in TASKS}


def measure_beside(seed: int) -> None:
    """Evaluate adapters for easy-VQA with real demonstrations in the prompt."""
    import hificl

    backbone = hificl.load_backbone("embedded")
    data = hificl.TASKS["easy_vqa"].load(support_size=100, query_size=QUERIES, seed=seed)
    for name, (_, method, options) in BESIDE.items():
        missing = {shots: place for shots, place in beside_places(name, seed).items() if not place.is_done}
        if not missing:
            continue
        with _trained(backbone, data.support, method, seed, options) as asked:
            for shots, place in missing.items():
                shown = data.support if shots else ()
                hificl.evaluate(
                    asked, data.queries, shots=shots, demonstrations=shown, seed=seed, output_dir=place.folder,
                    source={"task": "easy_vqa", "support_size": len(data.support)},
                )  # fmt: skip


def measure_together(seed: int) -> None:
    """Evaluate adapters of two tasks alone and together, on both."""
    import hificl

    places = together_places(seed)
    if all(place.is_done for place in places.values()):
        return
    backbone = hificl.load_backbone("smollm2", dtype=DTYPE)
    data = {task: hificl.TASKS[task].load(support_size=100, query_size=QUERIES, seed=seed) for task in TASKS}
    with tempfile.TemporaryDirectory() as folder:
        for task in TASKS:
            hificl.train(backbone, data[task].support, output_dir=f"{folder}/{task}", seed=seed, micro_batch_size=4)
        model = hificl.load(f"{folder}/{TASKS[0]}", backbone=backbone).model
        model.load_adapter(f"{folder}/{TASKS[0]}/adapter", adapter_name=TASKS[0])
        model.load_adapter(f"{folder}/{TASKS[1]}/adapter", adapter_name=TASKS[1])
        for (mix, task), place in places.items():
            if place.is_done:
                continue
            asked: Any = backbone
            if MIXES[mix]:
                model.base_model.set_adapter(list(MIXES[mix]))
                model.set_adapter_weights(MIXES[mix])
                asked = replace(backbone, model=model.eval())
            source = {"task": task, "support_size": len(data[task].support)}
            hificl.evaluate(asked, data[task].queries, output_dir=place.folder, source=source)


@contextmanager
def _trained(backbone: Any, support: Any, method: str, seed: int, options: Mapping[str, Any]) -> Iterator[Any]:
    """Train an adapter in a folder that is gone afterwards; without a method, give the frozen model."""
    import hificl

    if not method:
        yield backbone
        return
    with tempfile.TemporaryDirectory() as folder:
        yield hificl.train(backbone, support, method=method, output_dir=folder, seed=seed, **options)


def measure_opening(seed: int) -> None:
    """Compare logits behind eight demonstrations with those of all their tokens as pairs, opening written or not."""
    import hificl
    from hificl.backbones import with_opening
    from hificl.records import environment, write_json

    for model, task in OPENING.items():
        place = Place("opening", model, task, seed)
        if place.is_done:
            continue
        backbone = hificl.load_backbone(model)
        data = hificl.TASKS[task].load(support_size=8, query_size=OPENING_QUERIES, seed=seed)
        captured = hificl.capture_demonstrations(backbone, data.support)
        plain = {"factorize_key": False, "factorize_value": False}
        adapted = get_peft_model(
            hificl.load_backbone(model).model, hificl.HiFICLConfig(num_virtual_tokens=captured.tokens, **plain)
        )
        asking = hificl.initialise_from_demonstrations(adapted, captured, backbone=backbone).backbone
        forms = {"in the adapter": asking, "in both": with_opening(asking, "written")}
        found: dict[str, list[tuple[float, bool]]] = {name: [] for name in forms}
        sizes = []
        for query in data.queries:
            wanted = _next_logits(backbone, backbone.model, query, data.support)
            sizes.append(float(wanted.abs().max()))
            for name, form in forms.items():
                logits = _next_logits(form, adapted.eval(), query, ())
                same = bool(logits.argmax() == wanted.argmax())
                found[name].append((float((logits - wanted).abs().max()), same))
        results = {
            name: {
                "largest_difference": max(difference for difference, _ in one),
                "mean_difference": statistics.mean(difference for difference, _ in one),
                "same_token": statistics.mean(same for _, same in one),
            }
            for name, one in found.items()
        }
        config = {"model": model, "revision": backbone.revision, "task": task, "shots": 8, "tokens": captured.tokens}
        ids = {"support": [one.id for one in data.support], "queries": [one.id for one in data.queries]}
        write_json(
            place.folder / "record.json",
            {
                "kind": "opening", "config": config, "seed": seed, "sample_ids": ids,
                "results": {**results, "largest_logit": statistics.mean(sizes)}, "environment": environment(),
            },
        )  # fmt: skip


def _next_logits(backbone: Any, model: Any, query: Any, shown: Any) -> Tensor:
    """Return the logits of the token that follows a prompt."""
    from hificl.backbones import collate, encode

    batch = collate(backbone, [encode(backbone, query, demonstrations=shown)])
    with torch.no_grad():
        found: Tensor = model(**{name: value for name, value in batch.items() if name != "labels"}).logits[0, -1]
    return found


def opening_table() -> str:
    """Return the table of what a second opening costs."""
    lines = [
        "| model, task | opening | largest difference of a logit | mean of the largest | same next token |",
        "|---|---|---|---|---|",
    ]
    for model, task in OPENING.items():
        for form in ("in the adapter", "in both"):
            records = [
                json.loads((Place("opening", model, task, seed).folder / "record.json").read_text(encoding="utf-8"))
                for seed in SEEDS
            ]
            own = [record["results"][form] for record in records]
            size = statistics.mean(record["results"]["largest_logit"] for record in records)
            mean = statistics.mean(one["mean_difference"] for one in own)
            lines.append(
                f"| `{model}`, `{task}` (largest logit {size:.0f}) | {form} | "
                f"{max(one['largest_difference'] for one in own):.2g} | {mean:.2g} | "
                f"{100 * statistics.mean(one['same_token'] for one in own):.0f} % |"
            )
    return "\n".join(lines)


def beside_table() -> str:
    """Return the table of adapters beside demonstrations."""
    shown = " | ".join(f"{shots} in the prompt" for shots in SHOTS)
    lines = [f"| | {shown} |", "|---" * (len(SHOTS) + 1) + "|"]
    for name, (label, _, _) in BESIDE.items():
        cells = [_mean([beside_places(name, seed)[shots] for seed in SEEDS]) for shots in SHOTS]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def together_table() -> str:
    """Return the table of two tasks' adapters together."""
    lines = [f"| active | on `{TASKS[0]}` | on `{TASKS[1]}` |", "|---|---|---|"]
    for mix in MIXES:
        cells = [_mean([together_places(seed)[mix, task] for seed in SEEDS]) for task in TASKS]
        lines.append(f"| {mix} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _mean(places: list[Place]) -> str:
    scores = [place.score for place in places]
    return f"{statistics.mean(scores):.1f} ({min(scores):.1f} to {max(scores):.1f})"


def sections() -> dict[str, str]:
    """Return what stands in docs/demonstrations.md, with its marks."""
    return marked(MARKS, _tables())


def _tables() -> dict[str, str]:
    page = PAGE.read_text(encoding="utf-8")
    makers = {"beside": beside_table, "together": together_table, "opening": opening_table}
    return {name: make() for name, make in makers.items() if MARKS[name][0] in page}


def main() -> None:
    """Measure, or rewrite the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table"))
    if parser.parse_args().what == "table":
        rewrite(PAGE, MARKS, _tables())
        return
    for seed in SEEDS:
        measure_beside(seed)
        measure_opening(seed)
        measure_together(seed)


if __name__ == "__main__":
    main()
