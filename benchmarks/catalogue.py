"""The rows of the suite as data: what each script measures and how long it takes. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One script of this folder."""

    name: str
    """Name of the script, of its folder under ``results/speed``, and of the row in the table."""

    what: str
    """What is measured, against whom."""

    seconds: int
    """About how long it takes on one CPU core, full size."""


CATALOGUE = (
    Entry("attention", "attention, forward and backward, against plain causal attention", 600),
    Entry("training_step", "training step against the frozen decoder", 2400),
    Entry("padded_step", "training step of a padded batch of 8 against the frozen decoder", 300),
    Entry("prefill", "prefill with cache against zero-shot", 600),
    Entry("decode", "decode step with cache against zero-shot", 400),
    Entry("teacher_training", "training to the end against MimIC with its teacher", 1500),
    Entry("prompt_length", "prefill at 0 shots against prompts with demonstrations", 150),
    Entry("answer_logits", "logits of answer rows against logits of all rows", 60),
    Entry("mixed_batch", "8 adapters in one batch against one adapter", 180),
    Entry("evaluation_batch", "evaluation in batches that fit against batches of one", 60),
    Entry("start_up", "import and help against their limits in seconds", 90),
    Entry("scaling", "growth of time with tokens, pairs, rank, batch and layers", 700),
)
"""Every row, in the order of the table of targets."""

NAMES = tuple(entry.name for entry in CATALOGUE)
