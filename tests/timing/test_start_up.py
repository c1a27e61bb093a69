"""Importing hificl beside what it stands on; the help of the command line is timed with the command line's tests."""

from __future__ import annotations

import pytest

from benchmarks.measure import Spread
from benchmarks.start_up import IMPORT, TIMED_IMPORT, printed_seconds

from .limits import held


@pytest.mark.timing
def test_import_adds_little() -> None:
    held(lambda: Spread.of([printed_seconds(TIMED_IMPORT) for _ in range(2)]), IMPORT, slack=0.0)
