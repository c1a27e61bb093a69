"""Evaluation of the embedded model at 0 shots: batches of one, as in the published scripts, against what fits."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence

from torch import nn

from benchmarks.command import Bench, Script, run
from benchmarks.measure import in_turns
from benchmarks.rivals import PAIRS
from benchmarks.rows import Comparison, Measurement, Target
from hificl import TASKS, HiFICLConfig, load_backbone
from hificl.adapters.stored import new_adapter
from hificl.backbones import Backbone
from hificl.data import Example
from hificl.evaluation.generation import generate_answers

TARGET = Target(4.0, at_least=True)
NEW = 8
"""Most tokens of an answer."""


def evaluations(backbone: Backbone, model: nn.Module, questions: Sequence[Example]) -> dict[str, Callable[[], int]]:
    """Return calls that answer the questions one by one and in batches that fit; they return the smallest batch."""

    def evaluate(batch_size: int | None) -> int:
        generated = generate_answers(backbone, model, questions, batch_size=batch_size, max_new_tokens=NEW)
        return generated.smallest_batch

    return {"batches of one": lambda: evaluate(1), "batches that fit": lambda: evaluate(None)}


def measure(bench: Bench) -> Iterator[Measurement]:
    """Time both, for each number of questions."""
    on_gpu = bench.device.type == "cuda"
    backbone = load_backbone("embedded", device=bench.device)
    model = new_adapter(backbone, HiFICLConfig()).eval()
    questions = TASKS["easy_vqa"].load().queries
    for count in bench.sizes:
        bench.note(f"{count} questions")
        calls = evaluations(backbone, model, questions[:count])
        fits = calls["batches that fit"]()
        timings = in_turns(calls, clock=bench.clock, effort=bench.effort)
        yield Measurement(
            SCRIPT.name, {"backbone": "embedded", "questions": count, "batch": fits, "new_tokens": NEW, "pairs": PAIRS},
            bench.clock.name,
            (
                Comparison(
                    "time", "batches of one", "batches that fit",
                    timings.ratio("batches of one", "batches that fit"),
                    target=TARGET if on_gpu else None, note="" if on_gpu else "the target is for a GPU",
                ),
            ),
            {kind: timings.spread(kind) for kind in calls},
        )  # fmt: skip


SCRIPT = Script(
    "evaluation_batch", __doc__, measure, size_is="questions", sizes=(64,), quick_sizes=(6,),
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run(SCRIPT))
