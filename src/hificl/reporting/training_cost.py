"""What training costs: counted operations, seconds and memory, beside HiFICL's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from hificl.reporting import numbers
from hificl.reporting.document import Cell, Section, Table, Text, empty_cell, joined
from hificl.reporting.figures import Dot, Dots, Reference
from hificl.reporting.grid import Grid, Measurement
from hificl.reporting.labels import columns
from hificl.reporting.measured import by_label, link, of_measure, over_seeds, seeds_text
from hificl.reporting.names import REFERENCE, method_label, task_label

MEASURE = "training_cost"
OWN = method_label(REFERENCE)
QUANTITIES = (
    ("flops", "operations", numbers.large),
    ("seconds", "time", numbers.seconds),
    ("peak_memory_bytes", "peak memory", numbers.size),
)


def training_cost_section(grid: Grid) -> Section:
    """Draw what training costs each method, and the ratios to HiFICL."""
    facts: list[Text] = []
    figures, tables = [], []
    for task, measurements in of_measure(grid, MEASURE).items():
        variants = by_label(measurements)
        title, name = f"Training on {task_label(task)}", f"{grid.name}_{task}"
        tables.append(_table(grid, name, title, variants))
        if OWN in variants:
            figures += [
                _figure(name, title, quantity, words, variants)
                for quantity, words, _ in QUANTITIES[:2]
                if _mean(variants[OWN], quantity)
            ]
            facts += _facts(grid, title, variants)
    note = (
        "Operations are counted by torch's counter over the steps named, not estimated; time is the median step times "
        "the number of steps; memory is the most that torch holds during a few steps beyond the model. In round "
        "brackets: lowest and highest seed. A teacher sees as many demonstrations as its method's name says here, else "
        "as many as are the default of model and method (of MimIC, LIVE and M2IV on the embedded model four)."
    )
    return Section(
        grid.name, grid.title, grid.question, (), tuple(facts), tuple(figures), tuple(tables), (note,), (), grid.holes
    )


def value_of(one: Measurement, quantity: str) -> float | None:
    """One quantity of a measurement, counted or timed; None where it is not known or nothing was counted."""
    source: Mapping[str, Any] = one.results if quantity == "flops" else one.volatile
    value = source.get(quantity)
    return float(value) if value else None


def _values(seeds: Sequence[Measurement], quantity: str) -> list[float]:
    return [value for one in seeds if (value := value_of(one, quantity)) is not None]


def _mean(seeds: Sequence[Measurement], quantity: str) -> float | None:
    values = _values(seeds, quantity)
    return fmean(values) if values else None


def _table(grid: Grid, name: str, title: str, variants: Mapping[str, Sequence[Measurement]]) -> Table:
    rows = []
    reference = variants.get(OWN, ())
    for variant, seeds in variants.items():
        cells = [Cell(variant, variant, strong=variant == OWN)]
        steps = seeds[0].results.get("steps")
        cells.append(Cell(numbers.count(steps), steps) if steps else empty_cell())
        for quantity, _, show in QUANTITIES:
            values, base = _values(seeds, quantity), _mean(reference, quantity)
            if not values:
                cells += [empty_cell(), empty_cell()]
                continue
            spread, target = over_seeds(values), link("", seeds, grid).target
            value = spread[0]
            # Operations and memory are counted, and the same for every seed.
            shown = numbers.with_spread(spread, len(seeds), show) if quantity == "seconds" else show(value)
            cells.append(Cell(shown, *spread, target, seeds_text(seeds)))
            cells.append(Cell(numbers.ratio(value / base), value / base, target=target) if base else empty_cell())
        rows.append(tuple(cells))
    heads = ["method", "steps"]
    for _, words, _ in QUANTITIES:
        heads += [words, f"{words} / HiFICL"]
    return Table(name, title, columns(*heads), tuple(rows))


def _figure(name: str, title: str, quantity: str, words: str, variants: Mapping[str, Sequence[Measurement]]) -> Dots:
    base = _mean(variants[OWN], quantity) or 1.0
    dots = []
    for variant, seeds in variants.items():
        values = [value / base for value in _values(seeds, quantity)]
        value, low, high = over_seeds(values) if values else (None, None, None)
        dots.append(Dot(variant, value, low, high, seeds[0].variant, "not measured"))
    dots.sort(key=lambda dot: dot.value if dot.value is not None else float("inf"))
    told = "; ".join(f"{dot.label} {dot.value:.2f}" for dot in dots if dot.value is not None)
    return Dots(
        f"{name}_{quantity}", f"{title}: {words}", f"{words.capitalize()} of training over that of HiFICL: {told}.",
        f"{words} of training, ratio to HiFICL (logarithmic)", tuple(dots), (Reference(1.0, "HiFICL"),), log_x=True,
    )  # fmt: skip


def _facts(grid: Grid, title: str, variants: Mapping[str, Sequence[Measurement]]) -> list[Text]:
    own = variants[OWN]
    facts: list[Text] = []
    for quantity, words, _ in QUANTITIES:
        base = _mean(own, quantity)
        if not base:
            continue
        parts: list[Text] = []
        for variant, seeds in variants.items():
            value = _mean(seeds, quantity)
            if variant != OWN and value is not None:
                parts.append((f"{variant} ", link(numbers.ratio(value / base), seeds, grid)))
        if parts:
            facts.append((f"{title}, {words} in units of HiFICL's: ", *joined(parts), "."))
    return facts
