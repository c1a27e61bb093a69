"""A training step of the frozen decoder: plain, with pairs, with other adapters, with the other forms of the pairs."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from benchmarks.command import Bench, Script, run
from benchmarks.rivals import RIVALS
from benchmarks.rows import Measurement, Target
from benchmarks.steps import measure_steps

TARGET = Target(1.03)


def measure(bench: Bench) -> Iterator[Measurement]:
    """See :func:`benchmarks.steps.measure_steps`."""
    yield from measure_steps(bench, SCRIPT.name, RIVALS, TARGET)


SCRIPT = Script(
    "training_step", __doc__, measure, size_is="tokens", sizes=(512, 1024, 2048), quick_sizes=(96,),
    decoders=("small", "small-grouped", "idefics2-slice"), cuda_decoders=("llava-interleave", "idefics2"),
    quick_decoders=("tiny",),
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run(SCRIPT))
