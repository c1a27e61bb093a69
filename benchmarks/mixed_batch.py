"""One batch in which every row has another adapter: against one adapter for all, and against one adapter at a time."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from benchmarks.command import Bench, Script, run
from benchmarks.decoders import Decoder, build
from benchmarks.measure import Call, in_turns
from benchmarks.rivals import PAIRS, attached
from benchmarks.rows import Comparison, Measurement, Target
from benchmarks.steps import FROM_HIDDEN
from hificl import HiFICLConfig

TARGET = Target(1.05)
THROUGHPUT = Target(5.0, at_least=True)
PROMPT, NEW = 64, 8
"""Tokens of a prompt and of an answer."""


def with_adapters(decoder: Decoder, count: int) -> tuple[Any, list[str]]:
    """Return the decoder with that many adapters of different values, and their names."""
    names = [f"adapter_{index}" for index in range(count)]
    config = HiFICLConfig(init_weights=False)
    model = attached(decoder, config)
    for name in names:
        model.add_adapter(name, config)
    return model.eval(), names


def answer(model: Any, ids: torch.Tensor, names: Sequence[str] | None = None) -> None:
    """Generate ``NEW`` tokens for prompts [batch tokens], with one name per row, or with the active adapter."""
    options: dict[str, Any] = {} if names is None else {"adapter_names": list(names)}
    model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, pad_token_id=0,
        min_new_tokens=NEW, max_new_tokens=NEW, **options,
    )  # fmt: skip


def generations(decoder: Decoder, count: int) -> dict[str, Call]:
    """Return the three ways to answer ``count`` prompts."""
    (model, names), (switched, _) = (with_adapters(decoder, count) for _ in range(2))
    ids = decoder.tokens(count, PROMPT)

    def one_at_a_time() -> None:
        for row, name in enumerate(names):
            switched.set_adapter(name)
            answer(switched, ids[row : row + 1])

    return {
        "mixed": lambda: answer(model, ids, names),
        "one adapter": lambda: answer(model, ids),
        "one at a time": one_at_a_time,
    }


def measure(bench: Bench) -> Iterator[Measurement]:
    """Time the three ways, for each decoder and number of adapters."""
    on_gpu = bench.device.type == "cuda"
    for name in bench.decoders:
        decoder = build(name, bench.device)
        target = TARGET if decoder.hidden >= FROM_HIDDEN else None
        note = "" if target else f"the target holds from hidden size {FROM_HIDDEN}"
        for count in bench.sizes:
            bench.note(f"{name}, {count} adapters")
            calls = generations(decoder, count)
            timings = in_turns(calls, clock=bench.clock, effort=bench.effort)
            sizes = {"adapters": count, "prompt": PROMPT, "new_tokens": NEW, "pairs": PAIRS}
            yield Measurement(
                SCRIPT.name, {**decoder.settings, **sizes}, bench.clock.name,
                (
                    Comparison(
                        "time", "mixed", "one adapter", timings.ratio("mixed", "one adapter"), target=target, note=note
                    ),
                    Comparison(
                        "time", "one at a time", "mixed", timings.ratio("one at a time", "mixed"),
                        target=THROUGHPUT if on_gpu else None, note="" if on_gpu else "the target is for a GPU",
                    ),
                ),
                {kind: timings.spread(kind) for kind in calls},
            )  # fmt: skip


SCRIPT = Script(
    "mixed_batch", __doc__, measure, size_is="adapters, one per row", sizes=(8,), quick_sizes=(3,),
    decoders=("small", "idefics2-slice"), cuda_decoders=("llava-interleave", "idefics2"), quick_decoders=("tiny",),
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run(SCRIPT))
