"""Attention on real tokens: which share of it stays there (alpha), and what the virtual pairs take and say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Any

from hificl.reporting import numbers
from hificl.reporting.document import NOTHING, Cell, Column, Link, Section, Table, Text, joined
from hificl.reporting.figures import Heat, Lines, Series
from hificl.reporting.grid import Grid, Measurement
from hificl.reporting.measured import by_variant, link, of_measure
from hificl.reporting.names import method_label, task_label

MEASURE = "real_mass"
SHOWN_PAIRS = 20
"""Pairs in the table; the record holds more."""


def real_mass_section(grid: Grid) -> Section:
    """Draw alpha by layer and head, alpha by token type, and the pairs with the most mass."""
    facts: list[Text] = []
    short: list[Text] = []
    figures: list[Heat | Lines] = []
    tables = []
    for task, measurements in of_measure(grid, MEASURE).items():
        means: list[Text] = []
        for variant, seeds in by_variant(measurements).items():
            name, title = f"{grid.name}_{task}_{variant}", f"{method_label(variant)} on {task_label(task)}"
            alpha = {kind: _mean([one.results["alpha"][kind]["mean"] for one in seeds]) for kind in _kinds(seeds)}
            figures += [_heat(name, title, alpha["all"]), _by_type(name, title, alpha)]
            facts.append(_fact(grid, title, alpha["all"], seeds))
            tables.append(_pairs(name, title, seeds[0]))
            mean = fmean(value for line in alpha["all"] for value in line)
            means.append((f"{method_label(variant)} ", _share(grid, mean, seeds)))
        short.append((f"{task_label(task)}, attention that stays on real tokens on average: ", *joined(means), "."))
    note = (
        "Attention on real tokens is the share of the softmax that stays on real keys, alpha in the paper; the rest "
        "goes to the virtual pairs. Means over queries, tokens and seeds."
    )
    return Section(
        grid.name, grid.title, grid.question, (), tuple(facts), tuple(figures), tuple(tables), (note,), tuple(short),
        grid.holes,
    )  # fmt: skip


def _kinds(seeds: Sequence[Measurement]) -> list[str]:
    """Token types that every seed has; all tokens first."""
    kinds = [kind for kind in seeds[0].results["alpha"] if all(kind in one.results["alpha"] for one in seeds)]
    return sorted(kinds, key=lambda kind: kind != "all")


def _mean(tables: Sequence[Sequence[Sequence[float]]]) -> list[list[float]]:
    """Mean over the seeds of [layer][head]."""
    return [[fmean(values) for values in zip(*heads, strict=True)] for heads in zip(*tables, strict=True)]


def _heat(name: str, title: str, alpha: Sequence[Sequence[float]]) -> Heat:
    layers, heads = len(alpha), len(alpha[0])
    low, layer, head = min((value, row, column) for row, line in enumerate(alpha) for column, value in enumerate(line))
    return Heat(
        f"{name}_heads", f"{title}: attention on real tokens by layer and head",
        f"Share in percent, {layers} layers and {heads} heads; the smallest is {100 * low:.0f} in layer {layer + 1}, "
        f"head {head + 1}.",
        "head", "layer", tuple(str(one + 1) for one in range(heads)), tuple(str(one + 1) for one in range(layers)),
        tuple(tuple(100 * value for value in line) for line in alpha), "attention on real tokens, %", digits=0,
        ends=(0.0, 100.0),
    )  # fmt: skip


def _by_type(name: str, title: str, alpha: Mapping[str, Sequence[Sequence[float]]]) -> Lines:
    series = tuple(
        Series(
            f"{kind} tokens",
            tuple(float(layer + 1) for layer in range(len(table))),
            tuple(100 * fmean(heads) for heads in table),
            key=kind,
        )
        for kind, table in alpha.items()
    )
    told = "; ".join(
        f"{one.label}: " + ", ".join(f"{value:.0f}" for value in one.y if value is not None) for one in series
    )
    return Lines(
        f"{name}_types", f"{title}: attention on real tokens by token type",
        f"Share in percent, mean over heads, by layer. {told}.", "layer", "attention on real tokens, %", series,
    )  # fmt: skip


def _fact(grid: Grid, title: str, alpha: Sequence[Sequence[float]], seeds: Sequence[Measurement]) -> Text:
    flat = [(value, layer + 1, head + 1) for layer, line in enumerate(alpha) for head, value in enumerate(line)]
    low, high = min(flat), max(flat)
    share = partial(_share, grid, seeds=seeds)
    return (
        f"{title}: on average ", share(fmean(value for value, _, _ in flat)),
        f" of the attention stays on real tokens; least in layer {low[1]}, head {low[2]} (", share(low[0]),
        f"), most in layer {high[1]}, head {high[2]} (", share(high[0]), ").",
    )  # fmt: skip


def _share(grid: Grid, value: float, seeds: Sequence[Measurement]) -> Link:
    return link(f"{numbers.plain(100 * value, 1)} %", seeds, grid)


def _pairs(name: str, title: str, one: Measurement) -> Table:
    pairs = one.results["pairs"][:SHOWN_PAIRS]
    rows = []
    for pair in pairs:
        places = (pair["layer"] + 1, pair["head"] + 1, pair["pair"] + 1)
        cells = [Cell(str(place), place) for place in places]
        cells.append(Cell(numbers.plain(100 * pair["mass"], 1), pair["mass"], target=one.record))
        cells += [_tokens(pair["from"], 100.0), _tokens(pair["says"] or [], 1.0)]
        rows.append(tuple(cells))
    heads = (
        Column("layer"), Column("head"), Column("pair"), Column("mass, % of attention"),
        Column("attended from (mean mass, %)", numeric=False), Column("its value says (logit)", numeric=False),
    )  # fmt: skip
    total = one.results["pairs_in_all"]
    note = (
        f"Seed {one.seed}, the {len(rows)} pairs with the most mass of {total}. What a value says: its way through the "
        "output projection and the unembedding, highest logits first; a reading, not a proof."
    )
    return Table(f"{name}_pairs", f"{title}: the pairs with the most mass", heads, tuple(rows), (note,), True)


def _tokens(tokens: Sequence[Sequence[Any]], factor: float) -> Cell:
    left, right = "\N{LEFT DOUBLE QUOTATION MARK}", "\N{RIGHT DOUBLE QUOTATION MARK}"
    shown = ", ".join(f"{left}{_visible(text)}{right} {numbers.plain(factor * one, 1)}" for text, one in tokens[:5])
    return Cell(shown or NOTHING, shown)


def _visible(text: str) -> str:
    """A token in which line ends and tabs can be seen."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
