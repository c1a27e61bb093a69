"""``hificl eval``: answer a labelled query set and score the answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from hificl.cli import options
from hificl.cli.eval_summary import evaluation_summary, show_evaluation
from hificl.cli.report import Report, reporting
from hificl.cli.settings import column_names, read_settings
from hificl.cli.task_data import DataOptions, Rows, read_rows, with_prompt
from hificl.cli.task_figures import details_of, postprocessing
from hificl.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from hificl.backbones import Backbone
    from hificl.data import Example
    from hificl.evaluation import Decoding
    from hificl.run import Run


@dataclass(frozen=True)
class EvalOptions(DataOptions):
    """The keys of a recipe file for an evaluation."""

    adapter: str | None = None
    model: str | None = None
    dtype: str | None = None
    prompt: str | None = None
    shots: int = 0
    demonstrations: str | None = None
    retrieval: str = "random"
    metric: str | None = None
    generation: str | None = None
    batch_size: int | None = None
    compile: bool = False
    output: str | None = None


def command(
    words: options.Words = None,
    adapter: options.Adapter = None,
    model: options.Model = None,
    data: options.Data = None,
    images: options.Images = None,
    columns: options.Columns = None,
    task: options.Task = None,
    root: options.Root = None,
    protocol: options.Protocol = None,
    on_bad: options.OnBad = None,
    support_size: options.SupportSize = None,
    query_size: options.QuerySize = None,
    dtype: options.Dtype = None,
    prompt: options.Prompt = None,
    shots: Annotated[
        int | None,
        typer.Option(help="Demonstrations in every prompt (in-context learning); default 0.", show_default=False),
    ] = None,
    demonstrations: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Rows that demonstrations are drawn from.", show_default=False),
    ] = None,
    retrieval: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="How they are chosen: random (default), or rices, by the similarity of the images.",
            show_default=False,
        ),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="How answers are scored; default: that of the task, else exact_match.")
    ] = None,
    generation: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Beams and length: default (greedy), hificl, stave, mimic or live; default: those of the protocol.",
            show_default=False,
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Queries answered together; default: what fits.", show_default=False)
    ] = None,
    compile: options.Compile = None,
    output: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Gets predictions.jsonl and record.json; default: nothing is written."),
    ] = None,
    seed: options.Seed = None,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Score an adapter, or a frozen model with or without demonstrations, on labelled rows or a task.

    Example: hificl eval --adapter runs/rows-hificl --data test.jsonl --images photos

    Example: hificl eval --model idefics2 --task vqav2 --root vqav2 --protocol hificl --prompt official --shots 8
    """
    given = {
        "adapter": adapter, "model": model, "data": data, "images": images, "columns": column_names(columns),
        "task": task, "root": root, "protocol": protocol, "on_bad": on_bad and on_bad.value,
        "support_size": support_size, "query_size": query_size,
        "dtype": dtype, "prompt": prompt, "shots": shots, "demonstrations": demonstrations, "retrieval": retrieval,
        "metric": metric, "generation": generation, "batch_size": batch_size, "compile": compile,
        "output": output, "seed": seed,
    }  # fmt: skip
    with reporting(as_json) as report:
        chosen, _ = read_settings(EvalOptions, words, given)
        rows = read_rows(chosen)
        support = _support(chosen, rows)
        subject = _prompted(chosen, rows, open_subject(chosen.adapter, chosen.model, chosen.dtype))
        if dry_run:
            _show_size(report, chosen, subject, rows, support)
        else:
            _evaluate(report, chosen, subject, rows, support)


def open_subject(adapter: str | None, model: str | None, dtype: str | None) -> Backbone | Run:
    """Load what is asked: a trained adapter, or a frozen model.

    Raises:
        InputError: Neither or both are named, or it cannot be loaded.
    """
    from hificl.cli.inputs import one_of, open_adapter, open_backbone

    if one_of(adapter=adapter, model=model) == "adapter":
        return open_adapter(adapter or "", dtype)
    return open_backbone(model or "", dtype)


def _support(chosen: EvalOptions, rows: Rows) -> list[Example]:
    """The rows that demonstrations are drawn from; those of a task come with it."""
    from hificl.cli.inputs import read_examples

    if not chosen.shots:
        return []
    support = rows.support
    if chosen.demonstrations is not None:
        support = read_examples(chosen.demonstrations, chosen.images, chosen.columns)
    if not support:
        raise InputError(f"--shots {chosen.shots} needs rows to draw from; name them with --demonstrations FILE.")
    return support


def _prompted(chosen: EvalOptions, rows: Rows, subject: Backbone | Run) -> Backbone | Run:
    """A frozen model is asked in the form that was named; an adapter in the one that it was trained with."""
    from hificl.backbones import Backbone

    if isinstance(subject, Backbone):
        return with_prompt(subject, chosen.prompt, rows)
    if chosen.prompt is None:
        return subject
    return replace(subject, backbone=with_prompt(subject.backbone, chosen.prompt, rows))


def decoding_of(chosen: EvalOptions, rows: Rows, backbone: Backbone) -> Decoding:
    """The preset that was named, else that of the protocol, else greedy decoding."""
    from hificl.evaluation import PRESETS, find_decoding

    protocol = str((rows.source or {}).get("protocol"))
    name = chosen.generation or (protocol if protocol in PRESETS else "default")
    return find_decoding(name, backbone, rows.kind)


def _evaluate(report: Report, chosen: EvalOptions, subject: Backbone | Run, rows: Rows, support: list[Example]) -> None:
    from hificl.backbones import Backbone
    from hificl.evaluation import evaluate

    backbone = subject if isinstance(subject, Backbone) else subject.backbone
    metric = chosen.metric or (rows.task.metric if rows.task else "exact_match")
    own_metric = rows.task is not None and metric == rows.task.metric
    result = evaluate(
        subject, rows.queries, metric=metric, shots=chosen.shots, demonstrations=support, retrieval=chosen.retrieval,
        seed=rows.seed, batch_size=chosen.batch_size, output_dir=chosen.output,
        decoding=decoding_of(chosen, rows, backbone), source=rows.source, postprocess=postprocessing(chosen, rows),
        details=details_of(chosen, rows, subject, support) if own_metric else None, compile=chosen.compile,
    )  # fmt: skip
    summary = evaluation_summary(chosen, rows, result, _floors(rows, metric))
    report.result(summary, lambda screen: show_evaluation(screen, summary, rows.skipped))


def _floors(rows: Rows, metric: str) -> dict[str, float] | None:
    """What blind guessing from the task's support set scores; None where there is none to guess from."""
    from hificl.metrics import METRICS
    from hificl.tasks import score_floors

    if rows.task is None or not rows.support:
        return None
    return score_floors(rows.support, rows.queries, METRICS[metric])


def _show_size(
    report: Report, chosen: EvalOptions, subject: Backbone | Run, rows: Rows, support: list[Example]
) -> None:
    from hificl.backbones import Backbone
    from hificl.evaluation import Queries, estimate_size
    from hificl.evaluation.generation import resolve_decoding

    backbone = subject if isinstance(subject, Backbone) else subject.backbone
    search = resolve_decoding(backbone, decoding_of(chosen, rows, backbone))
    new_tokens = search.max_new_tokens or 0
    encoded = Queries(
        backbone, rows.queries, shots=chosen.shots, demonstrations=support, retrieval=chosen.retrieval, seed=rows.seed,
        new_tokens=new_tokens,
    )  # fmt: skip
    estimate = estimate_size(
        backbone, encoded, new_tokens=new_tokens, batch_size=chosen.batch_size, num_beams=search.num_beams
    )
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
