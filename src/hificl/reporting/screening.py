"""The screening of a recipe: candidates by their mean rank over tasks and seeds, one rung after the other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from hificl.reporting.document import Cell, Section, Table, Text, empty_cell
from hificl.reporting.grid import Grid, Mean
from hificl.reporting.labels import columns, line_label, score_cell, score_link
from hificl.reporting.names import REFERENCE, method_label, task_label

GRID = "recipe_screening"
RIVAL = "lora"
RUNG = "steps"
NOTE = (
    "Rank: 1 is the highest score of a task and seed, on all its queries; equal scores share the mean of their ranks. "
    "The better half of a rung goes on to the next."
)


@dataclass(frozen=True)
class Candidate:
    """One change to the recipe in one rung."""

    label: str
    means: Mapping[str, Mean]
    """By task."""

    rank: float
    """Mean over tasks and seeds."""

    stays: bool
    """Whether it is in the better half."""


def screening_section(grid: Grid) -> Section:
    """Show every rung: its candidates in order, and the rival at as many steps."""
    facts: list[Text] = []
    tables = []
    rungs: dict[Any, list[Mean]] = {}
    for mean in grid.means:
        if mean.subset == "all":
            rungs.setdefault(mean.point.get(RUNG), []).append(mean)
    for steps, means in sorted(rungs.items(), key=lambda item: item[0] or 0):
        title = "First rung" if steps is None else f"Rung of {steps} steps"
        candidates, rival = rank(means)
        if candidates:
            tables.append(_table(grid, f"{grid.name}_{steps or 'first'}", title, candidates, rival))
            facts.append(_order(title, candidates))
            facts += [_beside(grid, title, task, candidates, mean) for task, mean in rival.items()]
    return Section(
        grid.name, grid.title, grid.question, (), tuple(facts), (), tuple(tables), (NOTE,), tuple(facts[:1]), grid.holes
    )


def rank(means: Sequence[Mean]) -> tuple[list[Candidate], dict[str, Mean]]:
    """Order the candidates of a rung, the best first; those that lack a seed of a task are left out.

    Returns:
        The candidates, and the rival by task.
    """
    lines: dict[str, dict[str, Mean]] = {}
    for mean in means:
        if mean.score is not None:
            lines.setdefault(line_label(mean, without=RUNG), {})[mean.task] = mean
    rival = {task: mean for line in lines.values() for task, mean in line.items() if mean.variant == RIVAL}
    lines = {label: line for label, line in lines.items() if all(one.method == REFERENCE for one in line.values())}
    places = {(task, row.seed) for line in lines.values() for task, mean in line.items() for row in mean.rows}
    scores = {label: _scores(line) for label, line in lines.items()}
    whole = {label: found for label, found in scores.items() if found.keys() == places}
    ranks = {label: fmean(_rank(found[place], [one[place] for one in whole.values()]) for place in places)
             for label, found in whole.items()}  # fmt: skip
    order = sorted(ranks, key=lambda label: ranks[label])
    half = math.ceil(len(order) / 2)
    return [Candidate(label, lines[label], ranks[label], order.index(label) < half) for label in order], rival


def _scores(line: Mapping[str, Mean]) -> dict[tuple[str, int], float]:
    return {(task, row.seed): row.score for task, mean in line.items() for row in mean.rows if row.score is not None}


def _rank(score: float, scores: Sequence[float]) -> float:
    """The place of a score, from 1; equal ones share the mean of their places."""
    above = sum(one > score for one in scores)
    return above + (sum(one == score for one in scores) + 1) / 2


def _table(grid: Grid, name: str, title: str, candidates: Sequence[Candidate], rival: Mapping[str, Mean]) -> Table:
    tasks = list(dict.fromkeys(task for one in candidates for task in one.means))
    rows = [
        (
            Cell(one.label, one.label, strong=one.label == method_label(REFERENCE)),
            *(score_cell(one.means[task], grid, ends=True) for task in tasks),
            Cell(f"{one.rank:.1f}", one.rank),
            Cell("goes on" if one.stays else "dropped"),
        )
        for one in candidates
    ]
    if rival:
        label = line_label(next(iter(rival.values())), without=RUNG)
        cells = [score_cell(rival[task], grid, ends=True) if task in rival else empty_cell() for task in tasks]
        rows.append((Cell(label, label), *cells, empty_cell(), Cell("the rival")))
    heads = columns("change to the recipe", *map(task_label, tasks), "mean rank", "after this rung")
    return Table(name, title, heads, tuple(rows), (NOTE,))


def _order(title: str, candidates: Sequence[Candidate]) -> Text:
    """Who leads, and where the method without a change stands."""
    best = ", ".join(f"{one.label} ({one.rank:.1f})" for one in candidates[:3])
    said = f"{title}, {len(candidates)} candidates, mean rank: first are {best}"
    plain = [place for place, one in enumerate(candidates, 1) if one.label == method_label(REFERENCE)]
    return (f"{said}; without a change HiFICL is at place {plain[0]}." if plain else f"{said}.",)


def _beside(grid: Grid, title: str, task: str, candidates: Sequence[Candidate], rival: Mean) -> Text:
    above = sum(
        one.means[task].score > rival.score  # type: ignore[operator]
        for one in candidates
        if task in one.means
    )
    return (
        f"{title}, {task_label(task)}: ", f"{line_label(rival, without=RUNG)} has ", score_link(rival, grid),
        f"; {above} of {len(candidates)} candidates have more.",
    )  # fmt: skip
