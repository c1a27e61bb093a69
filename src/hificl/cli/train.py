"""``hificl train``: fit an adapter to your own rows or to a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hificl.cli import options
from hificl.cli.report import Report, duration, facts, reporting, size
from hificl.cli.settings import column_names, read_settings
from hificl.cli.task_data import DataOptions, Rows, read_rows, with_prompt
from hificl.cli.train_config import recipe_file, show_config
from hificl.cli.train_plan import show_plan
from hificl.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from hificl.backbones import Backbone
    from hificl.data import Example
    from hificl.run import Run
    from hificl.training.request import Request

TRAINING = "Training"


@dataclass(frozen=True)
class TrainOptions(DataOptions):
    """The keys of a recipe file that are not numbers of the training itself."""

    model: str = "embedded"
    dtype: str | None = None
    prompt: str | None = None
    method: str = "hificl"
    recipe: str = "default"
    output: str | None = None
    resume: bool = True

    @property
    def folder(self) -> Path:
        """The folder of the run: the one that was named, else one after the data and the method."""
        return Path(self.output or f"runs/{self.task or Path(self.data or '').stem}-{self.method}")


def command(
    words: options.Words = None,
    data: options.Data = None,
    images: options.Images = None,
    columns: options.Columns = None,
    task: options.Task = None,
    root: options.Root = None,
    protocol: options.Protocol = None,
    on_bad: options.OnBad = None,
    support_size: options.SupportSize = None,
    model: options.Model = None,
    dtype: options.Dtype = None,
    prompt: options.Prompt = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="Trained: hificl (default), lora, prefix_tuning, i2cl, live, mimic, m2iv. Fitted from activations: "
            "task_vector, function_vector, icv, mtv. `hificl list methods` says what each does.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="robust (default: from demonstrations, 300 steps or more), plain (as comparisons train) or paper.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Folder of the run; default: runs/DATA-METHOD.", rich_help_panel=TRAINING),
    ] = None,
    seed: options.Seed = None,
    no_resume: Annotated[
        bool, typer.Option("--no-resume", help="Start over instead of going on.", rich_help_panel=TRAINING)
    ] = False,
    dry_run: options.DryRun = False,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Write the resolved recipe as YAML to stdout and exit.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Train an adapter on a frozen model from a few hundred labelled examples.

    Any number of the training can be overridden: lr=5e-3 epochs=5 num_virtual_tokens=16 r=8 batch_size=8 holdout=0.1.
    With teacher=mse, cosine or kl the model also learns from itself with teacher_shots=8 demonstrations before it.
    group_by_length=true pads less, gradient_checkpointing=true takes less memory, compile=true less time on long runs.
    A killed run goes on when the same command is given again.

    Example: hificl train --data rows.jsonl --images photos lr=5e-3
    """
    given = {
        "data": data, "images": images, "columns": column_names(columns), "task": task, "root": root,
        "protocol": protocol, "on_bad": on_bad and on_bad.value, "support_size": support_size, "model": model,
        "dtype": dtype, "prompt": prompt, "method": method, "recipe": recipe, "output": output, "seed": seed,
        "resume": False if no_resume else None,
    }  # fmt: skip
    with reporting(as_json, same_bits=True) as report:
        chosen, overrides = read_settings(TrainOptions, words, given, takes_overrides=True, known=_known)
        rows = read_rows(chosen)
        backbone = _backbone(chosen, rows)
        # The seed of a protocol, written out, so that the recipe file repeats the run.
        chosen = replace(chosen, seed=rows.seed)
        overrides = {**_metric(chosen, rows), **overrides}
        if print_config:
            show_config(report, chosen, _request(chosen, overrides, backbone, rows), backbone)
        elif dry_run:
            _show_plan(report, chosen, overrides, backbone, _examples(rows))
        else:
            _train(report, chosen, overrides, backbone, rows)


def _known(chosen: TrainOptions) -> set[str]:
    """What the method takes, such as the ``prompts`` of MTV, which is no slip of ``prompt``."""
    from hificl.training.request import option_names

    return option_names(chosen.method)


def _metric(chosen: TrainOptions, rows: Rows) -> dict[str, str]:
    """A fitted method chooses by the metric of its task."""
    from hificl.training.recipes import is_fitted

    return {"metric": rows.task.metric} if rows.task is not None and is_fitted(chosen.method) else {}


def _examples(rows: Rows) -> list[Example]:
    if rows.task is None:
        return rows.queries
    if not rows.support:
        raise InputError(
            f"task {rows.task.name!r}: there are no rows to learn from under this root and protocol; "
            f"`hificl data validate {rows.task.name}` says which files belong there."
        )
    return rows.support


def _backbone(chosen: TrainOptions, rows: Rows) -> Backbone:
    from hificl.cli.inputs import open_backbone

    return with_prompt(open_backbone(chosen.model, chosen.dtype), chosen.prompt, rows)


def _request(chosen: TrainOptions, overrides: Mapping[str, Any], backbone: Backbone, rows: Rows) -> Request:
    """What a training would do."""
    from hificl.training.request import resolve_for

    return resolve_for(backbone, _examples(rows), chosen.method, chosen.recipe, overrides, rows.seed)


