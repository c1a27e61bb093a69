"""The confirmation of a recipe: what it was meant to reach beside LoRA and demonstrations, place by place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev

from hificl.reporting import numbers
from hificl.reporting.curves import curve_section
from hificl.reporting.document import Cell, Section, Table, Text, empty_cell
from hificl.reporting.grid import Grid, Mean
from hificl.reporting.labels import columns, group_title, groups, is_different, score_cell

GRIDS = ("recipe_confirmation", "recipe_transfer")
RIVAL = "lora"
PLAIN = "hificl_paper"
FEW, MANY = 8, 16
"""Demonstrations in the prompt that it is held to."""

SMALL = 50
"""Examples with which it has to be at least as good as ``FEW`` demonstrations."""

SHARE = 0.17
"""Of the rival's trainable parameters, how many it may have."""

NOTE = (
    "Judged on all queries. Above LoRA: difference of the means; the 95 % interval of the paired difference over "
    "queries has to lie above 0, and p below 0.05 after Holm. Spread: standard deviation over seeds. Lowest seed: the "
    "least distance of a seed to the demonstrations of that seed. Both are judged where the two have the same seeds."
)


@dataclass(frozen=True)
class Verdict:
    """How one target was met at one place: what is shown, and whether it was reached."""

    shown: str
    value: float
    met: bool
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Target:
    """What a recipe is meant to reach."""

    column: str
    words: str
    """What it is, behind a count of places."""


TARGETS = (
    Target("above LoRA", "mean above LoRA's beyond chance"),
    Target("spread / LoRA's", "spread over seeds at most LoRA's"),
    Target(f"lowest seed to {MANY}-shot", f"no seed under {MANY} demonstrations"),
    Target(f"to {FEW}-shot, {SMALL} examples", f"with {SMALL} examples at least {FEW} demonstrations"),
    Target("parameters / LoRA's", f"at most {SHARE} of LoRA's parameters"),
)


def targets_section(grid: Grid, axes: Sequence[str]) -> Section:
    """Draw the curves of the grid, and before them which targets were met where."""
    curves = curve_section(grid, axes)
    judged: dict[str, tuple[Verdict | None, ...]] = {}
    scores: list[tuple[Cell, ...]] = []
    for subset in dict.fromkeys(mean.subset for mean in grid.means):
        for group, members in groups(mean for mean in grid.means if mean.subset == subset).items():
            own = next((mean for mean in members if mean.is_reference), None)
            if own is not None and own.score is not None:
                title = group_title(group, members, sizes=True)
                if subset == "all":
                    judged[title] = judge(own, members)
                scores.append((Cell(title, title), *_scores(grid, own, members)))
    if not judged:
        return curves
    tally = _tally(judged)
    heads = columns("place", "robust", "paper", "LoRA", f"{FEW}-shot", f"{MANY}-shot")
    tables = (
        _table(grid, judged),
        Table(f"{grid.name}_scores", "Scores at every place", heads, tuple(scores)),
        *curves.tables,
    )
    return Section(
        grid.name, grid.title, grid.question, (), (*tally, *curves.facts), curves.figures, tables, curves.notes,
        (*tally, *curves.short), grid.holes,
    )  # fmt: skip


def judge(own: Mean, members: Sequence[Mean]) -> tuple[Verdict | None, ...]:
    """Hold a mean to every target; None where the target says nothing there or its rival has no number."""
    rival, few, many = _find(members, RIVAL), _find(members, "icl", FEW), _find(members, "icl", MANY)
    return (
        _above(own, rival),
        _spread(own, rival),
        _lowest(own, many),
        _at_least(own, few) if own.train_size == SMALL else None,
        _parameters(own, rival),
    )


def _find(members: Sequence[Mean], variant: str, shots: int = 0) -> Mean | None:
    found = (mean for mean in members if (mean.variant, mean.control) == (variant, None) and mean.shots == shots)
    return next((mean for mean in found if mean.score is not None), None)


