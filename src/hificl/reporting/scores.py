"""Score tables: every method on the same rows, tables and figures of a grid that sweeps nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hificl.reporting import numbers
from hificl.reporting.document import Cell, Section, Table, Text, empty_cell
from hificl.reporting.figures import Dot, Dots, Reference
from hificl.reporting.grid import Grid, Mean
from hificl.reporting.labels import (
    MIXED,
    Group,
    best_score,
    columns,
    difference_cell,
    group_name,
    group_title,
    groups,
    interval_cell,
    line_label,
    mean_target,
    reference_label,
    score_cell,
    seeds_cell,
    spread_over,
    unit,
)
from hificl.reporting.names import subset_label, task_label
from hificl.reporting.overview import overview_table
from hificl.reporting.searched import DEFAULTS, settings_text, tasks_by_source
from hificl.reporting.sentences import ahead_facts, compact_fact, control_facts, score_facts
from hificl.reporting.tally import tally_facts, tally_tables

HOW_TO_READ = (
    "Score: mean over the seeds. Over seeds: 95 % t interval of that mean; over queries: 95 % bootstrap interval. "
    "An end that lies below 0, or above 100 %, is cut there. Differences: paired over the same queries; * marks those "
    "with p < 0.05 after Holm's correction for the number of methods. Bold: highest of its column."
)


def score_section(grid: Grid, floors: Sequence[Reference] = ()) -> Section:
    """Draw a grid of scores: what its records say, a figure and tables per task, costs, and the other subsets."""
    by_group = _sorted(groups(grid.headline))
    tasks = [task for task, _, _ in by_group]
    titles = {
        group: group_title(group, members, sizes=tasks.count(group[0]) > 1) for group, members in by_group.items()
    }
    tables = [overview_table(grid, by_group, titles), *tally_tables(grid, by_group)] if len(by_group) > 1 else []
    for group, members in by_group.items():
        tables.append(score_table(grid, group, members, titles[group], folded=len(by_group) > 1))
        if cost := cost_table(grid, group, members, titles[group]):
            tables.append(cost)
    tables += _other_subsets(grid)
    facts = [
        fact
        for group, members in by_group.items()
        for fact in (*score_facts(grid, members, titles[group]), *control_facts(grid, members, titles[group]))
    ]
    if len(by_group) == 1:
        short = [
            fact
            for group, members in by_group.items()
            for fact in score_facts(grid, members, titles[group], short=True)
        ]
    else:
        short = [
            *tally_facts(reference_label(grid), by_group),
            *(compact_fact(grid, members, titles[group]) for group, members in by_group.items()),
        ]
    short += [fact for group, members in by_group.items() for fact in control_facts(grid, members, titles[group])][:1]
    if DEFAULTS in tasks_by_source(grid):
        short.append((settings_text(grid),))
    elsewhere = _where_others_win(grid)
    figures = tuple(score_figure(grid, group, members, titles[group], floors) for group, members in by_group.items())
    return Section(
        grid.name, grid.title, grid.question, (), (*facts, *elsewhere), figures, tuple(tables), (),
        (*short, *elsewhere), grid.holes
    )  # fmt: skip


def score_figure(
    grid: Grid, group: Group, members: Sequence[Mean], title: str, floors: Sequence[Reference] = ()
) -> Dots:
    """Draw the scores of a group as dots with their intervals, highest first."""
    over = spread_over(members)
    mixed = over == MIXED
    kind = "over seeds; hollow: over queries" if mixed else over
    dots = [_dot(mean, hollow=mixed and mean.seed_ci95 is None) for mean in members]
    told = "; ".join(
        f"{dot.label} {numbers.with_interval(dot.value, _ends(dot), numbers.score_digits(members[0].scale))}"
        if dot.value is not None
        else f"{dot.label} has no number ({dot.remark})"
        for dot in dots
    )
    return Dots(
        f"{grid.name}_{group_name(group)}", title, f"Scores with 95 % intervals {over}, highest first: {told}.",
        f"{unit(members[0])} (95 % {kind})", tuple(dots), tuple(floors),
    )  # fmt: skip


def score_table(grid: Grid, group: Group, members: Sequence[Mean], title: str, *, folded: bool) -> Table:
    """Tabulate a group: scores, both intervals, differences and the seeds; columns that no one fills are left out."""
    digits, best = numbers.score_digits(members[0].scale), best_score(members)
    reference = reference_label(grid)
    heads = [
        "method",
        f"score, {unit(members[0])}",
        "over seeds",
        "over queries",
        f"minus {reference}",
        f"minus {reference}, over seeds",
        "p (Holm)",
        "each seed",
    ]
    rows = [
        (
            Cell(line_label(mean), line_label(mean), strong=mean.is_reference),
            score_cell(mean, grid, best=mean.score is not None and mean.score == best),
            interval_cell(mean.seed_ci95 if not mean.hole else None, digits),
            interval_cell(mean.score_ci95 if not mean.hole else None, digits),
            difference_cell(mean, grid),
            interval_cell(mean.difference_seed_ci95 if not mean.hole else None, digits),
            Cell(numbers.p_value(mean.p_holm), mean.p_holm) if mean.p_holm is not None else empty_cell(),
            seeds_cell(mean),
        )
        for mean in members
    ]
    table = Table(
        f"{grid.name}_{group_name(group)}_{members[0].subset}",
        title,
        columns(*heads),
        tuple(rows),
        (HOW_TO_READ,),
        folded,
    )
    return without_empty_columns(table)


COSTS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("trainable_parameters", "trained numbers", numbers.count),
    ("stored_bytes", "adapter file", numbers.size),
    ("train_seconds", "time to fit", numbers.seconds),
    ("seconds_per_answer", "time per answer", numbers.seconds),
    ("peak_memory_bytes", "peak memory", numbers.size),
)


def cost_table(grid: Grid, group: Group, members: Sequence[Mean], title: str) -> Table | None:
    """Tabulate what each method of a group costs; None where nothing is known."""
    rows = []
    for mean in members:
        cells = [Cell(line_label(mean), line_label(mean), strong=mean.is_reference)]
        for name, _, show in COSTS:
            value = mean.cost(name)
            cells.append(
                Cell(show(value), value, target=mean_target(mean, grid)) if value is not None else empty_cell()
            )
        rows.append(tuple(cells))
    if all(cell.value is None for row in rows for cell in row[1:]):
        return None
    note = (
        "Means over the seeds; of the memory of the whole process, model included, the largest. Times are those of "
        "runs that other programs may have slowed down."
    )
    heads = columns("method", *(name for _, name, _ in COSTS))
    return without_empty_columns(
        Table(f"{grid.name}_{group_name(group)}_cost", f"{title}: cost", heads, tuple(rows), (note,), True)
    )


def without_empty_columns(table: Table) -> Table:
    """Leave out the columns in which no row has anything."""
    nothing = empty_cell().text
    kept = [
        position
        for position in range(len(table.columns))
        if position == 0 or any(row[position].text not in (nothing, "") for row in table.rows)
    ]
    rows = tuple(tuple(row[position] for position in kept) for row in table.rows)
    heads = tuple(table.columns[position] for position in kept)
    return Table(table.name, table.title, heads, rows, table.notes, table.folded)


def _where_others_win(grid: Grid) -> list[Text]:
    """Say who is ahead on the other subsets: a headline must not hide it."""
    by_subset: dict[str, list[Mean]] = {}
    for mean in grid.means:
        if not mean.headline:
            by_subset.setdefault(mean.subset, []).append(mean)
    return [
        fact
        for subset, means in by_subset.items()
        for group, members in groups(means).items()
        for fact in ahead_facts(grid, members, f"{task_label(group[0])}, {subset_label(subset)}")
    ]


def _other_subsets(grid: Grid) -> list[Table]:
    others: dict[str, list[Mean]] = {}
    for mean in grid.means:
        if not mean.headline:
            others.setdefault(mean.subset, []).append(mean)
    return [
        score_table(grid, group, members, f"{task_label(group[0])}, {subset_label(subset)}", folded=True)
        for subset, means in others.items()
        for group, members in _sorted(groups(means)).items()
    ]


def _sorted(by_group: dict[Group, list[Mean]]) -> dict[Group, list[Mean]]:
    """Each group with its highest score first and its holes last."""
    lowest = float("-inf")
    return {
        group: sorted(members, key=lambda mean: -(mean.score if mean.score is not None else lowest))
        for group, members in by_group.items()
    }


def _dot(mean: Mean, *, hollow: bool) -> Dot:
    low, high = mean.ends or (None, None)
    remark = mean.hole.kind if mean.hole else ""
    return Dot(line_label(mean), mean.score, low, high, "control" if mean.control else mean.variant, remark, hollow)


def _ends(dot: Dot) -> tuple[float, float] | None:
    return None if dot.low is None or dot.high is None else (dot.low, dot.high)
