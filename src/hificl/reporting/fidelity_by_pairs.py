"""Fidelity against the number of pairs and their rank: what compressing demonstrations costs, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from hificl.reporting import numbers
from hificl.reporting.document import Cell, Table, Text
from hificl.reporting.figures import Lines, Reference, Series
from hificl.reporting.grid import Grid, Measurement
from hificl.reporting.labels import columns
from hificl.reporting.measured import SPREAD_NOTE, link, over_seeds, seeds_text
from hificl.reporting.names import REFERENCE, axis_label, method_label

Seeds = Sequence[tuple[Measurement, Mapping[str, Any]]]
"""Measurements with the line of each that is shown."""
AXES = ("num_virtual_tokens", "r")
Sizes = Mapping[tuple[int, int | None], Seeds]
"""Those by number of pairs and by rank, None where the grid has only one."""


def is_sized(one: Measurement) -> bool:
    """Whether a measurement belongs to a sweep over the number of pairs that are taken and not trained."""
    return (
        one.variant == "hificl_start"
        and one.options.get("steps") == 0
        and one.point.get("num_virtual_tokens") is not None
        and not {name for name, value in one.point.items() if value is not None} - {*AXES, "task", "variant", "steps"}
    )


def by_size(measurements: Sequence[Measurement]) -> Sizes:
    """The measurements of a sweep, seeds together."""
    found: dict[tuple[int, int | None], list[tuple[Measurement, Mapping[str, Any]]]] = {}
    for one in measurements:
        place = one.point["num_virtual_tokens"], one.point.get("r")
        found.setdefault(place, []).append((one, one.results["lines"][one.variant]))
    return dict(sorted(found.items(), key=lambda item: (item[0][1] or 0, item[0][0])))


def size_figure(grid: Grid, task: str, title: str, sizes: Sizes, beside: Mapping[str, Seeds]) -> Lines:
    """Draw the distance over the number of pairs, one line for each rank."""
    series = []
    for rank in dict.fromkeys(rank for _, rank in sizes):
        found = {pairs: _residual(seeds) for (pairs, one), seeds in sizes.items() if one == rank}
        middle, low, high = zip(*found.values(), strict=True)
        label = "from demonstrations" if rank is None else f"rank r = {rank}"
        series.append(Series(label, tuple(map(float, found)), middle, low, high))
    references = tuple(Reference(_residual(seeds)[0], label) for label, seeds in beside.items())
    told = "; ".join(
        f"{one.label}: " + ", ".join(f"{_label(int(x), None)} {y:.3f}" for x, y in zip(one.x, one.y, strict=True))
        for one in series
    )
    lines = ", ".join(f"{one.label} {one.value:.3f}" for one in references)
    return Lines(
        f"{grid.name}_{task}_by_pairs", f"{title}: pairs taken from demonstrations, not trained",
        f"Relative L2 distance of the residual stream to the prompted model, lower is closer. {told}. Beside: {lines}.",
        axis_label("num_virtual_tokens"), "relative L2 distance", tuple(series), log_x=True, references=references,
    )  # fmt: skip


def size_table(grid: Grid, task: str, title: str, sizes: Sizes, beside: Mapping[str, Seeds]) -> Table:
    """Show the distance of the attention output in every layer, and that of the residual stream on average."""
    lines = {_label(pairs, rank): seeds for (pairs, rank), seeds in sizes.items()} | dict(beside)
    rows = []
    for label, seeds in lines.items():
        measurements = [one for one, _ in seeds]
        target = link("", measurements, grid).target
        mean = Cell(_shown(seeds), *_residual(seeds), target, seeds_text(measurements))
        layers = [line["attention_output"]["shared"]["relative_l2"]["by_layer"]["mean"] for _, line in seeds]
        means = [over_seeds(list(values))[0] for values in zip(*layers, strict=True)]
        rows.append((Cell(label, label), mean, *(Cell(f"{mean:.3f}", mean) for mean in means)))
    heads = columns(
        "pairs of demonstrations, not trained",
        "residual stream, all layers",
        *(f"attention output, layer {place}" for place in range(1, len(rows[0]) - 1)),
    )
    return Table(f"{grid.name}_{task}_by_pairs", f"{title}, by pairs and rank", heads, tuple(rows), (SPREAD_NOTE,))


def size_fact(grid: Grid, title: str, sizes: Sizes) -> Text:
    """Say at which size the distance is least and greatest."""
    order = sorted(sizes, key=lambda place: _residual(sizes[place])[0])
    said: list[Any] = [f"{title}, residual stream, pairs of demonstrations without training: closest with "]
    for place, words in ((order[0], ", farthest with "), (order[-1], ".")):
        shown = link(_shown(sizes[place]), [one for one, _ in sizes[place]], grid)
        said += [f"{_label(*place)} (", shown, f"){words}"]
    return tuple(said)


def beside_label(name: str) -> str:
    """Name a line that a sweep is compared with."""
    return f"{method_label(name)}, trained" if name == REFERENCE else method_label(name)


def _label(pairs: int, rank: int | None) -> str:
    counted = f"{pairs} pair" if pairs == 1 else f"{pairs} pairs"
    return counted if rank is None else f"{counted}, rank {rank}"


def _shown(seeds: Seeds) -> str:
    return numbers.with_spread(_residual(seeds), len(seeds), partial(numbers.plain, digits=3))


def _residual(seeds: Seeds) -> numbers.Spread:
    found = [line["residual"]["shared"]["relative_l2"] for _, line in seeds]
    return over_seeds([one["mean"] for one in found], found[0].get("ci95"))
