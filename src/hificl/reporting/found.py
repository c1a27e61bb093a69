"""What lies in a folder of results: grids, comparisons, quickstarts, gates, floors and rows of speed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hificl.errors import HificlError, InputError
from hificl.records import read_json
from hificl.reporting.document import Hole
from hificl.reporting.evidence import Evidence
from hificl.reporting.grid import Grid
from hificl.reporting.reading import grid_from_comparison, grid_from_quickstart, grid_from_summary

CELL_FOLDERS = {"cells", "search", "data", "report"}
"""Folders that hold single cells, their data, or an earlier report: nothing there is a result of its own."""

ORDER = (
    "main", "ablation", "data_efficiency", "rank", "pairs", "hallucination", "fidelity", "real_mass", "training_cost",
    "inference_cost", "demonstrations", "recipe_screening", "recipe_confirmation", "recipe_transfer",
)  # fmt: skip
"""Order of the grids in the report; others follow by name."""


@dataclass
class Found:
    """Everything that a report is drawn from."""

    folder: Path
    grids: list[Grid] = field(default_factory=list)
    gates: list[tuple[Path, dict[str, Any]]] = field(default_factory=list)
    floors: list[tuple[Path, dict[str, Any]]] = field(default_factory=list)
    speed: list[tuple[Path, dict[str, Any]]] = field(default_factory=list)
    problems: list[Hole] = field(default_factory=list)
    """Files that should tell something and cannot be read."""

    evidence: Evidence = field(default_factory=Evidence)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to report."""
        return not (self.grids or self.gates or self.speed)


def find_results(results: Path) -> Found:
    """Read what lies in a folder, or in the folder of a summary that is named itself.

    A file that cannot be read becomes a hole of the report; the rest is read.

    Raises:
        InputError: There is no such folder, or nothing in it that a report could show.
    """
    folder = results.parent if results.is_file() else results
    if not folder.is_dir():
        raise InputError(
            f"report: {results} is not there; name a folder with results, such as results or runs/experiments."
        )
    found = Found(folder)
    for path in [results] if results.is_file() else _files(folder):
        try:
            _take(found, path, read_json(path))
        except (HificlError, KeyError, TypeError, ValueError, AttributeError) as error:
            found.problems.append(Hole(path.relative_to(folder).as_posix(), "unreadable", _reason(error)))
    found.grids.sort(key=_place)
    if found.is_empty and not found.problems:
        raise InputError(
            f"report: {results} holds no summary, gates or rows of speed; run hificl quickstart, compare, run or bench "
            "first and name the folder of their results."
        )
    return found


def _take(found: Found, path: Path, content: Any) -> None:
    """Put the content of a file where it belongs; one that is none of ours is passed over."""
    if not isinstance(content, dict):
        return
    kind = content.get("kind")
    if kind == "grid":
        found.grids.append(grid_from_summary(content, path, found.evidence))
    elif kind == "gates":
        found.gates.append((path, content))
    elif kind == "floors":
        found.floors.append((path, content))
    elif kind == "speed":
        found.speed.append((path, content))
    elif path.name == "summary.json" and "comparisons" in content:
        found.grids.append(grid_from_comparison(content, path, found.evidence))
    elif path.name == "summary.json" and "rows" in content:
        found.grids.append(grid_from_quickstart(content, path, found.evidence))


def _files(folder: Path) -> Iterator[Path]:
    """JSON files below a folder that may be results of their own, in a fixed order; links are not followed."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in CELL_FOLDERS and not name.startswith("."))
        if "cell.json" in names or "error.json" in names:
            continue
        yield from (Path(place) / name for name in sorted(names) if name.endswith(".json"))


def _place(grid: Grid) -> tuple[int, int, str, str]:
    kinds = {"grid": 0, "comparison": 1, "quickstart": 2}
    known = ORDER.index(grid.name) if grid.name in ORDER else len(ORDER)
    return kinds[grid.kind], known, grid.name, grid.path.as_posix()


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"has no {error.args[0]!r}, so it is not a summary of a known form; draw it again"
    return str(error)
