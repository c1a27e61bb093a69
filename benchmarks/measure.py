"""Rivals timed in turns in one process; memory and floating-point operations counted by torch."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

Call = Callable[[], object]

SHORTEST_SECONDS = 0.02
"""A timing is repeated within one reading until it takes at least this long."""

LONG_SECONDS = 1.0
"""A call that takes longer is warm after its first run, as far as planning goes."""


class Clock(Protocol):
    """Measures one reading."""

    name: str

    def seconds(self, call: Call) -> float:
        """Run ``call`` and return what it took."""


class ProcessorClock:
    """Processor time of this process, so that a busy machine does not decide."""

    name = "processor time"

    def __init__(self, now: Callable[[], float] = time.process_time) -> None:
        self.now = now

    def seconds(self, call: Call) -> float:
        """See :class:`Clock`."""
        start = self.now()
        call()
        return self.now() - start


class CudaClock:
    """Time on the GPU between two events."""

    name = "CUDA events"

    def seconds(self, call: Call) -> float:
        """See :class:`Clock`."""
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        call()
        last.record()
        last.synchronize()
        return float(first.elapsed_time(last)) / 1000.0


def clock_for(device: torch.device) -> Clock:
    """Return the clock of a device."""
    return CudaClock() if device.type == "cuda" else ProcessorClock()


@dataclass(frozen=True)
class Effort:
    """How often each rival is timed: as often as fits ``seconds``, within the two bounds."""

    least: int
    most: int
    seconds: float

    def rounds(self, round_seconds: float) -> int:
        """Return the number of rounds when one takes this long."""
        fit = int(self.seconds / max(round_seconds, 1e-9))
        return max(self.least, min(self.most, fit))


FULL, QUICK = Effort(7, 101, 40.0), Effort(3, 3, 0.0)


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of some readings."""

    median: float
    low: float
    high: float
    count: int

    def over(self, factor: float) -> Spread:
        """Divide by a number without spread."""
        return Spread(self.median / factor, self.low / factor, self.high / factor, self.count)

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise readings; of a single one all three are itself."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0], 1)
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high, len(values))


@dataclass(frozen=True)
class Timings:
    """Seconds of one call, by rival, one number per round."""

    seconds: Mapping[str, Sequence[float]]

    def spread(self, name: str) -> Spread:
        """Return median and quartiles of a rival's seconds."""
        return Spread.of(self.seconds[name])

    def ratio(self, name: str, against: str) -> Spread:
        """Return median and quartiles of the ratios of seconds, taken within each round."""
        pairs = zip(self.seconds[name], self.seconds[against], strict=True)
        return Spread.of([ours / theirs for ours, theirs in pairs])


def in_turns(
    calls: Mapping[str, Call], *, clock: Clock, effort: Effort, seed: int = 0, warm_up: bool = True
) -> Timings:
    """Time every call once per round, in an order that is drawn anew for each round.

    Args:
        calls: Rivals by name.
        clock: Takes one reading.
        effort: Sets the number of rounds.
        seed: Seed of the order.
        warm_up: Run every call before the first round, and see how often it must be repeated to be readable and how
            many rounds fit. False is for long calls that have run before: one call a reading, the least rounds.
    """
    repeats, round_seconds = dict.fromkeys(calls, 1), math.inf
    if warm_up:
        once = {name: _warm_seconds(call, clock) for name, call in calls.items()}
        repeats = {name: max(1, math.ceil(SHORTEST_SECONDS / max(once[name], 1e-6))) for name in calls}
        round_seconds = sum(once[name] * repeats[name] for name in calls)
    order, names = random.Random(seed), list(calls)
    found: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(effort.rounds(round_seconds)):
        order.shuffle(names)
        for name in names:
            found[name].append(clock.seconds(_repeated(calls[name], repeats[name])) / repeats[name])
    return Timings(found)


def _warm_seconds(call: Call, clock: Clock) -> float:
    """Run a call until it is warm and return its seconds; of a long one the first run tells enough."""
    first = clock.seconds(call)
    return first if first > LONG_SECONDS else clock.seconds(call)


def _repeated(call: Call, times: int) -> Call:
    def run() -> None:
        for _ in range(times):
            call()

    return run


def slope(points: Sequence[float], seconds: Sequence[float]) -> float:
    """Return the exponent b of ``seconds ~ points ** b``, by least squares of the logarithms."""
    return statistics.linear_regression([math.log(x) for x in points], [math.log(y) for y in seconds]).slope
