"""The chapters of a report, in order: one or more per grid, then gates, speed, what was published, conditions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from hificl.reporting import (
    curves,
    fidelity,
    hallucination,
    inference_cost,
    real_mass,
    scores,
    screening,
    targets,
    training_cost,
)
from hificl.reporting.beside import beside_section
from hificl.reporting.conditions import conditions_section
from hificl.reporting.document import Link, Section, Text
from hificl.reporting.figures import Reference
from hificl.reporting.found import Found
from hificl.reporting.gates import gates_section
from hificl.reporting.glossary import glossary_section
from hificl.reporting.grid import Grid
from hificl.reporting.published import published
from hificl.reporting.searched import settings_text
from hificl.reporting.speed import speed_section

MEASURES = {
    fidelity.MEASURE: fidelity.fidelity_section,
    real_mass.MEASURE: real_mass.real_mass_section,
    training_cost.MEASURE: training_cost.training_cost_section,
    inference_cost.MEASURE: inference_cost.inference_cost_section,
}


def all_sections(found: Found) -> list[Section]:
    """Return every section that the results give."""
    sections = [section for grid in found.grids for section in _of_grid(grid, _floors(found, grid))]
    sections += [
        _with_source(gates_section(path, record), ("Record: ", Link(path.name, path), "."))
        for path, record in found.gates
    ]
    if found.speed:
        sections.append(speed_section(found.speed))
    if (beside := beside_section(found.grids, published())) is not None:
        sections.append(beside)
    if (names := glossary_section(found.grids)) is not None:
        sections.append(names)
    if (conditions := conditions_section(found.evidence.conditions())) is not None:
        sections.append(conditions)
    return _unique(sections)


def _of_grid(grid: Grid, floors: tuple[Reference, ...]) -> list[Section]:
    measures = [one for one in dict.fromkeys(one.measure for one in grid.measurements) if one in MEASURES]
    found = [MEASURES[measure](grid) for measure in measures]
    if grid.means:
        axes = curves.swept_axes(grid)
        if grid.name == "hallucination" and hallucination.has_hallucination(grid):
            found.insert(0, hallucination.hallucination_section(grid))
        elif grid.name == screening.GRID:
            found.insert(0, screening.screening_section(grid))
        elif grid.name in targets.GRIDS:
            found.insert(0, targets.targets_section(grid, axes))
        elif axes:
            found.insert(0, curves.curve_section(grid, axes))
        else:
            found.insert(0, scores.score_section(grid, floors))
    if not found:
        found = [
            Section(
                grid.name, grid.title, grid.question, (), (("Nothing of this grid is finished.",),), holes=grid.holes
            )
        ]
    # Holes are listed once, where a reader first meets the grid.
    return [
        _with_source(section if place == 0 else replace(section, holes=()), _source(grid))
        for place, section in enumerate(found)
    ]


def _source(grid: Grid) -> Text:
    parts: list[str | Link] = []
    if grid.artefact:
        own = grid.artefact.removeprefix("none in the paper; ")
        parts.append(f"Redraws: {grid.artefact}. " if own == grid.artefact else f"Not in the paper: {own}. ")
    parts.append(f"Model: {grid.backbone}. ")
    if grid.planned is not None:
        parts.append(f"{grid.finished} of {grid.planned} cells are finished. ")
    if settings := settings_text(grid):
        parts.append(f"{settings} ")
    parts += ["Summary: ", Link(grid.path.name, grid.path), "."]
    return tuple(parts)


def _with_source(section: Section, source: Text) -> Section:
    return replace(section, source=source)


def _floors(found: Found, grid: Grid) -> tuple[Reference, ...]:
    """What no skill at all scores on the headline subset, where a record beside the summary tells."""
    for path, record in found.floors:
        scores_: dict[str, Any] = record["results"]
        subset = grid.headline[0].subset if grid.headline else "all"
        if path.parent == grid.path.parent and isinstance(scores_.get(subset), dict):
            blind = scores_[subset].get("blind")
            return () if blind is None else (Reference(float(blind), "blind prior"),)
    return ()


def _unique(sections: list[Section]) -> list[Section]:
    """Give every section, table and figure a name of its own: they become anchors and files."""
    seen: dict[str, int] = {}

    def name(wanted: str) -> str:
        safe = "".join(
            letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "_" for letter in wanted
        )
        seen[safe] = seen.get(safe, 0) + 1
        return safe if seen[safe] == 1 else f"{safe}_{seen[safe]}"

    return [
        replace(
            section, name=name(section.name),
            tables=tuple(replace(one, name=name(f"{one.name}_table")) for one in section.tables),
            figures=tuple(replace(one, name=name(f"{one.name}_figure")) for one in section.figures),
        )
        for section in sections
    ]  # fmt: skip


def relative(path: Path, base: Path) -> str:
    """A path for people, from a folder where it lies below it."""
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix()
