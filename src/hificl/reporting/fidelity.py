"""Fidelity: how far each method's hidden states are from those with real demonstrations in the prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

from hificl.reporting import numbers
from hificl.reporting.document import Cell, Section, Table, Text, empty_cell, joined
from hificl.reporting.fidelity_by_pairs import beside_label, by_size, is_sized, size_fact, size_figure, size_table
from hificl.reporting.figures import Lines, Series
from hificl.reporting.grid import Grid, Measurement
from hificl.reporting.labels import columns
from hificl.reporting.measured import SPREAD_NOTE, Band, band, by_variant, link, of_measure, over_seeds, seeds_text
from hificl.reporting.names import method_label, task_label

MEASURE = "fidelity"
SITES = {"residual": "residual stream", "attention_output": "attention output"}
BESIDE_SIZES = ("zero_shot", "hificl", "other_demonstrations")
"""Lines that a sweep over pairs and rank is compared with."""
Line = Mapping[str, Any]


def fidelity_section(grid: Grid) -> Section:
    """Draw the distance to the prompted model layer by layer, and the averages of every method."""
    facts: list[Text] = []
    figures, tables = [], []
    for task, measurements in of_measure(grid, MEASURE).items():
        methods = [one for one in measurements if not is_sized(one)]
        sizes = by_size([one for one in measurements if is_sized(one)])
        lines = _lines(methods or [one for one, _ in next(iter(sizes.values()))])
        shots = measurements[0].results["shots"]
        title = f"{task_label(task)}, against {shots} demonstrations"
        if methods:
            figures += [_figure(grid, task, site, title, lines) for site in SITES]
            tables.append(_table(grid, task, title, lines))
            facts += [*_facts(grid, task_label(task), lines), *_answers(grid, task_label(task), lines)]
        if sizes:
            beside = {beside_label(name): lines[name] for name in BESIDE_SIZES if name in lines}
            figures.append(size_figure(grid, task, title, sizes, beside))
            tables.append(size_table(grid, task, title, sizes, beside))
            facts.append(size_fact(grid, task_label(task), sizes))
    note = (
        "Relative L2 distance: length of the difference over length of the prompted model's state, mean over queries "
        "and tokens "
        f"that both runs share. {SPREAD_NOTE}"
    )
    return Section(
        grid.name, grid.title, grid.question, (), tuple(facts), tuple(figures), tuple(tables), (note,), tuple(facts),
        grid.holes,
    )  # fmt: skip


def _lines(measurements: Sequence[Measurement]) -> dict[str, list[tuple[Measurement, Line]]]:
    """Own line of every method over its seeds; then the lines to compare with, from the first method's record."""
    found: dict[str, list[tuple[Measurement, Line]]] = {}
    variants = by_variant(measurements)
    for name, seeds in variants.items():
        found[name] = [(one, line) for one in seeds if (line := one.results["lines"].get(name)) is not None]
    first = next(iter(variants.values()))
    for name in ("zero_shot", "other_demonstrations"):
        if name not in found:
            found[name] = [(one, one.results["lines"][name]) for one in first if name in one.results["lines"]]
    return {name: lines for name, lines in found.items() if lines}


def _distance(line: Line, site: str, measure: str = "relative_l2", tokens: str = "shared") -> Line:
    found: Line = line[site][tokens][measure]
    return found


def _figure(grid: Grid, task: str, site: str, title: str, lines: Mapping[str, list[tuple[Measurement, Line]]]) -> Lines:
    series = []
    for name, seeds in lines.items():
        bands: list[Band] = []
        for _, line in seeds:
            layers = _distance(line, site)["by_layer"]
            bands.append((tuple(layers["mean"]), tuple(layers["low"]), tuple(layers["high"])))
        middle, low, high = band(bands)
        places = tuple(float(layer) for layer in range(1, len(middle) + 1))
        series.append(Series(method_label(name), places, middle, low, high, key=name))
    told = "; ".join(
        f"{one.label}: " + ", ".join(f"{value:.2f}" for value in one.y if value is not None) for one in series
    )
    return Lines(
        f"{grid.name}_{task}_{site}", f"{title}: {SITES[site]}",
        f"Relative L2 distance of the {SITES[site]} to the prompted model, by layer, lower is closer. {told}.",
        "layer", "relative L2 distance", tuple(series),
    )  # fmt: skip


