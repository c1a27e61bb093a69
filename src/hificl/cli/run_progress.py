"""How far a grid is, and what it left: a bar on a terminal, else a line for every cell that ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table

from hificl.cli.report import duration

if TYPE_CHECKING:
    from hificl.experiments.run import Outcome
    from hificl.experiments.schedule import Step

READING_LINES = 10
"""About as many lines tell how many cells were read, where there is no bar."""


class Progress:
    """Progress of all grids of a command, with the time that is left.

    Args:
        workers: How many cells run at a time.
    """

    def __init__(self, workers: int) -> None:
        from hificl.experiments.estimate import Remaining

        self._left = Remaining(workers)
        self._bar: Bar | None = None
        self._task: Any = None
        self._doing = ""
        self._started = time.monotonic()

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[left]}"),
            )
            self._bar = Bar(*columns, console=Console(file=sys.stderr, markup=False))
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tell(self, step: Step) -> None:
        """Show a step."""
        seconds = self._left.after(step)
        left = "" if seconds is None else f"about {duration(max(seconds, 1))} left"
        if self._bar is not None:
            self._show(self._bar, step, left)
        elif step.doing == "reading":
            if step.done in (1, step.total) or step.done % max(1, step.total // READING_LINES) == 0:
                _line(f"reading cells: {step.done}/{step.total}")
        elif step.ended is not None:
            ended = "failed: " if step.error else ""
            _line(f"[{step.done}/{step.total}] {ended}{step.ended.job.label}{f' ({left})' if left else ''}")
        else:
            _line(f"running {step.total} cells{f', {left}' if left else ''}")

    def _show(self, bar: Bar, step: Step, left: str) -> None:
        if step.doing != self._doing:
            self._doing = step.doing
            self._task = bar.add_task(f"{step.doing} cells", total=step.total, left="")
        if step.error and step.ended is not None:
            bar.console.print(f"failed: {step.ended.job.label}: {step.error}", soft_wrap=True)
        bar.update(self._task, completed=step.done, total=step.total, left=left)


def show_outcome(screen: Console, done: Outcome) -> None:
    """Print what each grid has, and where it lies."""
    for summary, file in zip(done.summaries, done.files, strict=True):
        screen.print(f"{summary['title']} ({summary['artefact']})", soft_wrap=True)
        for table in _means(summary):
            screen.print(table)
        if summary["measurements"]:
            shown = f"{len(summary['measurements'])} measurements: hificl report {file.parent}"
            screen.print(shown, soft_wrap=True)
        holes = [f"{len(summary[name])} {name}" for name in ("failed", "missing") if summary[name]]
        told = f", {' and '.join(holes)}" if holes else ""
        screen.print(f"{summary['finished']} of {summary['planned']} cells finished{told}: {file}\n", soft_wrap=True)
        for one in summary["failed"]:
            screen.print(f"failed: {one['task']}, {one['line']}, seed {one['seed']}: {one['error']}", soft_wrap=True)
        for one in summary["speed"]:
            if one["error"] is not None:
                screen.print(f"failed: benchmarks.{one['script']}: {one['error']}", soft_wrap=True)


def _means(summary: Mapping[str, Any]) -> Iterator[Table]:
    """A table for each task and number of examples, with one line per mean of its headline subset."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for mean in summary["means"]:
        if mean["headline"]:
            subset = [] if mean["subset"] == "all" else [mean["subset"]]
            options = [f"{name} {value}" for name, value in mean["task_options"].items()]
            model = [] if summary["backbone"] else [mean["backbone"]]
            parts = (*model, mean["task"], *subset, *options, f"{mean['train_size']} examples")
            groups.setdefault(parts, []).append(mean)
    for parts, means in groups.items():
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, title=", ".join(parts), title_justify="left")
        table.add_column("method", overflow="fold")  # options may be many
        for name in ("runs", "score [95 %]", f"minus {means[0]['reference']}", "p (Holm)"):
            table.add_column(name, justify="right", no_wrap=True)
        for mean in means:
            digits = 1 if mean["scale"] == 100.0 else 4
            p_value = "" if mean["p_holm"] is None else f"{mean['p_holm']:.3f}"
            table.add_row(
                mean["line"], str(len(mean["records"])),
                _interval(mean["score"], mean["seed_ci95"] or mean["score_ci95"], digits, ""),
                _interval(mean["difference"], mean["difference_ci95"], digits, "+"), p_value,
            )  # fmt: skip
        if any(len(mean["records"]) == 1 for mean in means) and any(len(mean["records"]) > 1 for mean in means):
            table.caption, table.caption_justify = "intervals over runs; of a single run over queries", "left"
        yield table


def _interval(value: float | None, ends: Any, digits: int, sign: str) -> str:
    if value is None or ends is None:
        return ""
    return f"{value:{sign}.{digits}f} [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"


def _line(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
