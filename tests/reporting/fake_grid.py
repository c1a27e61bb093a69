"""One made-up grid: rows, means, measurements and holes in the form of real ones, with a record behind each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

HOSTILE = "<script>alert('x')</script> & \"quoted\" | **bold** $100% _a_ \\input{x} \N{SNAKE}\N{VARIATION SELECTOR-16}"
REVISION = "content:0123456789abcdef"
ENVIRONMENT = {
    "python": "3.11.7",
    "torch": "2.13.0+cpu",
    "transformers": "5.23.0",
    "peft": "0.21.2",
    "commit": "a" * 40,
}
HOST = {"cpu": "Example CPU", "threads": 1, "gpu": None, "system": "Linux-6"}
QUERIES = ("q/1", "q/2", "q/3", "q/4", "q/5")
Json = dict[str, Any]


def write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def cell_record(score: float, subset: str = "all", answers: Sequence[str] = (), **results: Any) -> Json:
    predictions = [
        {"id": name, "prediction": answer, "answers": ["red"], "score": float(answer == "red")}
        for name, answer in zip(QUERIES, answers, strict=False)
    ]
    return {
        "kind": "cell",
        "config": {"revision": REVISION, "metric": "exact_match"},
        "results": {
            "scale": 100.0,
            "subsets": {subset: {"score": score, "score_ci95": [score - 2, score + 2], "items": 5}},
            "predictions": predictions,
            **results,
        },
        "environment": ENVIRONMENT,
        "volatile": {"host": HOST, "date": "2026-11-23T01:40:18+00:00"},
    }


class FakeGrid:
    """Collects the rows, means and cells of one grid; ``write`` puts all of it into a folder."""

    def __init__(self, name: str, axes: Sequence[str] = ("task", "variant"), **facts: Any) -> None:
        self.summary: Json = {
            "kind": "grid", "grid": name, "title": f"Grid {name}", "artefact": "Table 1 of arXiv 2603.12760",
            "question": "How far is each method from HiFICL?", "tier": "embedded", "backbone": "embedded",
            "revision": REVISION, "command": f"hificl run grids/{name}.yaml", "planned": 9, "finished": 8,
            "axes": list(axes), "headline_subset": {}, "values": {}, "data": {}, "rows": [], "means": [],
            "measurements": [], "failed": [], "missing": [], **facts,
        }  # fmt: skip
        self.records: dict[str, Json] = {}

    def add(
        self, task: str, variant: str, scores: Sequence[float], *, difference: float | None = None,
        p_holm: float = 0.001, half: float = 1.5,
        point: Mapping[str, Any] | None = None, subset: str = "all", headline: bool = True,
        control: str | None = None, shots: int = 0, answers: Sequence[str] = (), details: Json | None = None,
        train_size: int = 300, metric: str = "exact_match", scale: float = 100.0, is_reference: bool | None = None,
        trained: int | None = None,
    ) -> FakeGrid:  # fmt: skip
        place = {"task": task, "variant": variant, **(point or {})}
        common = {
            "task": task, "method": variant.split("_additive")[0], "variant": variant, "backbone": "embedded",
            "shots": shots, "train_size": train_size, "control": control, "point": place, "subset": subset,
            "headline": headline, "metric": metric, "scale": scale,
        }  # fmt: skip
        suffix = "_".join(f"{name}{value}" for name, value in (point or {}).items())
        records = []
        for seed, score in enumerate(scores):
            name = f"cells/{task}/{variant}{suffix}{control or ''}_seed{seed}/cell.json"
            record = self.records.setdefault(name, cell_record(score, subset, answers))
            record["results"]["subsets"][subset] = {"score": score, "score_ci95": [score - 2, score + 2], "items": 5}
            if control is not None:
                record["config"]["revision"] = f"{REVISION}+{control}:{seed}"
            records.append(name)
            self.summary["rows"].append(
                {
                    **common, "cell": name.split("/")[2], "measure": "score", "query_size": 5, "seed": seed,
                    "options": {},
                    "score": score, "score_ci95": [score - 2, score + 2], "items": 5, "details": details,
                    "trainable_parameters": trained or (18432 if variant.startswith("hificl") else 0),
                    "stored_parameters": 0,
                    "stored_bytes": 77408, "train_seconds": 29.5, "seconds_per_answer": 0.0038,
                    "peak_memory_bytes": 804_880_384, "record": name,
                }
            )  # fmt: skip
        mean = fmean(scores)
        reference = variant == "hificl" and not point and control is None
        self.summary["means"].append(
            {
                **common, "line": variant, "items": 5, "seeds": list(range(len(scores))), "score": mean,
                "seed_scores": list(scores), "seed_sd": 0.5, "seed_ci95": [mean - half, mean + half],
                "score_ci95": [mean - 2, mean + 2], "reference": "hificl",
                "difference": None if reference else difference,
                "difference_ci95": None if reference or difference is None else [difference - 1, difference + 1],
                "p_value": None if reference or difference is None else p_holm,
                "p_holm": None if reference or difference is None else p_holm,
                **({} if is_reference is None else {"is_reference": is_reference}),
                "trainable_parameters": 18432, "stored_parameters": 18432, "records": records,
            }
        )  # fmt: skip
        return self

    def hole(
        self, kind: str, task: str, variant: str, error: str = "RunError: out of memory", **point: Any
    ) -> FakeGrid:
        one: Json = {
            "cell": f"{variant}_seed0-0123", "measure": "score", "task": task, "variant": variant, "seed": 0,
            "point": {"task": task, "variant": variant, **point},
        }  # fmt: skip
        self.summary[kind].append(
            {**one, "error": error, "record": "cells/failed/error.json"} if kind == "failed" else one
        )
        return self

    def measure(
        self,
        measure: str,
        task: str,
        variant: str,
        seed: int,
        results: Json,
        volatile: Json | None = None,
        point: Json | None = None,
        options: Json | None = None,
    ) -> FakeGrid:
        name = f"cells/{task}/{measure}_{variant}_seed{seed}_{len(self.records)}/cell.json"
        self.records[name] = cell_record(0.0)
        self.summary["measurements"].append(
            {
                "measure": measure, "task": task, "method": variant, "variant": variant, "seed": seed, "shots": 0,
                "point": {"task": task, "variant": variant, **(point or {})}, "results": results,
                "volatile": volatile or {}, "record": name, "options": options or {},
            }
        )  # fmt: skip
        return self

    def write(self, folder: Path) -> Path:
        for name, record in self.records.items():
            write(folder / name, record)
        if self.summary["failed"]:
            write(folder / "cells/failed/error.json", {"kind": "error"})
        return write(folder / f"{self.summary['grid']}.json", self.summary)
