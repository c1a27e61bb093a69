"""Experiments: grids of cells as data, run by processes here or on a cluster, and summed up from their records alone.

Names are imported when they are first used, so that reading records needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOME = {
    "Grid": "grid",
    "read_grid": "grid_file",
    "plan_grids": "plan",
    "run_grid": "run",
    "run_grids": "run",
    "read_record": "stored",
}

if TYPE_CHECKING:
    from hificl.experiments.grid import Grid
    from hificl.experiments.grid_file import read_grid
    from hificl.experiments.plan import plan_grids
    from hificl.experiments.run import run_grid, run_grids
    from hificl.experiments.stored import read_record

__all__ = ["Grid", "plan_grids", "read_grid", "read_record", "run_grid", "run_grids"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hificl.experiments' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"hificl.experiments.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