def _done(chosen: TrainOptions, overrides: Mapping[str, Any], backbone: Backbone, run: Run) -> Request:
    """What a training did, with whatever its recipe gave way to."""
    from hificl.methods import METHODS
    from hificl.training.request import resolve

    config: Any = run.model.peft_config["default"]
    instead = {name: getattr(config, name) for one in METHODS[chosen.method].otherwise for name in one}
    return resolve(backbone, chosen.method, chosen.recipe, {**instead, **overrides})


def _train(report: Report, chosen: TrainOptions, overrides: dict[str, Any], backbone: Backbone, rows: Rows) -> None:
    from hificl.records import write_atomic
    from hificl.training import train

    examples = _examples(rows)
    if rows.skipped:
        report.note(f"{len(rows.skipped)} bad rows were left out; the record lists them. First: {rows.skipped[0]}")
    report.note(f"training {chosen.method} on {backbone.name} with {len(examples)} rows, into {chosen.folder}")
    run = train(
        backbone, examples, method=chosen.method, recipe=chosen.recipe, output_dir=chosen.folder, seed=rows.seed,
        resume=chosen.resume, task=chosen.task, source=_source(rows), **overrides,
    )  # fmt: skip
    config = recipe_file(chosen, _done(chosen, overrides, backbone, run), backbone)
    write_atomic(chosen.folder / "recipe.yaml", config.encode())
    summary = _summary(chosen, run)
    report.result(summary, lambda screen: _show(screen, summary, chosen))


def _source(rows: Rows) -> Mapping[str, Any] | None:
    """Only benchmarks have a choice of rows; the name of any other task says all."""
    return rows.source if rows.task is not None and rows.task.origin == "root" else None


def _summary(chosen: TrainOptions, run: Run) -> dict[str, Any]:
    from hificl.training.estimate import starts_from

    results = run.record["results"]
    weights = chosen.folder / "adapter" / "adapter_model.safetensors"
    return {
        "adapter": str(chosen.folder / "adapter"),
        "record": str(chosen.folder / "record.json"),
        "method": chosen.method,
        "started_from": starts_from(run.model.peft_config["default"]),
        "examples": len(run.record["sample_ids"]["train"]),
        "steps": results["steps"],
        "trainable_parameters": results["trainable_parameters"],
        "stored_parameters": results.get("stored_parameters"),
        "adapter_bytes": weights.stat().st_size,
        "final_loss": results["losses"][-1] if results["losses"] else None,
        "held_out_loss": results["held_out_loss"],
        "train_seconds": run.record["volatile"]["timing"]["train_seconds"],
    }


def _show(screen: Console, summary: dict[str, Any], chosen: TrainOptions) -> None:
    rows: dict[str, object] = {
        "adapter": f"{summary['adapter']} ({size(summary['adapter_bytes'])})",
        "trainable parameters": f"{summary['trainable_parameters']:,}",
    }
    if summary["started_from"] is not None:
        rows["started from"] = summary["started_from"]
    if summary["steps"]:
        rows["trained"] = (
            f"{summary['steps']} steps on {summary['examples']} examples, {duration(summary['train_seconds'])}, last "
            f"loss {summary['final_loss']:.3f}"
        )
    else:
        rows["stored values"] = f"{summary['stored_parameters']:,}"
        rows["fitted"] = f"to {summary['examples']} examples, {duration(summary['train_seconds'])}"
    if summary["held_out_loss"] is not None:
        rows["held-out loss"] = f"{summary['held_out_loss']:.3f}"
    rows["record"] = summary["record"]
    facts(screen, rows)
    base = f" --dtype {chosen.dtype}" if chosen.dtype else ""
    query = f"--task {chosen.task}" if chosen.task else "--data OTHER_ROWS"
    query += f" --root {chosen.root}" if chosen.root else ""
    query += f" --protocol {chosen.protocol}" if chosen.protocol else ""
    screen.print(f"\nNext: hificl eval --adapter {chosen.folder}{base} {query}", soft_wrap=True)


def _show_plan(
    report: Report, chosen: TrainOptions, overrides: dict[str, Any], backbone: Backbone, examples: list[Example]
) -> None:
    from hificl.training import plan

    found = plan(backbone, examples, method=chosen.method, recipe=chosen.recipe, seed=chosen.seed or 0, **overrides)

    def show(screen: Console) -> None:
        show_plan(screen, found, backbone.name, str(chosen.folder))
        if _scores_layers(chosen, overrides):
            facts(screen, {"layer chosen by": f"{found.recipe.metric} on {found.held_out} held-out examples"})
        screen.print("Nothing was written (dry run).")

    report.result({"dry_run": True, "output": str(chosen.folder), "model": backbone.name, **found.to_dict()}, show)


def _scores_layers(chosen: TrainOptions, overrides: Mapping[str, Any]) -> bool:
    """Whether the fit tries layers and scores each; MTV compares losses, and ICV chooses nothing."""
    return "layer" in _known(chosen) and overrides.get("layer") is None
