"""``hificl fidelity``: how closely adapters compute what the frozen model computes after real demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hificl.cli import options
from hificl.cli.report import reporting
from hificl.cli.settings import RECIPE_SUFFIXES, column_names, read_settings
from hificl.cli.task_data import DataOptions, Rows, read_rows, with_prompt
from hificl.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from hificl.backbones import Backbone
    from hificl.data import Example
    from hificl.diagnostics import Reader


@dataclass(frozen=True)
class FidelityOptions(DataOptions):
    """The keys of a recipe file for a comparison with real demonstrations."""

    model: str | None = None
    dtype: str | None = None
    demonstrations: str | None = None
    shots: int = 8
    draws: int = 2
    queries: int = 100


def command(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN_OR_ADAPTER...",
            help="Folders of runs or adapters on one base; then KEY=VALUE overrides, such as shots=4.",
            show_default=False,
        ),
    ] = None,
    model: options.Model = None,
    dtype: options.Dtype = None,
    data: options.Data = None,
    images: options.Images = None,
    columns: options.Columns = None,
    task: options.Task = None,
    root: options.Root = None,
    protocol: options.Protocol = None,
    on_bad: options.OnBad = None,
    support_size: options.SupportSize = None,
    query_size: options.QuerySize = None,
    demonstrations: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Rows that demonstrations are drawn from.", show_default=False),
    ] = None,
    shots: Annotated[
        int | None, typer.Option(help="Real demonstrations of the reference; default 8.", show_default=False)
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(help="References per query, each with other demonstrations; default 2.", show_default=False),
    ] = None,
    queries: Annotated[
        int | None, typer.Option(help="Rows that are compared, the first ones; default 100.", show_default=False)
    ] = None,
    seed: options.Seed = None,
    as_json: options.Json = False,
) -> None:
    """Show by layer how far states and answers are from those of the frozen model with real demonstrations.

    Zero-shot and, with two draws or more, the frozen model with other demonstrations always stand beside.

    Example: hificl fidelity runs/easy_vqa-hificl runs/easy_vqa-lora --task easy_vqa --shots 8
    """
    given = {
        "model": model, "dtype": dtype, "data": data, "images": images, "columns": column_names(columns), "task": task,
        "root": root, "protocol": protocol, "on_bad": on_bad and on_bad.value, "support_size": support_size,
        "query_size": query_size, "demonstrations": demonstrations, "shots": shots, "draws": draws,
        "queries": queries, "seed": seed,
    }  # fmt: skip
    with reporting(as_json) as report:
        adapters, settings = _split(words or [])
        chosen, _ = read_settings(FidelityOptions, settings, given)
        rows = read_rows(chosen)
        support = _support(chosen, rows)
        backbone, readers = _readers(adapters, chosen, rows)
        from hificl.diagnostics import fidelity

        found = fidelity(
            backbone, readers, rows.queries[: chosen.queries], support,
            shots=chosen.shots, draws=chosen.draws, seed=rows.seed,
        )  # fmt: skip
        report.result(found, lambda screen: _show(screen, found))


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Tell folders from a recipe file and KEY=VALUE words."""
    folders = [word for word in words if Path(word).is_dir() or not ("=" in word or word.endswith(RECIPE_SUFFIXES))]
    return folders, [word for word in words if word not in folders]


def _support(chosen: FidelityOptions, rows: Rows) -> list[Example]:
    from hificl.cli.inputs import read_examples

    support = rows.support
    if chosen.demonstrations is not None:
        support = read_examples(chosen.demonstrations, chosen.images, chosen.columns)
    if not support:
        raise InputError("fidelity needs rows to draw demonstrations from; name them with --demonstrations FILE.")
    return support


