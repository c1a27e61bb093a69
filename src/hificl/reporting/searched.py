"""On which tasks the settings of methods were searched, as summaries say it: a lead over untuned methods says less."""

from __future__ import annotations

from collections.abc import Mapping

from hificl.reporting.grid import Grid
from hificl.reporting.names import task_label

SEARCHED, DEFAULTS = ("stored", "search"), "defaults"


def tasks_by_source(grid: Grid) -> dict[str, list[str]]:
    """Return the labels of tasks by ``"searched"`` and ``"defaults"``; a comparison says it once for all its tasks."""
    values = grid.facts.get("values") or {}
    by_task = dict.fromkeys(grid.tasks, values) if "source" in values else values
    found: dict[str, list[str]] = {}
    for task, one in by_task.items():
        source = one.get("source") if isinstance(one, Mapping) else None
        if source in SEARCHED or source == DEFAULTS:
            found.setdefault(DEFAULTS if source == DEFAULTS else "searched", []).append(task_label(task))
    return found


def settings_text(grid: Grid) -> str:
    """Say on which tasks the settings of the methods were searched; empty where a summary does not tell."""
    words = {
        "searched": "those that a search with the same effort for every method chose",
        DEFAULTS: "the defaults of each method, for nothing was searched there",
    }
    found = tasks_by_source(grid)
    parts = [f"on {', '.join(found[source])} {said}" for source, said in words.items() if source in found]
    return f"Settings, where a line names none of its own and no recipe: {'; '.join(parts)}." if parts else ""
