"""The model card of an adapter: what it is, what it was trained on, its size, its scores, how to use it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hificl.errors import InputError
from hificl.methods import METHODS
from hificl.records import write_atomic

_SCORES = "## Scores\n"

_INTERNAL = ("peft_type", "task_type", "target_modules", "exclude_modules", "layers_pattern")

_USAGE = """```python
import hificl

run = hificl.load("{folder}")
examples = [hificl.Example(id="1", images=["image.png"], question="What colour is it?", answers=["red"])]
print(hificl.evaluate(run, examples).predictions)
```"""


def model_card(record: Mapping[str, Any], takes_images: bool) -> str:
    """Return the card in Markdown, with its YAML head, from the record of a run."""
    config, results = record["config"], record["results"]
    backbone = config["backbone"]
    tag = "image-text-to-text" if takes_images else "text-generation"
    head = {
        "base_model": backbone["name"],
        "library_name": "peft",
        "pipeline_tag": tag,
        "tags": ["hificl", config["method"]],
    }
    lines = ["---", *(f"{name}: {json.dumps(value)}" for name, value in head.items()), "---", ""]
    lines += [f"# {config['method']} adapter for {backbone['name']}", ""]
    done = "Fitted" if "fit" in results else "Trained"
    lines += [*_about(config["method"]), f"{done} with hificl {record['environment']['hificl']} on a frozen base.", ""]
    lines += ["## Use", "", _USAGE.format(folder="this/folder"), ""]
    lines += ["## Training", "", "| | |", "| --- | --- |"]
    lines += [f"| {name} | {value} |" for name, value in _facts(config, results, record["seed"]).items()]
    return "\n".join([*lines, "", _SCORES]) + f"\n{_scores(results)}\n"


def add_scores(adapter: Path, scores: Mapping[str, float]) -> None:
    """Put measured scores into the card of an adapter folder, in place of those that it shows.

    Args:
        adapter: The adapter folder.
        scores: Score by what was measured and on which data, such as ``"exact match, 500 questions of easy_vqa"``.

    Raises:
        InputError: The folder has no card that ``train`` wrote.
        RunError: The card could not be written.
    """
    file = adapter / "README.md"
    before, heading, _ = (file.read_text(encoding="utf-8") if file.is_file() else "").partition(_SCORES)
    if not heading:
        raise InputError(f"{file}: no model card with a section {_SCORES.strip()!r}; give the adapter folder of a run.")
    rows = [f"| {name} | {score:.2f} |" for name, score in scores.items()]
    write_atomic(file, (before + heading + "\n".join(["", "| | |", "| --- | --- |", *rows, ""])).encode())


def _about(method: str) -> list[str]:
    """Say what the method does and where it was published; nothing about a PEFT config that came from elsewhere."""
    if method not in METHODS:
        return []
    known = METHODS[method]
    return [f"{known.description[0].upper()}{known.description[1:]}.", f"Source: {known.source}.", ""]


def _facts(config: Mapping[str, Any], results: Mapping[str, Any], seed: int) -> dict[str, str]:
    backbone, data = config["backbone"], config["data"]
    facts = {
        "base": f"{backbone['name']}, revision {backbone['revision']}",
        "examples": f"{data['examples']} (hash {data['hash'][:16]})",
        "trainable parameters": f"{results['trainable_parameters']:,}",
    }
    if "stored_parameters" in results:
        facts["stored values"] = f"{results['stored_parameters']:,}"
    facts |= _fitting(config["recipe"]) if "fit" in results else _training(config["recipe"], results)
    facts["seed"] = str(seed)
    return facts | {f"peft: {name}": str(value) for name, value in config["peft"].items() if _is_telling(name, value)}


def _training(recipe: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, str]:
    facts = {
        "optimiser steps": str(results["steps"]),
        "examples per step": str(recipe["batch_size"]),
        "learning rate": str(recipe["learning_rate"]),
    }
    if recipe.get("teacher"):
        facts["teacher"] = (
            f"{recipe['teacher']}, {recipe['teacher_shots']} demonstrations, weight {recipe['teacher_weight']} beside "
            f"{recipe['answer_weight']} for the answers"
        )
    return facts


def _fitting(recipe: Mapping[str, Any]) -> dict[str, str]:
    return {"held out to choose by": f"{recipe['holdout']:.0%} of the examples, by {recipe['metric']}"}


def _is_telling(name: str, value: object) -> bool:
    """Plain values of the method; what PEFT has besides says nothing to a reader."""
    return isinstance(value, str | int | float) and not isinstance(value, bool) and name not in _INTERNAL


def _scores(results: Mapping[str, Any]) -> str:
    if results.get("held_out_loss") is not None:
        loss = results["held_out_loss"]
        return f"Answer loss on held-out training examples: {loss:.4f}. No score on a query set was measured here."
    return "No score was measured in the training run; `hificl eval` measures one on your own query set."
