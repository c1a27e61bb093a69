"""What an answer costs: tokens, operations, cache and latency, against the number of demonstrations in the prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from hificl.reporting import numbers
from hificl.reporting.document import Cell, Section, Table, Text, empty_cell, joined
from hificl.reporting.figures import Dot, Dots, Reference
from hificl.reporting.grid import Grid, Measurement
from hificl.reporting.labels import columns
from hificl.reporting.measured import link, of_measure, over_seeds, seeds_text
from hificl.reporting.names import REFERENCE, method_label, task_label

MEASURE = "inference_cost"
BASE = "zero_shot"
"""What every method is timed beside, in turns."""

TIMES = (("seconds_to_first_token", "time to first token"), ("seconds_per_token", "time per further token"))


@dataclass(frozen=True)
class _Line:
    """One method with its shots: what was counted and what was timed, by measurement."""

    label: str
    key: str
    shots: int
    seeds: tuple[tuple[Measurement, str], ...]

    def counted(self, name: str) -> float | None:
        """A counted number, mean over the seeds."""
        values = [one.results["lines"][own].get(name) for one, own in self.seeds]
        known = [value for value in values if value is not None]
        return fmean(known) if known else None

    def timed(self, name: str) -> numbers.Spread | None:
        """Median time with its quartiles for one seed; else mean, lowest and highest of the medians."""
        spreads: list[Mapping[str, Any]] = [one.volatile["lines"][own][name] for one, own in self.seeds]
        if not spreads:
            return None
        return over_seeds([spread["median"] for spread in spreads], (spreads[0]["low"], spreads[0]["high"]))

    def ratio(self, name: str) -> numbers.Spread | None:
        """Time over that of zero-shot in the same rounds: of times from other minutes a machine makes what it likes."""
        found = []
        for one, own in self.seeds:
            lines = one.volatile["lines"]
            if own != BASE and BASE in lines:
                found.append(lines[own][name]["median"] / lines[BASE][name]["median"])
        return over_seeds(found) if found else None

    @property
    def measurements(self) -> list[Measurement]:
        """Where the numbers stand."""
        return [one for one, _ in self.seeds]


def inference_cost_section(grid: Grid) -> Section:
    """Draw tokens, operations, cache and latency of every method and number of shots."""
    facts: list[Text] = []
    figures, tables = [], []
    for task, measurements in of_measure(grid, MEASURE).items():
        lines = _lines(measurements)
        title, name = f"Answering on {task_label(task)}", f"{grid.name}_{task}"
        tables.append(_table(grid, name, title, lines))
        figures += [_figure(f"{name}_{quantity}", title, quantity, words, lines) for quantity, words in TIMES]
        facts += _facts(grid, title, lines)
    note = (
        "Operations and cache are counted; times are medians of rounds in which each method runs in turns with "
        "zero-shot. In square brackets: quartiles over rounds, of one seed; in round ones: lowest and highest seed."
    )
    return Section(
        grid.name, grid.title, grid.question, (), tuple(facts), tuple(figures), tuple(tables), (note,), (), grid.holes
    )


def _lines(measurements: Sequence[Measurement]) -> list[_Line]:
    found: dict[tuple[str, int], list[tuple[Measurement, str]]] = {}
    for one in {one.record: one for one in measurements}.values():  # a cell that stands for all seeds is one run
        own = next(iter(one.results["lines"]))
        found.setdefault((one.variant, one.results["lines"][own]["shots"]), []).append((one, own))
    first = measurements[0]
    if ("zero_shot", 0) not in found and "zero_shot" in first.results["lines"]:
        found["zero_shot", 0] = [(first, "zero_shot")]
    ordered = sorted(found.items(), key=lambda item: (item[0][1], item[0][0]))
    return [_Line(method_label(name, shots), name, shots, tuple(seeds)) for (name, shots), seeds in ordered]


def _table(grid: Grid, name: str, title: str, lines: Sequence[_Line]) -> Table:
    rows = []
    for line in lines:
        target = link("", line.measurements, grid).target
        cells = [Cell(line.label, line.label, strong=line.key == REFERENCE)]
        for quantity, show in (
            ("prompt_tokens", numbers.count),
            ("flops_prefill", numbers.large),
            ("kv_bytes", numbers.size),
        ):
            value = line.counted(quantity)
            cells.append(empty_cell() if value is None else Cell(show(value), value, target=target))
        for quantity, _ in TIMES:
            cells.append(_cell(line, line.timed(quantity), numbers.seconds, target))
            cells.append(_cell(line, line.ratio(quantity), numbers.ratio, target))
        rows.append(tuple(cells))
    timed = [head for _, words in TIMES for head in (words, f"{words} / zero-shot")]
    heads = columns("method", "prompt tokens", "operations of the prompt", "cache", *timed)
    return Table(name, title, heads, tuple(rows))


def _cell(line: _Line, spread: numbers.Spread | None, show: Callable[[float], str], target: Any) -> Cell:
    if spread is None:
        return empty_cell()
    shown = numbers.with_spread(spread, len(line.measurements), show)
    return Cell(shown, *spread, target, seeds_text(line.measurements))


def _figure(name: str, title: str, quantity: str, words: str, lines: Sequence[_Line]) -> Dots:
    dots = []
    for line in lines:
        if line.key != BASE:
            value, low, high = line.ratio(quantity) or (None, None, None)
            dots.append(Dot(line.label, value, low, high, line.key, "not measured"))
    told = "; ".join(f"{dot.label} {dot.value:.2f}" for dot in dots if dot.value is not None)
    return Dots(
        name, f"{title}: {words}", f"{words.capitalize()} over that of zero-shot in the same rounds: {told}.",
        f"{words}, ratio to zero-shot (logarithmic)", tuple(dots), (Reference(1.0, "zero-shot"),), log_x=True,
    )  # fmt: skip


def _facts(grid: Grid, title: str, lines: Sequence[_Line]) -> list[Text]:
    """The time to the first token in units of zero-shot's, the method that this is about first."""
    parts: list[Text] = []
    for line in sorted(lines, key=lambda one: one.key != REFERENCE):
        if (ratio := line.ratio(TIMES[0][0])) is not None:
            shown = numbers.with_spread(ratio, len(line.measurements), numbers.ratio)
            parts.append((f"{line.label} ", link(shown, line.measurements, grid, "in the same rounds")))
    return [(f"{title}, time to the first token over that of zero-shot: ", *joined(parts), ".")] if parts else []
