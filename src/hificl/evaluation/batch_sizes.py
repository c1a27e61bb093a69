"""How many queries are answered together: estimated for the first batch, then measured, smaller where memory ends.

On a CPU nothing is measured: the size follows from a fixed budget, so that the same evaluation makes the same batches.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch

from hificl import records
from hificl.evaluation.estimate import LARGEST_BATCH

MEASURED_SHARE = 0.8
"""Share of the free memory that a batch may take once one was measured; the rest is for what varies between batches."""

GROWTH = 2
"""Most times that a batch is larger than the one before: the measured batch held other prompts."""


class Meter(Protocol):
    """Measures the memory of the device on which batches run."""

    def start(self) -> None:
        """Start to measure a batch."""

    def used(self) -> int:
        """Return the most bytes that the batch has held, without what lay there before."""

    def free(self) -> int:
        """Return the bytes that a batch could take; asked while none runs."""

    def release(self) -> None:
        """Give back what a failed batch has left behind."""


class CudaMeter:
    """Reads the counters of torch's allocator on one GPU."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.before = device, 0

    def start(self) -> None:
        """See :class:`Meter`."""
        records.start_part_on_gpu()
        self.before = torch.cuda.memory_allocated(self.device)

    def used(self) -> int:
        """See :class:`Meter`."""
        return torch.cuda.max_memory_allocated(self.device) - self.before

    def free(self) -> int:
        """See :class:`Meter`. What the allocator holds in reserve is free as well."""
        reserve = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return torch.cuda.mem_get_info(self.device)[0] + reserve

    def release(self) -> None:
        """See :class:`Meter`."""
        torch.cuda.empty_cache()


def meter_of(device: torch.device) -> Meter | None:
    """Return what measures memory on a device; None on a CPU."""
    return CudaMeter(device) if device.type == "cuda" else None


class BatchSizes:
    """The size of the next batch, and a history of all sizes.

    Args:
        first: Size of the first batch, which holds the longest prompts.
        why: Where it comes from, such as "estimated".
        meter: Measures the batches; None leaves the size as it is.
        fixed: Only shrink, when memory ends: the caller has named the size, or every size costs a compilation.
    """

    def __init__(self, first: int, why: str, *, meter: Meter | None, fixed: bool) -> None:
        self.size = first
        self.meter, self.fixed = meter, fixed
        self.largest = LARGEST_BATCH
        self.history: list[dict[str, Any]] = []
        self._choose(first, why, answered=0)

    def start(self) -> None:
        """Start to measure a batch."""
        if self.meter is not None:
            self.meter.start()

    def fitted(self, rows: int, *, answered: int) -> None:
        """Hear that a batch of so many rows went through, and choose the next size; ``answered`` queries are done."""
        if self.meter is None:
            return
        used = self.meter.used()
        self.history[-1]["used_bytes"] = max(used, self.history[-1]["used_bytes"] or 0)
        if self.fixed:
            return
        allowed = int(MEASURED_SHARE * self.meter.free())
        fits = rows * allowed // max(used, 1)
        size = max(1, min(fits, GROWTH * rows, self.largest))
        # A batch that the end of the queries cut short says nothing against the size.
        if size > self.size or (size < self.size and fits < self.size):
            self._choose(size, f"measured: {fits} would take the {allowed} bytes that are allowed", answered=answered)

    def failed(self, rows: int, *, answered: int) -> None:
        """Hear that the memory did not hold a batch of so many rows: go on with half, never again with as many."""
        if self.meter is not None:
            self.meter.release()
        self.largest = rows - 1
        self._choose(max(1, rows // 2), f"memory did not hold {rows}", answered=answered)

    def _choose(self, size: int, why: str, *, answered: int) -> None:
        self.size = size
        self.history.append({"answered": answered, "size": size, "why": why, "used_bytes": None})
