"""A cell: one method on one backbone, task and seed; run once, kept as one record that is written last."""

from __future__ import annotations

from hificl.cell.cell import RANDOM_LM, Cell, Setting
from hificl.cell.identity import cell_identity, data_contents
from hificl.cell.record import RECORD, Finished, other_cell, read_cell
from hificl.cell.running import EVALUATION, clear_cell, run_cell

__all__ = [
    "EVALUATION",
    "RANDOM_LM",
    "RECORD",
    "Cell",
    "Finished",
    "Setting",
    "cell_identity",
    "clear_cell",
    "data_contents",
    "other_cell",
    "read_cell",
    "run_cell",
]
