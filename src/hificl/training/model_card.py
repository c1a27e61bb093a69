"""The model card of an adapter: what it is, what it was trained on, its size, its scores, how to use it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hificl.errors import InputError
from hificl.records import write_atomic

_SCORES = "## Scores\n"

_USAGE = """```python
import hificl

run = hificl.load("{folder}")
examples = [hificl.Example(id="1", images=["image.png"], question="What colour is it?", answers=["red"])]
print(hificl.evaluate(run, examples).predictions)
```"""


def model_card(record: Mapping[str, Any], takes_images: bool) -> str:
    """Return the card in Markdown, with its YAML head, from the record of a training run."""
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
    lines += [f"Trained with hificl {record['environment']['hificl']} on a frozen base.", ""]
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


def _facts(config: Mapping[str, Any], results: Mapping[str, Any], seed: int) -> dict[str, Any]:
    recipe = config["recipe"]
    facts = {
        "base": f"{config['backbone']['name']}, revision {config['backbone']['revision']}",
        "examples": f"{config['data']['examples']} (hash {config['data']['hash'][:16]})",
        "trainable parameters": f"{results['trainable_parameters']:,}",
        "optimiser steps": results["steps"],
        "examples per step": recipe["batch_size"],
        "learning rate": recipe["learning_rate"],
        "seed": seed,
    }
    return {**facts, **{f"peft: {name}": config["peft"][name] for name in ("num_virtual_tokens", "r", "share")
                        if config["peft"].get(name) is not None}}  # fmt: skip


def _scores(results: Mapping[str, Any]) -> str:
    if results.get("held_out_loss") is not None:
        loss = results["held_out_loss"]
        return f"Answer loss on held-out training examples: {loss:.4f}. No score on a query set was measured here."
    return "No score was measured in the training run; `hificl eval` measures one on your own query set."
