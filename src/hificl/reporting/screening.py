"""The screening of a recipe: candidates by their mean rank over tasks and seeds, one rung after the other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from hificl.reporting import numbers
from hificl.reporting.document import Cell, Section, Table, Text, empty_cell
from hificl.reporting.grid import Grid, Mean
from hificl.reporting.labels import columns, line_label, score_cell, score_link
from hificl.reporting.names import REFERENCE, method_label, model_label, task_label

GRID = "recipe_screening"
RIVAL = "lora"
RUNG = "steps"
NOTE = (
    "Rank: 1 is the highest score of a task and seed, on all its queries; equal scores share the mean of their ranks. "
    "The better half of a rung, and who has the same rank as its last, goes on to the next; combinations may join it "
    "there. * differs from HiFICL without a change on the same queries (paired, p < 0.05 after Holm)."
)


@dataclass(frozen=True)
class Candidate:
    """One change to the recipe in one rung."""

    label: str
    means: Mapping[str, Mean]
    """By task."""

    rank: float
    """Mean over the tasks and seeds that all candidates have."""


@dataclass(frozen=True)
class Rung:
    """Candidates on one model at as many steps."""

    title: str
    candidates: tuple[Candidate, ...]
    """The best first."""

    left_out: tuple[str, ...]
    """Candidates that lack a task."""

    rivals: Mapping[str, Mapping[str, Mean]]
    """Means of other methods by label and task."""

    is_whole: bool
    """Whether every candidate has every task and seed, so that the order stands."""

    def is_better(self, one: Candidate) -> bool:
        """Whether a candidate belongs to the better half."""
        last = self.candidates[math.ceil(len(self.candidates) / 2) - 1]
        return one.rank <= last.rank


def screening_section(grid: Grid) -> Section:
    """Show every rung of each model: its candidates in order, and the rival at as many steps."""
    rungs: dict[tuple[str | None, Any], list[Mean]] = {}
    for mean in grid.means:
        if mean.subset == "all" and mean.score is not None:
            rungs.setdefault((mean.point.get("model"), mean.point.get(RUNG)), []).append(mean)
    models = list(dict.fromkeys(model for model, _ in rungs))
    facts: list[Text] = []
    last: dict[str | None, list[Text]] = {}
    tables = []
    for (model, steps), means in sorted(rungs.items(), key=lambda item: (models.index(item[0][0]), item[0][1] or 0)):
        title = "First rung" if steps is None else f"Rung of {steps} steps"
        rung = find_rung(title if model is None else f"{title}, {model_label(model)}", means)
        if rung.candidates:
            name = "_".join(str(part) for part in (grid.name, model, steps or "first") if part is not None)
            tables.append(_table(grid, name, rung))
            last[model] = [_order(rung), *_beside(grid, rung)]
            facts += last[model]
    short = tuple(fact for one in last.values() for fact in one)
    return Section(grid.name, grid.title, grid.question, (), tuple(facts), (), tuple(tables), (), short, grid.holes)


def find_rung(title: str, means: Sequence[Mean]) -> Rung:
    """Order the candidates of a rung by their mean rank over the tasks and seeds that all of them have."""
    lines: dict[str, dict[str, Mean]] = {}
    for mean in means:
        for point in (mean.point, *mean.also_at):
            lines.setdefault(line_label(replace(mean, point=point), RUNG), {})[mean.task] = mean
    own = {label: line for label, line in lines.items() if next(iter(line.values())).method == REFERENCE}
    rivals = {label: line for label, line in lines.items() if next(iter(line.values())).method == RIVAL}
    tasks = {task for line in own.values() for task in line}
    whole = {label: _scores(line) for label, line in own.items() if line.keys() == tasks}
    places = set.intersection(*(set(scores) for scores in whole.values())) if whole else set()
    every = {place for line in own.values() for place in _scores(line)}
    ranks = {
        label: fmean(_rank(scores[place], [one[place] for one in whole.values()]) for place in places)
        for label, scores in whole.items()
        if places
    }
    candidates = tuple(
        Candidate(label, own[label], ranks[label]) for label in sorted(ranks, key=lambda one: ranks[one])
    )
    left_out = tuple(label for label in own if label not in ranks)
    return Rung(title, candidates, left_out, rivals, is_whole=places == every and not left_out)


def _scores(line: Mapping[str, Mean]) -> dict[tuple[str, int], float]:
    return {(task, row.seed): row.score for task, mean in line.items() for row in mean.rows if row.score is not None}


def _rank(score: float, scores: Sequence[float]) -> float:
    """The place of a score, from 1; equal ones share the mean of their places."""
    above = sum(numbers.is_above(one, score) for one in scores)
    equal = sum(not numbers.is_above(one, score) and not numbers.is_above(score, one) for one in scores)
    return above + (equal + 1) / 2


def _table(grid: Grid, name: str, rung: Rung) -> Table:
    tasks = list(rung.candidates[0].means)
    rows = []
    for one in rung.candidates:
        scores = (score_cell(one.means[task], grid, ends=True) for task in tasks)
        half = ("yes" if rung.is_better(one) else "no") if rung.is_whole else ""
        strong = one.label == method_label(REFERENCE)
        rows.append((Cell(one.label, one.label, strong=strong), *scores, Cell(f"{one.rank:.1f}", one.rank), Cell(half)))
    for label, line in rung.rivals.items():
        scores = (score_cell(line[task], grid, ends=True) if task in line else empty_cell() for task in tasks)
        rows.append((Cell(label, label), *scores, empty_cell(), empty_cell()))
    heads = columns("change to the recipe", *map(task_label, tasks), "mean rank", "goes on")
    return Table(name, rung.title, heads, tuple(rows), (NOTE,))


def _order(rung: Rung) -> Text:
    """Who leads, where the method without a change stands, and what is not there yet."""
    best = ", ".join(f"{one.label} ({one.rank:.1f})" for one in rung.candidates[:3])
    said = f"{rung.title}, {len(rung.candidates)} candidates, mean rank: first are {best}"
    plain = [place for place, one in enumerate(rung.candidates, 1) if one.label == method_label(REFERENCE)]
    said += f"; without a change HiFICL is at place {plain[0]}." if plain else "."
    if rung.left_out:
        said += f" Not ranked, for a task is missing: {', '.join(rung.left_out)}."
    if not rung.is_whole:
        said += " The rung is not finished, so the order may change."
    return (said,)


def _beside(grid: Grid, rung: Rung) -> Iterator[Text]:
    for label, line in rung.rivals.items():
        for task, rival in line.items():
            scores = [one.means[task].score or 0.0 for one in rung.candidates if task in one.means]
            if scores and rival.score is not None:
                above = sum(numbers.is_above(score, rival.score) for score in scores)
                have = "has" if above == 1 else "have"
                yield (
                    f"{rung.title}, {task_label(task)}: {label} has ", score_link(rival, grid),
                    f"; {above} of {len(scores)} candidates {have} more.",
                )  # fmt: skip
