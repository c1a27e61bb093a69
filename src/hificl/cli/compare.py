"""``hificl compare``: every method on the same rows of a task, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hificl.cli import options
from hificl.cli.compare_plan import show_plan
from hificl.cli.report import Report, duration, reporting
from hificl.cli.settings import SHORT_NAMES, column_names, read_settings
from hificl.cli.task_data import DataOptions, Rows, read_rows, with_prompt
from hificl.errors import InputError

if TYPE_CHECKING:
    from hificl.backbones import Backbone
    from hificl.comparison import Comparison, Step

COMPARISON = "Comparison"


@dataclass(frozen=True)
class CompareOptions:
    """The keys of a recipe file for a comparison that are not options of the methods."""

    task: str | None = None
    model: str = "embedded"
    methods: str = "all"
    seeds: int = 1
    shots: int | None = None
    output: str | None = None
    train_size: int | None = None
    query_size: int | None = None
    root: str | None = None
    protocol: str | None = None
    on_bad: str = "fail"
    images: str | None = None
    columns: dict[str, str] | None = None
    dtype: str | None = None
    prompt: str | None = None
    generation: str | None = None
    search: bool = False
    store: str | None = None

    @property
    def folder(self) -> str:
        """The folder of the comparison: the one that was named, else one after the task."""
        return self.output or f"runs/compare-{self.task}"

    @property
    def data(self) -> DataOptions:
        """Where the rows come from."""
        return DataOptions(
            task=self.task, root=self.root, protocol=self.protocol, on_bad=self.on_bad, images=self.images,
            columns=self.columns, support_size=self.train_size, query_size=self.query_size,
        )  # fmt: skip


def command(
    words: options.Words = None,
    task: options.Task = None,
    model: options.Model = None,
    methods: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="all (default), variants, or names with commas between, such as icl,lora,dora,hificl.",
            rich_help_panel=COMPARISON,
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Number of seeds; default 1.", rich_help_panel=COMPARISON, show_default=False)
    ] = None,
    shots: Annotated[
        int | None,
        typer.Option(
            help="Demonstrations of icl; default: the number that a search chose, else 8.",
            rich_help_panel=COMPARISON,
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Gets summary.json, comparison.md and a folder per cell; default runs/compare-TASK.",
            rich_help_panel=COMPARISON,
            show_default=False,
        ),
    ] = None,
    search: Annotated[
        bool,
        typer.Option(
            "--search",
            help="First search the hyper-parameters of every method on a fifth of the support set.",
            rich_help_panel=COMPARISON,
        ),
    ] = False,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Keep what --search chose in this file of stored values.",
            rich_help_panel=COMPARISON,
            show_default=False,
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Do everything again, finished cells too.", rich_help_panel=COMPARISON)
    ] = False,
    train_size: Annotated[
        int | None,
        typer.Option(
            help="Support examples; default: as many as the task says.",
            rich_help_panel=options.DATA,
            show_default=False,
        ),
    ] = None,
    query_size: options.QuerySize = None,
    root: options.Root = None,
    protocol: options.Protocol = None,
    on_bad: options.OnBad = None,
    images: options.Images = None,
    columns: options.Columns = None,
    dtype: options.Dtype = None,
    prompt: options.Prompt = None,
    generation: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Beams and length: default (greedy), hificl, stave, mimic or live; default: those of the protocol.",
            rich_help_panel=options.MODEL,
            show_default=False,
        ),
    ] = None,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Fit and score every method on the same rows, and test each against HiFICL on the same queries.

    Fields of the recipe are set for all methods (epochs=5), options of one by its name (lora.r=8). A stopped comparison
    goes on when the same command is given again. The exit code is 1 when a method failed; the table says why.
    With --dry-run the model needs no more than a config.json: parameters are counted, nothing is run.

    All are trained alike, by the recipe plain. What `hificl train` does by default is the method hificl_robust here.

    Example: hificl compare --task easy_vqa --methods icl,lora,hificl --seeds 3

    Example: hificl compare --task easy_vqa --methods lora,hificl_robust least_steps=300

    Example: hificl compare --model FOLDER --methods all --dry-run --json
    """
    given = {
        "task": task, "model": model, "methods": methods, "seeds": seeds, "shots": shots, "output": output,
        "train_size": train_size, "query_size": query_size, "root": root, "protocol": protocol,
        "on_bad": on_bad and on_bad.value, "images": images, "columns": column_names(columns), "dtype": dtype,
        "prompt": prompt, "generation": generation, "search": search or None, "store": store,
    }  # fmt: skip
    with reporting(as_json, same_bits=True) as report:
        chosen, others = read_settings(CompareOptions, words, given, takes_overrides=True)
        if chosen.store is not None and not chosen.search:
            raise InputError("--store keeps what a search has chosen; give --search with it.")
        overrides = {_full_name(name): value for name, value in others.items()}
        if dry_run:
            show_plan(report, chosen, overrides)
            return
        failed = _compare(report, chosen, overrides, fresh)
    if failed:
        raise typer.Exit(1)


