"""Calls timed in turns, so that what else a machine does meets all of them alike."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import torch


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Return ``median``, quartiles ``low`` and ``high``, and ``count`` of at least one reading."""
    if len(seconds) == 1:
        low = median = high = seconds[0]
    else:
        low, median, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return {"median": median, "low": low, "high": high, "count": len(seconds)}


def clock_name(device: torch.device) -> str:
    """Say what :func:`now` counts on a device."""
    return "wall time" if device.type == "cuda" else "processor time"


def now(device: torch.device) -> float:
    """Return seconds: on a CPU processor time of this process, so that a busy machine does not decide.

    On a GPU it is the wall time, taken after it has finished its work.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()


def in_turns(
    calls: Mapping[str, Callable[[], object]], device: torch.device, *, rounds: int, seed: int = 0
) -> dict[str, list[float]]:
    """Time every call once per round, in an order drawn anew for each round, after one run of each that does not count.

    Returns:
        Seconds by name, one number per round.
    """
    for call in calls.values():
        call()
    order, names = random.Random(seed), list(calls)
    found: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        order.shuffle(names)
        for name in names:
            start = now(device)
            calls[name]()
            found[name].append(now(device) - start)
    return found
