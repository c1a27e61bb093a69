"""``hificl eval``: answer a labelled query set and score the answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hificl.cli import options
from hificl.cli.report import Report, duration, facts, reporting
from hificl.cli.settings import column_names, read_settings
from hificl.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from hificl.backbones import Backbone
    from hificl.data import Example
    from hificl.evaluation import Result
    from hificl.run import Run


@dataclass(frozen=True)
class EvalOptions:
    """The keys of a recipe file for an evaluation."""

    adapter: str | None = None
    model: str | None = None
    data: str | None = None
    images: str | None = None
    columns: dict[str, str] | None = None
    task: str | None = None
    shots: int = 0
    demonstrations: str | None = None
    metric: str = "exact_match"
    batch_size: int | None = None
    output: str | None = None
    seed: int = 0


def command(
    words: options.Words = None,
    adapter: options.Adapter = None,
    model: options.Model = None,
    data: options.Data = None,
    images: options.Images = None,
    columns: options.Columns = None,
    task: options.Task = None,
    shots: Annotated[
        int | None,
        typer.Option(help="Demonstrations in every prompt (in-context learning); default 0.", show_default=False),
    ] = None,
    demonstrations: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Rows that demonstrations are drawn from.", show_default=False),
    ] = None,
    metric: Annotated[str | None, typer.Option(help="How answers are scored; default exact_match.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Queries answered together; default: what fits.", show_default=False)
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Gets predictions.jsonl and record.json; default: nothing is written."),
    ] = None,
    seed: options.Seed = None,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Score an adapter, or a frozen model with or without demonstrations, on labelled rows.

    Example: hificl eval --adapter runs/rows-hificl --data test.jsonl --images photos
    """
    given = {
        "adapter": adapter, "model": model, "data": data, "images": images, "columns": column_names(columns),
        "task": task, "shots": shots, "demonstrations": demonstrations, "metric": metric, "batch_size": batch_size,
        "output": output, "seed": seed,
    }  # fmt: skip
    with reporting(as_json) as report:
        chosen, _ = read_settings(EvalOptions, words, given)
        queries, support = _examples(chosen)
        subject = open_subject(chosen.adapter, chosen.model)
        if dry_run:
            _show_size(report, chosen, subject, queries, support)
        else:
            _evaluate(report, chosen, subject, queries, support)


def open_subject(adapter: str | None, model: str | None) -> Backbone | Run:
    """Load what is asked: a trained adapter, or a frozen model.

    Raises:
        InputError: Neither or both are named, or it cannot be loaded.
    """
    from hificl.cli.inputs import one_of, open_adapter, open_backbone

    if one_of(adapter=adapter, model=model) == "adapter":
        return open_adapter(adapter or "")
    return open_backbone(model or "")


def _examples(chosen: EvalOptions) -> tuple[list[Example], list[Example]]:
    """Queries, and the support set for demonstrations; that of a task comes with it."""
    from hificl.cli.inputs import find_task, one_of, read_examples

    support: list[Example] = []
    if one_of(data=chosen.data, task=chosen.task) == "task":
        found = find_task(chosen.task or "").load()
        queries, support = found.queries, found.support
    else:
        queries = read_examples(chosen.data or "", chosen.images, chosen.columns)
    if chosen.demonstrations is not None:
        support = read_examples(chosen.demonstrations, chosen.images, chosen.columns)
    if chosen.shots and not support:
        raise InputError(f"--shots {chosen.shots} needs rows to draw from; name them with --demonstrations FILE.")
    return queries, support if chosen.shots else []


def _evaluate(
    report: Report, chosen: EvalOptions, subject: Backbone | Run, queries: list[Example], support: list[Example]
) -> None:
    from hificl.evaluation import evaluate

    result = evaluate(
        subject, queries, metric=chosen.metric, shots=chosen.shots, demonstrations=support, seed=chosen.seed,
        batch_size=chosen.batch_size, output_dir=chosen.output,
    )  # fmt: skip
    summary = _summary(chosen, result)
    report.result(summary, lambda screen: _show(screen, summary))


def _summary(chosen: EvalOptions, result: Result) -> dict[str, Any]:
    timing = result.record["volatile"]["timing"]
    return {
        "adapter": chosen.adapter,
        "model": result.record["config"]["backbone"]["name"],
        "metric": chosen.metric,
        "shots": chosen.shots,
        "seed": chosen.seed,
        "score": result.score,
        "score_ci95": list(result.ci95),
        "items": len(result.predictions),
        "seconds_per_answer": timing["seconds_per_answer"],
        "output": chosen.output,
    }


def _show(screen: Console, summary: dict[str, Any]) -> None:
    low, high = summary["score_ci95"]
    facts(
        screen,
        {
            summary["metric"]: f"{summary['score']:.1f}  (95 % interval {low:.1f} to {high:.1f}, "
            f"{summary['items']} items)",
            "per answer": duration(summary["seconds_per_answer"])
            if summary["seconds_per_answer"] >= 1
            else f"{1000 * summary['seconds_per_answer']:.0f} ms",
            "written": f"{summary['output']}/predictions.jsonl and record.json"
            if summary["output"]
            else "nothing (give --output DIR to keep predictions and record)",
        },
    )


def _show_size(
    report: Report, chosen: EvalOptions, subject: Backbone | Run, queries: list[Example], support: list[Example]
) -> None:
    from hificl.backbones import Backbone
    from hificl.evaluation import Queries, estimate_size

    backbone = subject if isinstance(subject, Backbone) else subject.backbone
    new_tokens = backbone.family.generation.max_new_tokens
    encoded = Queries(
        backbone, queries, shots=chosen.shots, demonstrations=support, seed=chosen.seed, new_tokens=new_tokens
    )
    estimate = estimate_size(backbone, encoded, new_tokens=new_tokens, batch_size=chosen.batch_size)
    value = {
        "dry_run": True,
        "model": backbone.name,
        "queries": estimate.samples,
        "prompt_tokens": estimate.prompt_tokens,
        "longest_prompt": estimate.longest_prompt,
        "new_tokens": estimate.new_tokens,
        "batch_size": estimate.batch_size,
        "peak_bytes": estimate.peak_bytes,
    }

    def show(screen: Console) -> None:
        screen.print(f"{backbone.name}: {estimate}", soft_wrap=True)
        screen.print("Nothing was run or written (dry run).")

    report.result(value, show)