def _table(grid: Grid, task: str, title: str, lines: Mapping[str, list[tuple[Measurement, Line]]]) -> Table:
    rows = []
    for name, seeds in lines.items():
        cells = [Cell(method_label(name), method_label(name), strong=name == "hificl")]
        for pick, digits in (
            (lambda line: _distance(line, "residual"), 3),
            (lambda line: _distance(line, "attention_output"), 3),
            (lambda line: line.get("against_zero_shot"), 3),
            (lambda line: line.get("kl"), 3),
            (lambda line: line.get("agreement"), 3),
        ):
            cells.append(
                _cell(grid, [(one, found) for one, line in seeds if (found := pick(line)) is not None], digits)
            )
        rows.append(tuple(cells))
    heads = columns(
        "method", "residual stream, relative L2", "attention output, relative L2", "residual, difference to zero-shot",
        "KL, nats per answer token", "same next token, share",
    )  # fmt: skip
    return Table(f"{grid.name}_{task}", title, heads, tuple(rows), (SPREAD_NOTE,))


def _cell(grid: Grid, seeds: Sequence[tuple[Measurement, Line]], digits: int) -> Cell:
    if not seeds:
        return empty_cell()
    spread, measurements = _spread(seeds), [one for one, _ in seeds]
    shown = numbers.with_spread(spread, len(seeds), partial(numbers.plain, digits=digits))
    return Cell(shown, *spread, link("", measurements, grid).target, seeds_text(measurements))


def _spread(seeds: Sequence[tuple[Measurement, Line]]) -> numbers.Spread:
    return over_seeds([found["mean"] for _, found in seeds], seeds[0][1].get("ci95"))


def _named(grid: Grid, name: str, seeds: Sequence[tuple[Measurement, Line]], sign: str = "") -> Text:
    """A method with its number, for a sentence."""
    shown = numbers.with_spread(_spread(seeds), len(seeds), partial(numbers.plain, digits=3, sign=sign))
    return (f"{method_label(name)} (", link(shown, [one for one, _ in seeds], grid), ")")


def _facts(grid: Grid, title: str, lines: Mapping[str, list[tuple[Measurement, Line]]]) -> list[Text]:
    """Which methods come closer to the prompted model than doing nothing does, and which end farther away."""
    closer: list[tuple[float, Text]] = []
    farther: list[tuple[float, Text]] = []
    open_: list[tuple[float, Text]] = []
    for name, seeds in lines.items():
        found = [(one, line["against_zero_shot"]) for one, line in seeds if line.get("against_zero_shot") is not None]
        if not found or name == "other_demonstrations":
            continue
        value, low, high = _spread(found)
        within = low is None or high is None or low <= 0 <= high
        (open_ if within else closer if value < 0 else farther).append((value, _named(grid, name, found, "+")))
    return [
        (f"{title}, residual stream, {words}: ", *_in_order(group), ".")
        for group, words in (
            (closer, "closer than zero-shot to the model with demonstrations (change of the relative L2 distance)"),
            (farther, "farther from it than zero-shot"),
            (open_, "neither clearly closer nor farther"),
        )
        if group
    ]


def _answers(grid: Grid, title: str, lines: Mapping[str, list[tuple[Measurement, Line]]]) -> list[Text]:
    """How near the distributions of answer tokens are, the nearest first; hidden states may say otherwise."""
    found: list[tuple[float, Text]] = []
    for name, seeds in lines.items():
        known = [(one, line["kl"]) for one, line in seeds if line.get("kl") is not None]
        if known:
            found.append((_spread(known)[0], _named(grid, name, known)))
    start = f"{title}, answer tokens, KL to the model with demonstrations in nats: "
    return [(start, *_in_order(found), ".")] if found else []


def _in_order(found: Sequence[tuple[float, Text]]) -> Text:
    """Methods by their number, the least first."""
    return joined([said for _, said in sorted(found, key=itemgetter(0))])
