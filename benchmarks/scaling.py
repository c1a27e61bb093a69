"""How the time of a training step grows with tokens, pairs, rank, batch and layers, beside the plain decoder's."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.command import Bench, Script, run
from benchmarks.decoders import Decoder, build
from benchmarks.measure import Effort, Spread, Timings, in_turns, slope
from benchmarks.rivals import PAIRS, rival
from benchmarks.rows import Comparison, Measurement, Target
from benchmarks.steps import ANSWER_ROWS, FROM_HIDDEN, training_step
from hificl.diagnostics.memory import peak_bytes

TARGET = Target(0.05)
"""Our own: no axis may cost more than this much in the exponent over the plain decoder."""

EFFORT = Effort(7, 7, 0.0)
TOKENS = 512
"""Tokens wherever they are not the axis."""


@dataclass(frozen=True)
class Axis:
    """One thing that grows while the rest stays."""

    points: tuple[int, ...]
    """Its values."""

    quick_points: tuple[int, ...]
    """Those of ``--quick``."""

    arguments: Callable[[int], Mapping[str, Any]]
    """What :func:`steps_at` gets for one of them."""


AXES: Mapping[str, Axis] = {
    "tokens": Axis((256, 512, 1024, 2048, 4096, 8192), (32, 64, 128), lambda point: {"tokens": point}),
    "pairs": Axis((2, 4, 8, 16, 32, 64), (2, 8), lambda point: {"options": {"num_virtual_tokens": point}}),
    "rank": Axis((1, 2, 4, 8, 16, 32), (2, 8), lambda point: {"options": {"r": point}}),
    "batch": Axis((1, 2, 4, 8), (1, 2), lambda point: {"batch": point}),
    "layers": Axis((1, 2, 4, 8), (1, 2), lambda point: {"layers": point}),
}


def steps_at(
    bench: Bench,
    decoder: Decoder,
    *,
    tokens: int = TOKENS,
    batch: int = 1,
    layers: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> tuple[Timings, dict[str, int]]:
    """Time one step of the plain decoder and one with pairs, and count the memory of both."""
    if layers is not None:
        decoder = build(decoder.name, bench.device, num_hidden_layers=layers)
    models = {"plain": rival(decoder, "plain"), "hificl": rival(decoder, "hificl", **(options or {}))}
    calls = {name: training_step(model, decoder, tokens, batch=batch) for name, model in models.items()}
    timings = in_turns(calls, clock=bench.clock, effort=bench.effort if bench.quick else EFFORT)
    return timings, {name: peak_bytes(call, bench.device) for name, call in calls.items()}


def exponents(points: Sequence[int], found: Sequence[Timings], name: str) -> list[float]:
    """Return the exponent of a rival's time along an axis, one per round."""
    rounds = zip(*(timings.seconds[name] for timings in found), strict=True)
    return [slope(points, seconds) for seconds in rounds]


def measure(bench: Bench) -> Iterator[Measurement]:
    """Measure along every axis, for each decoder."""
    for name in bench.decoders:
        decoder = build(name, bench.device)
        for axis_name, axis in AXES.items():
            points = axis.quick_points if bench.quick else axis.points
            found, memory = [], []
            for point in points:
                bench.note(f"{name}, {axis_name} {point}")
                timings, peaks = steps_at(bench, decoder, **axis.arguments(point))
                found.append(timings)
                memory.append(peaks)
            yield measurement(bench, decoder, axis_name, points, found, memory)


def measurement(
    bench: Bench,
    decoder: Decoder,
    axis: str,
    points: Sequence[int],
    found: Sequence[Timings],
    memory: Sequence[Mapping[str, int]],
) -> Measurement:
    """Return the exponents along one axis, and what was timed at each point."""
    ours, plain = (exponents(points, found, name) for name in ("hificl", "plain"))
    excess = Spread.of([one - other for one, other in zip(ours, plain, strict=True)])
    held = {name: slope(points, [peaks[name] for peaks in memory]) for name in ("hificl", "plain")}
    more_held = held["hificl"] - held["plain"]
    seconds = {
        f"{name} at {point}": timings.spread(name)
        for point, timings in zip(points, found, strict=True)
        for name in timings.seconds
    }
    peaks = {f"{name} at {point}": one[name] for point, one in zip(points, memory, strict=True) for name in one}
    target = TARGET if decoder.hidden >= FROM_HIDDEN else None
    comparisons = (
        Comparison("exponent of time, difference", "hificl", "plain", excess, unit="exponent", target=target),
        Comparison("exponent of time", "hificl", "", Spread.of(ours), unit="exponent"),
        Comparison("exponent of time", "plain", "", Spread.of(plain), unit="exponent"),
        Comparison(
            "exponent of peak memory, difference", "hificl", "plain", Spread(more_held, more_held, more_held, 1),
            unit="exponent", target=target,
        ),
    )  # fmt: skip
    fixed = {**decoder.settings, "tokens": TOKENS, "batch": 1, "pairs": PAIRS, "rank": PAIRS, "rows": ANSWER_ROWS}
    settings = {"axis": axis, "points": list(points), **{name: value for name, value in fixed.items() if name != axis}}
    return Measurement(SCRIPT.name, settings, bench.clock.name, comparisons, seconds, peaks)


SCRIPT = Script(
    "scaling", __doc__, measure, decoders=("small",), cuda_decoders=("idefics2",), quick_decoders=("tiny",),
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run(SCRIPT))
