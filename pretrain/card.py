"""Writes the model card from the records, so that every number in it is one that a run wrote.

Run: `python -m pretrain.card --run RUN_RECORD.json --probe PROBE_RECORD.json --output README.md`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from pretrain.data.packages import read_manifest
from pretrain.recipe import RECIPES

HEAD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: image-text-to-text
language: en
---

# The embedded model of hificl

A `LlavaForConditionalGeneration` of {millions:.1f} million parameters (SigLIP tower {vision_layers} x {vision_width},
Qwen2 decoder {text_layers} x {text_width} with {heads} query and {kv_heads} key-value heads, {vocabulary} tokens) for
64x64 pixel images, 16 visual tokens each, stored in bf16. It exists so that adapters can be tried within minutes on a
laptop. It is no general model: it knows coloured shapes, some emoji and a few hundred words.

Prompt: `<s>` (set by the processor), then rounds of `<image> {{question}} A: {{answer}}` and a newline. A query ends
with ` A:`; the newline ends the answer. Without demonstrations it mostly answers in a sentence; demonstrations show it
which form is wanted. easy-VQA, its evaluation, is in no part of the pretraining, neither images nor questions.

## Sources

| source | licence |
| --- | --- |
"""

USE = """
Emoji graphics: Twemoji, copyright Twitter, Inc and other contributors, CC-BY 4.0; Noto Emoji, copyright Google,
Apache-2.0. One name in ten is held out of training. No image is shipped.

## How it was made

`python -m pretrain --output FOLDER --size {size} --seed {seed}`: {minutes:.0f} minutes of training on {threads} thread
of "{processor}". Versions: {versions}.

| stage | steps | batch | minutes | loss at the end | probes at the end (held-out material, percent) |
| --- | --- | --- | --- | --- | --- |
"""

PROBES = """
The batch is images in the vision stage and tokens elsewhere. Probes are exact match over 60 episodes: `short0/4/8` are
one-word answers about own scenes after 0, 4 and 8 demonstrations, `prefix` copies a prefix word never used as one in
training, `map8` and `asked8` recall a word's partner, `same2`, `color2`, `emoji2` and `shape2` bind two made-up labels
to images (chance is 50), `sentence0` is the sentence habit matched exactly.

## What it scores on easy-VQA

{queries} test questions, {support} training questions (the source of demonstrations, and what the adapters train on:
300 steps of 16 questions). Exact match in percent with 95 % bootstrap intervals over the questions. Open questions ask
for a colour or a shape. Adapters are shown at two learning rates that were not tuned: a check of the model, not a
comparison of methods. "Random decoder" keeps the tower and draws everything else anew: what the same adapter reaches
without the pretraining.

| setting | open | colour | shape | yes/no | all |
| --- | --- | --- | --- | --- | --- |
"""

LIMITS = """
## Limits

- Binding made-up labels to images from demonstrations was not learned: the four two-way probes above stand near
  chance. What demonstrations do is show the form of the answer.
- Yes/no questions were not learned either: in context they are under chance, partly because "is a circle present?" is
  read as a question for the shape. Only adaptation helps there.
- One seed, one run; its stages were run one by one during development. The second stage was repeated to the same bits
  on the same machine; the whole has not been repeated. The images are synthetic or emoji; nothing
  here says anything about photographs.
"""


def _cell(entry: dict[str, Any]) -> str:
    low, high = entry["ci95"]
    return f"{entry['score']:.1f} [{low:.1f}, {high:.1f}]"


def stage_rows(record: dict[str, Any]) -> str:
    """Return one row per stage with its last log line."""
    rows = ""
    for stage in record["stages"]:
        last = dict(stage["last"])
        steps, seconds, loss = last["step"], last["seconds"], last["loss"]
        scores = {k: v for k, v in last.items() if k not in ("stage", "step", "of", "seconds", "eta", "loss")}
        probes = ", ".join(f"{name} {value:g}" for name, value in scores.items())
        rows += f"| {stage['name']} | {steps} | {stage['batch']} | {seconds / 60:.1f} | {loss:.2f} | {probes} |\n"
    return rows


def score_rows(probe: dict[str, Any]) -> str:
    """Return one row per setting, and one per learning rate of an adapter."""
    rows = ""
    for name, result in probe["results"].items():
        settings = {name: result} if "open" in result else {f"{name}, {rate}": result[rate] for rate in result}
        for label, scores in settings.items():
            cells = " | ".join(_cell(scores[kind]) for kind in ("open", "color", "shape", "yes/no", "all"))
            rows += f"| {label} | {cells} |\n"
    return rows


def write_card(record: dict[str, Any], probe: dict[str, Any]) -> str:
    """Return the whole card."""
    sources = "".join(f"| {p.package} {p.version} ({p.registry}) | {p.licence} |\n" for p in read_manifest())
    sources += "| own procedural scenes, drawn by `pretrain/data/scenes.py` | Apache-2.0 |\n"
    volatile = record["volatile"]
    versions = ", ".join(f"{name} {number}" for name, number in record["environment"].items())
    head = HEAD.format(millions=probe["parameters"] / 1e6, **RECIPES[record["size"]].architecture.__dict__)
    use = USE.format(
        size=record["size"],
        seed=record["seed"],
        minutes=volatile["seconds"] / 60,
        threads=volatile["threads"],
        processor=volatile["processor"],
        versions=versions,
    )
    middle = PROBES.format(queries=probe["queries"], support=probe["support"])
    return head + sources + use + stage_rows(record) + middle + score_rows(probe) + LIMITS


def main() -> None:
    """Write the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="record.json of the run")
    parser.add_argument("--probe", type=Path, required=True, help="record of pretrain.probe_easy_vqa")
    parser.add_argument("--output", type=Path, required=True, help="the README.md of the model folder")
    options = parser.parse_args()
    options.output.write_text(write_card(json.loads(options.run.read_text()), json.loads(options.probe.read_text())))


if __name__ == "__main__":
    main()