def _above(own: Mean, rival: Mean | None) -> Verdict | None:
    if rival is None or rival.difference is None or rival.difference_ci95 is None:
        return None
    difference, low, high = -rival.difference, -rival.difference_ci95[1], -rival.difference_ci95[0]
    shown = numbers.with_interval(difference, (low, high), numbers.score_digits(own.scale), "+")
    return Verdict(shown, difference, low > 0 and is_different(rival), low, high)


def _by_seed(mean: Mean) -> dict[int, float]:
    return {row.seed: row.score for row in mean.rows if row.score is not None}


def _spread(own: Mean, rival: Mean | None) -> Verdict | None:
    mine, theirs = _by_seed(own), {} if rival is None else _by_seed(rival)
    if len(mine) < 2 or mine.keys() != theirs.keys():
        return None
    digits = numbers.score_digits(own.scale)
    spread, limit = stdev(mine.values()), stdev(theirs.values())
    return Verdict(
        f"{numbers.plain(spread, digits)} / {numbers.plain(limit, digits)}",
        spread - limit,
        not numbers.is_above(spread, limit),
    )


def _lowest(own: Mean, demonstrations: Mean | None) -> Verdict | None:
    mine, theirs = _by_seed(own), {} if demonstrations is None else _by_seed(demonstrations)
    if not mine or mine.keys() != theirs.keys():
        return None
    least = min(mine[seed] - theirs[seed] for seed in mine)
    met = not any(numbers.is_above(theirs[seed], mine[seed]) for seed in mine)
    return Verdict(numbers.plain(least, numbers.score_digits(own.scale), "+"), least, met)


def _at_least(own: Mean, demonstrations: Mean | None) -> Verdict | None:
    if demonstrations is None or demonstrations.score is None or own.score is None:
        return None
    difference, met = own.score - demonstrations.score, not numbers.is_above(demonstrations.score, own.score)
    return Verdict(numbers.plain(difference, numbers.score_digits(own.scale), "+"), difference, met)


def _parameters(own: Mean, rival: Mean | None) -> Verdict | None:
    mine = own.cost("trainable_parameters")
    theirs = None if rival is None else rival.cost("trainable_parameters")
    if not mine or not theirs:
        return None
    return Verdict(numbers.plain(mine / theirs, 3), mine / theirs, mine / theirs <= SHARE)


def _tally(judged: Mapping[str, Sequence[Verdict | None]]) -> list[Text]:
    """At how many places each target was met, and where it was missed."""
    facts: list[Text] = []
    for position, target in enumerate(TARGETS):
        found = {title: one for title, verdicts in judged.items() if (one := verdicts[position]) is not None}
        if found:
            missed = [f"{title} ({one.shown})" for title, one in found.items() if not one.met]
            count = f"{len(found) - len(missed)} of {len(found)} {'place' if len(found) == 1 else 'places'}"
            said = f"Target, {target.words}: met at {count}"
            facts.append((said + (f"; missed at {'; '.join(missed)}." if missed else "."),))
    return facts


def _table(grid: Grid, judged: Mapping[str, Sequence[Verdict | None]]) -> Table:
    rows = tuple(
        (
            Cell(title, title),
            *(
                empty_cell()
                if one is None
                else Cell(
                    f"{one.shown}, {'met' if one.met else 'missed'}", one.value, one.low, one.high, grid.path,
                    strong=one.met,
                )
                for one in verdicts
            ),
        )
        for title, verdicts in judged.items()
    )  # fmt: skip
    heads = columns("place", *(target.column for target in TARGETS))
    return Table(f"{grid.name}_targets", "Targets at every place", heads, rows, (NOTE,))


def _scores(grid: Grid, own: Mean, members: Sequence[Mean]) -> list[Cell]:
    others = (_find(members, PLAIN), _find(members, RIVAL), _find(members, "icl", FEW), _find(members, "icl", MANY))
    return [empty_cell() if mean is None else score_cell(mean, grid, ends=True) for mean in (own, *others)]
