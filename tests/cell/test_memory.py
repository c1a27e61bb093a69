"""The baseline of a cell does not depend on the cells before it."""

from __future__ import annotations

from hificl import records
from hificl.cell.memory import memory_baseline


def test_freed_memory_does_not_count_for_the_next_cell() -> None:
    """Many small blocks with one at their end that stays: glibc keeps them until it is told."""
    before = memory_baseline()
    blocks = [bytearray(60_000) for _ in range(3000)]
    last = bytearray(60_000)
    assert records.peak_memory_bytes() > before + 150_000_000
    del blocks
    assert memory_baseline() < before + 60_000_000
    assert len(last) == 60_000