def _full_name(key: str) -> str:
    """The key with the short name of a field written out behind the name of a method."""
    name, dot, field = key.rpartition(".")
    return f"{name}{dot}{SHORT_NAMES.get(field, field)}"


def _compare(report: Report, chosen: CompareOptions, overrides: Mapping[str, Any], fresh: bool) -> bool:
    """Run the comparison and show it; True when a method failed."""
    if chosen.task is None:
        raise InputError("name what is compared on with --task; see `hificl list tasks`.")
    from hificl.cli.compare_table import show_comparison
    from hificl.cli.inputs import open_backbone
    from hificl.cli.quickstart import use_one_thread
    from hificl.comparison import compare
    from hificl.tasks import TaskData

    if chosen.model == "embedded":
        use_one_thread()
    rows = read_rows(chosen.data)
    backbone = with_prompt(open_backbone(chosen.model, chosen.dtype), chosen.prompt, rows)
    report.note(f"compare: {len(rows.support)} support and {len(rows.queries)} query examples, into {chosen.folder}")
    done = compare(
        backbone, TaskData(rows.support, rows.queries), task=chosen.task, metric=rows.task.metric if rows.task else "",
        methods=chosen.methods, seeds=chosen.seeds, shots=chosen.shots, output_dir=chosen.folder,
        setting=_setting(chosen, rows, backbone), overrides=overrides, search=chosen.search, fresh=fresh,
        announce=lambda step: report.note(step_line(step)),
    )  # fmt: skip
    if chosen.store is not None:
        _store(report, done, chosen.store)
    report.result(done.summary, lambda screen: show_comparison(screen, done))
    return bool(done.failed)


def _setting(chosen: CompareOptions, rows: Rows, backbone: Backbone) -> Any:
    """How the queries of a benchmark are answered; None for a task of our own, whose name says all."""
    if rows.task is None or rows.task.origin != "root":
        return None
    from hificl.cell import Setting
    from hificl.cli.eval import EvalOptions, decoding_of
    from hificl.cli.task_figures import postprocessing

    asked = EvalOptions(task=chosen.task, root=chosen.root, generation=chosen.generation)
    return Setting(decoding_of(asked, rows, backbone), postprocessing(asked, rows), rows.source)


def _store(report: Report, done: Comparison, file: str) -> None:
    from hificl.comparison import store_values
    from hificl.records import read_json

    record = done.folder / "search" / "search.json"
    parts = record.parts
    kept = Path(*parts[parts.index("results") :]) if "results" in parts else record
    store_values(read_json(record), file, record=kept.as_posix())
    report.note(f"the chosen values are in {file}")


def step_line(step: Step) -> str:
    """Say which cell begins, and how long the rest takes."""
    left = "" if step.seconds_left is None else f", about {duration(max(step.seconds_left, 1))} left"
    return f"[{step.position}/{step.total}] {step.label}{': done before' if step.done else left}"