def _readers(adapters: Sequence[str], chosen: FidelityOptions, rows: Rows) -> tuple[Backbone, dict[str, Reader]]:
    """Load the adapters on one base, or the frozen model alone."""
    from hificl.backbones import with_opening
    from hificl.cli.inputs import open_adapter, open_backbone
    from hificl.diagnostics import Reader
    from hificl.run import load

    if not adapters:
        if chosen.model is None:
            raise InputError("fidelity: name a run or an adapter, or --model NAME for the frozen model alone.")
        return with_prompt(open_backbone(chosen.model, chosen.dtype), None, rows), {}
    if chosen.model is not None:
        raise InputError("fidelity: an adapter names its base; leave --model out.")
    first = open_adapter(adapters[0], chosen.dtype)
    readers = {}
    for adapter, name in zip(adapters, _names(adapters), strict=True):
        run = first if adapter == adapters[0] else load(adapter, backbone=first.backbone)
        if with_opening(run.backbone, "written").prompt != with_opening(first.backbone, "written").prompt:
            raise InputError(
                f"{adapter}: prompt form {run.backbone.prompt.name!r} ({run.backbone.prompt.hash}) is not that of "
                f"{adapters[0]}, {first.backbone.prompt.name!r} ({first.backbone.prompt.hash}); compare them apart."
            )
        readers[name] = Reader(run.model, opening=run.backbone.prompt.opening)
    return first.backbone, readers


def _names(adapters: Sequence[str]) -> list[str]:
    """The names of the folders where they differ, else the paths."""
    paths = [Path(adapter).resolve() for adapter in adapters]
    names = [path.parent.name if path.name == "adapter" else path.name for path in paths]
    return names if len(set(names)) == len(names) else list(adapters)


def _show(screen: Console, found: dict[str, Any]) -> None:
    screen.print(
        f"distance to the frozen model with {found['shots']} demonstrations: {found['queries']} queries, "
        f"{found['draws']} draws, {found['tokens']['shared']:.1f} shared tokens each, of which "
        f"{found['tokens']['answer']:.1f} predict the answer",
        soft_wrap=True,
    )
    for site in found["sites"]:
        screen.print(f"\n{site.replace('_', ' ')}, L2 distance (relative to the reference's norm), shared tokens")
        screen.print(_by_layer(found, site))
    last = found["sites"][-1].replace("_", " ")
    screen.print(f"\n{last} as the mean over layers, and answers; 95 % intervals over queries", soft_wrap=True)
    screen.print(_overall(found))


def _by_layer(found: dict[str, Any], site: str) -> Table:
    lines = found["lines"]
    table = _table("layer", *lines)
    columns = [(line[site]["shared"]["l2"], line[site]["shared"]["relative_l2"]) for line in lines.values()]
    for layer in range(found["layers"]):
        means = [(one["by_layer"]["mean"][layer], other["by_layer"]["mean"][layer]) for one, other in columns]
        table.add_row(str(layer), *(f"{length:.2f} ({share:.3f})" for length, share in means))
    table.add_row("mean", *(f"{one['mean']:.2f} ({other['mean']:.3f})" for one, other in columns))
    return table


def _overall(found: dict[str, Any]) -> Table:
    last = found["sites"][-1]
    titles = (
        "L2\nanswer",
        "relative\nanswer",
        "relative, shared\nminus zero-shot",
        "KL of answer\nnats",
        "same token\n%",
    )
    table = _table("", *titles)
    for name, line in found["lines"].items():
        answer = line[last]["answer"]
        table.add_row(
            name, _with_interval(answer["l2"], 1), _with_interval(answer["relative_l2"], 2),
            _with_interval(line["against_zero_shot"], 3), _with_interval(line["kl"], 2),
            _with_interval(line["agreement"], 0, 100.0),
        )  # fmt: skip
    return table


def _with_interval(told: dict[str, Any] | None, digits: int, scale: float = 1.0) -> str:
    if told is None:
        return "-"
    mean, low, high = (f"{scale * value:.{digits}f}" for value in (told["mean"], *told["ci95"]))
    return f"{mean} [{low}, {high}]"


def _table(first: str, *lines: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(first, no_wrap=True)
    for name in lines:
        table.add_column(name, justify="right", overflow="fold")
    return table
