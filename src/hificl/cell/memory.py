"""What a process holds before a cell begins, so that the peak of a cell does not depend on the cells before it."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys

from hificl import records


def memory_baseline() -> int:
    """Give back what earlier work has freed, start a new measurement of the peak, and return what is held, in bytes.

    The peak of a cell is that of the whole process: the loaded libraries and the model are in it and are this baseline.
    """
    gc.collect()
    if sys.platform == "linux":
        # glibc keeps freed memory for itself; another C library has no such function.
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
    records.reset_peak_memory()
    return records.peak_memory_bytes()
