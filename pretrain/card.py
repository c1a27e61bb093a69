"""Writes the model card from the records, so that every number in it is one that a run wrote.

Run: `python -m pretrain.card --run RUN_RECORD.json --gates GATES.json --model FOLDER`.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open

from hificl.data.packages import read_manifest
from hificl.gates import as_markdown
from pretrain.data import SOURCES

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
laptop. It is no general model: it knows coloured shapes, emoji, digits, garments, flags and some hundreds of words.

Prompt: `<s>` (set by the processor), then rounds of `<image> {{question}} A: {{answer}}` and a newline. A query ends
with ` A:`; the newline ends the answer. Without demonstrations it mostly answers in a sentence; demonstrations show it
which form is wanted. easy-VQA, its evaluation, is in no part of the pretraining, neither images nor questions.

## Sources

| source | licence |
| --- | --- |
"""

USE = """
{attributions}
One name in ten is held out of training, and so are the Noto drawings that the captions task asks about, the drawings of
flags that the flags task shows, and made-up labels for garments. No image is shipped with the model.

## How it was made

`python -m pretrain --output FOLDER --size {size} --seed {seed}`: {minutes:.0f} minutes of training on {threads} thread
of "{processor}". Versions: {versions}.

The decoder starts as an induction circuit (`pretrain/induction_start.py`): attention that finds the answers of like
pictures and copies them, written into the first weights. Without it, binding did not appear within an hour. The stage
`binding` trains it on made-up labels; in `mix` its attention is frozen, because true answers, while they are new, would
drown it; `polish` trains everything.

| stage | steps | batch | minutes | loss at the end | probes at the end (held-out material, percent) |
| --- | --- | --- | --- | --- | --- |
"""

PROBES = """
The batch is images in the vision stage and tokens elsewhere. Probes are exact match over 60 episodes: `short0/4/8/16`
are one-word answers about own scenes after so many demonstrations, `presence8` the yes/no questions among them;
`prefix` copies a prefix word never used as one in training, `sentence0` is the sentence habit matched exactly; `same2`,
`color2`, `emoji2`, `shape2`, `garment2` bind two made-up labels to images after 8 demonstrations, `color4` and
`emoji4` four.

## Gates

`hificl bench embedded` on the stored bf16 file: easy-VQA, {train_size} training questions and 500 test questions, the
scores on the 250 open ones (which ask for a colour or a shape); binding on easy-VQA and Fashion-MNIST test images that
no training saw. Exact match in percent; differences in points. A gate passes on the point estimate.

"""

LIMITS = """
## Limits

- It was looked at through these gates during development; they are demands, not a held-out test.
- The images are synthetic, drawn or emoji; nothing here says anything about photographs.
- One seed, one run, on one machine. The vision stage was kept while the later stages were developed; the whole has not
  been repeated from the start.
- Knowledge is thin. On the tasks `flags` and `captions` adapters end near what blind guessing reaches: it recognises
  few countries, knows few facts about them, and names few emoji. Yes/no questions stand near chance in context.
"""


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


def source_rows(pools: Mapping[str, int]) -> tuple[str, str]:
    """Return the rows of the sources' table and the lines of their attributions."""
    names = {name for pool in pools for name in SOURCES[pool].packages}
    packages = [package for package in read_manifest().values() if package.name in names]
    rows = "".join(f"| {p.name} {p.version} ({p.registry}) | {p.licence} |\n" for p in packages)
    rows += "| own procedural scenes, drawn by `pretrain/data/scenes.py` | Apache-2.0 |\n"
    return rows, "".join(f"- {p.attribution}.\n" for p in packages)


def write_card(record: dict[str, Any], gates: dict[str, Any], parameters: int) -> str:
    """Return the whole card.

    record: of the run.  gates: of `hificl bench embedded`.  parameters: number of the model's weights.
    """
    rows, attributions = source_rows(record["pools"])
    volatile = record["volatile"]
    versions = ", ".join(f"{name} {number}" for name, number in record["environment"].items())
    head = HEAD.format(millions=parameters / 1e6, **record["architecture"])
    use = USE.format(
        size=record["size"],
        seed=record["seed"],
        minutes=volatile["seconds"] / 60,
        threads=volatile["threads"],
        processor=volatile["processor"],
        versions=versions,
        attributions=attributions,
    )
    probes = PROBES.format(train_size=gates["config"]["train_size"])
    return head + rows + use + stage_rows(record) + probes + as_markdown(gates["results"]) + LIMITS


def main() -> None:
    """Write the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="record.json of the run")
    parser.add_argument("--gates", type=Path, required=True, help="gates.json of `hificl bench embedded`")
    parser.add_argument("--model", type=Path, required=True, help="the model folder, which gets the README.md")
    options = parser.parse_args()
    with safe_open(options.model / "model.safetensors", "pt") as weights:
        parameters = sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    card = write_card(json.loads(options.run.read_text()), json.loads(options.gates.read_text()), parameters)
    (options.model / "README.md").write_text(card)


if __name__ == "__main__":
    main()
