"""A training step of a left-padded batch of 8 with a mask, for the same rivals but prefix tuning."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from benchmarks.command import Bench, Script, run
from benchmarks.rows import Measurement, Target
from benchmarks.steps import measure_steps

TARGET = Target(1.05)
BATCH = 8
RIVALS = ("plain", "hificl", "prepended", "published", "lora")


def measure(bench: Bench) -> Iterator[Measurement]:
    """See :func:`benchmarks.steps.measure_steps`."""
    yield from measure_steps(bench, SCRIPT.name, RIVALS, TARGET, batch=BATCH, padded=True)


SCRIPT = Script(
    "padded_step", __doc__, measure, size_is="tokens, padding included", sizes=(160, 512), quick_sizes=(40,),
    decoders=("small", "small-grouped"), cuda_decoders=("llava-interleave", "idefics2"), quick_decoders=("tiny",),
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run(SCRIPT))
