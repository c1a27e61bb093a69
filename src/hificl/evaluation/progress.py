"""Progress of an evaluation on stderr: a bar on a terminal, otherwise a plain line every few seconds."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import Any

from tqdm import tqdm

LINE_SECONDS = 5.0
"""Least time between two plain lines."""


class Progress:
    """Counts what is finished and shows rate and remaining time, on the main process only.

    Args:
        total: How many in all.
        label: What is being done, one word.
        unit: What is counted, in the singular.
    """

    def __init__(self, total: int, label: str, unit: str = "answer") -> None:
        self.total, self.label, self.unit = total, label, unit
        self.done = 0
        self.bar: Any = None
        self.silent = os.environ.get("RANK", "0") != "0"
        self.started = self.last_line = time.monotonic()

    def __enter__(self) -> Progress:
        self.started = self.last_line = time.monotonic()
        if sys.stderr.isatty() and not self.silent:
            self.bar = tqdm(total=self.total, desc=self.label, unit=self.unit, file=sys.stderr)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.close()

    def advance(self, count: int) -> None:
        """Add ``count`` finished ones; a plain line follows if the last one is old enough or this is the end."""
        self.done += count
        if self.bar is not None:
            self.bar.update(count)
            return
        now = time.monotonic()
        if self.silent or (now - self.last_line < LINE_SECONDS and self.done < self.total):
            return
        self.last_line = now
        rate = self.done / max(now - self.started, 1e-9)
        remaining = (self.total - self.done) / max(rate, 1e-9)
        print(
            f"{self.label}: {self.done}/{self.total}, {rate:.1f} {self.unit}s/s, {remaining:.0f} s left",
            file=sys.stderr,
            flush=True,
        )
