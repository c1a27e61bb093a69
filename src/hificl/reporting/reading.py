"""Summaries of grids, comparisons and quickstarts, read into one form; every score is checked against its record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hificl.reporting.document import Hole
from hificl.reporting.evidence import Evidence
from hificl.reporting.grid import Ends, Grid, Mean, Measurement, Row
from hificl.reporting.names import REFERENCE, task_label

Summary = Mapping[str, Any]
SCALES = {"cider_d": 1.0, "chair": 1.0, "mme": 1.0}
"""Scale of the metrics that are no percentages, for records that do not say theirs."""

COSTS = (
    "trainable_parameters", "stored_parameters", "stored_bytes", "train_seconds", "seconds_per_answer",
    "peak_memory_bytes",
)  # fmt: skip


def grid_from_summary(summary: Summary, path: Path, evidence: Evidence) -> Grid:
    """Read the summary of a grid.

    Raises:
        KeyError, TypeError, ValueError: The file has another form; the caller says which file.
    """
    folder = path.parent
    rows = [_row(row, folder, evidence, summary["revision"]) for row in summary["rows"]]
    several = summary["backbone"] is None
    means = [
        replace(mean, where=_where(one, several), where_names=frozenset(one.get("task_options") or {}))
        for mean, one in zip(_means(summary["means"], rows, folder), summary["means"], strict=True)
    ]
    reference = str(summary.get("reference") or REFERENCE)
    unfinished = [("failed", one) for one in summary["failed"]] + [("missing", one) for one in summary["missing"]]
    for measurement in summary["measurements"]:
        evidence.note(folder / measurement["record"])
    return Grid(
        name=summary["grid"], kind="grid", title=summary["title"], artefact=summary["artefact"] or "",
        question=summary["question"] or "", tier=summary["tier"], backbone=_backbone(summary),
        revision=summary["revision"], planned=summary["planned"], finished=summary["finished"],
        axes=tuple(summary["axes"]), path=path,
        means=(*means, *_empty_means(unfinished, means, summary.get("headline_subset") or {}, reference)),
        measurements=tuple(_measurement(one, folder) for one in summary["measurements"]),
        holes=(*(_hole(kind, one, folder) for kind, one in unfinished), *_stale(rows), *_speed_holes(summary)),
        facts={name: summary.get(name) for name in ("command", "values", "data")}, reference=reference,
    )  # fmt: skip


def grid_from_comparison(summary: Summary, path: Path, evidence: Evidence) -> Grid:
    """Read the summary of ``hificl compare``; errors as for :func:`grid_from_summary`."""
    folder = path.parent
    filled = [_filled(row, summary) for row in summary["rows"]]
    rows = [_row(row, folder, evidence, summary["revision"]) for row in filled if row["error"] is None]
    first = {(row["variant"], row["subset"]): row for row in filled}
    compared = [
        {**first[one["variant"], one["subset"]], **one, "records": _records(rows, one, folder)}
        for one in summary["comparisons"]
    ]
    failed = [("failed", row) for row in filled if row["error"] is not None and row["headline"]]
    finished = [mean for mean in compared if mean["score"] is not None]
    means = _means(finished, rows, folder)
    count = len({(row["variant"], row["seed"]) for row in filled})
    return Grid(
        name=f"compare_{summary['task']}", kind="comparison", title=f"All methods on {task_label(summary['task'])}",
        artefact="", question="How far is each method from HiFICL on the same support set, prompts and queries?",
        tier="", backbone=summary["backbone"], revision=summary["revision"], planned=count,
        finished=count - len(failed), axes=("variant",), path=path,
        means=(*means, *_empty_means(failed, means, {summary["task"]: summary["headline"]})),
        holes=(*(_hole(kind, one) for kind, one in failed), *_stale(rows)), facts={"values": summary["values"]},
    )  # fmt: skip


def grid_from_quickstart(summary: Summary, path: Path, evidence: Evidence) -> Grid:
    """Read rows without means, as a quickstart leaves them; errors as for :func:`grid_from_summary`."""
    folder = path.parent
    subsets = {row["subset"] for row in summary["rows"]}
    context = {**summary, "headline": "open" if "open" in subsets else "all", "revision": None, "scale": None}
    filled = [_filled(row, context) for row in summary["rows"]]
    rows = [_row(row, folder, evidence, None) for row in filled]
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.method, row.variant, row.shots, row.control, row.subset), []).append(row)
    means = [_mean_of_rows(group) for group in groups.values()]
    return Grid(
        name=f"quickstart_{summary['task']}", kind="quickstart",
        title=f"Quickstart on {task_label(summary['task'])}", artefact="",
        question="What does HiFICL reach on the task that ships with the package?", tier="",
        backbone=summary["backbone"], revision=None, planned=None, finished=None, axes=("variant",), path=path,
        means=tuple(means), holes=tuple(_stale(rows)),
    )  # fmt: skip


def _filled(row: Summary, summary: Summary) -> dict[str, Any]:
    """A row of a file of one task, with what the file says once."""
    subset = row["subset"]
    return {
        "point": {}, "details": None, "error": None, "task": summary["task"], "train_size": summary["train_size"],
        "scale": summary["scale"], "headline": subset == summary["headline"], **row,
        "variant": row.get("variant") or row["method"],
    }  # fmt: skip


def _row(row: Summary, folder: Path, evidence: Evidence, revision: str | None) -> Row:
    record = folder / row["record"]
    scale = row["scale"] if row["scale"] is not None else evidence.scale(record) or SCALES.get(row["metric"], 100.0)
    return Row(
        task=row["task"], method=row["method"], variant=row["variant"], shots=row["shots"], seed=row["seed"],
        control=row["control"], point=row["point"], train_size=row["train_size"], subset=row["subset"],
        headline=row["headline"], metric=row["metric"], scale=scale, score=row["score"],
        score_ci95=_ends(row["score_ci95"]), details=row["details"], costs={name: row.get(name) for name in COSTS},
        record=record, stale=evidence.objection(record, row["subset"], row["score"], revision, row["control"]),
    )  # fmt: skip


def _means(means: Iterable[Summary], rows: Sequence[Row], folder: Path) -> list[Mean]:
    by_record = {(row.record, row.subset): row for row in rows}
    return [_mean(mean, by_record, folder) for mean in means]


def _mean(mean: Summary, by_record: Mapping[tuple[Path, str], Row], folder: Path) -> Mean:
    records = [folder / record for record in mean["records"]]
    found = tuple(row for record in records if (row := by_record.get((record, mean["subset"]))) is not None)
    stale = next((row for row in found if row.stale), None)
    hole = Hole(_name(mean), "stale", f"seed {stale.seed}: {stale.stale}") if stale else None
    return Mean(
        task=mean["task"], method=mean["method"], variant=mean["variant"], shots=mean["shots"],
        control=mean["control"], point=mean["point"], train_size=mean["train_size"], subset=mean["subset"],
        headline=mean["headline"], metric=mean["metric"], scale=mean["scale"], rows=found,
        score=None if hole else mean["score"], seed_ci95=_ends(mean.get("seed_ci95")),
        score_ci95=_ends(mean["score_ci95"]), difference=None if hole else mean["difference"],
        difference_ci95=_ends(mean["difference_ci95"]), p_holm=mean["p_holm"], hole=hole,
        reference=mean.get("is_reference"), also_at=tuple(mean.get("also_at") or ()),
        difference_seed_ci95=_ends(mean.get("difference_seed_ci95")), items=mean.get("items"),
    )  # fmt: skip


def _mean_of_rows(rows: Sequence[Row]) -> Mean:
    """The mean of rows that no summary averaged: without intervals where there are several seeds."""
    first, stale = rows[0], next((row for row in rows if row.stale), None)
    scores = [row.score for row in rows if row.score is not None]
    hole = Hole(first.variant, "stale", stale.stale or "") if stale else None
    return Mean(
        task=first.task, method=first.method, variant=first.variant, shots=first.shots, control=first.control,
        point=first.point, train_size=first.train_size, subset=first.subset, headline=first.headline,
        metric=first.metric, scale=first.scale, rows=tuple(rows),
        score=sum(scores) / len(scores) if scores and not hole else None, seed_ci95=None,
        score_ci95=first.score_ci95 if len(rows) == 1 else None, difference=None, difference_ci95=None, p_holm=None,
        hole=hole,
    )  # fmt: skip


def _empty_means(
    unfinished: Iterable[tuple[str, Summary]], means: Sequence[Mean], subsets: Summary, reference: str = REFERENCE
) -> list[Mean]:
    """A mean without a number for every point of which no seed is finished, so that it has its place in tables."""
    there = {(mean.task, mean.variant, _key(mean.point)) for mean in means}
    found: dict[tuple[Any, ...], Mean] = {}
    for kind, one in unfinished:
        key = (one["task"], one["variant"], _key(one["point"]))
        if key in there or key in found or one.get("measure", "score") != "score":
            continue
        like = next((mean for mean in means if mean.task == one["task"] and mean.headline), None)
        found[key] = Mean(
            task=one["task"], method=one.get("method", one["variant"]), variant=one["variant"],
            shots=one.get("shots") or 0, control=one.get("control") or one["point"].get("control"),
            point=one["point"], train_size=one["point"].get("train_size", like.train_size if like else None),
            subset=subsets.get(one["task"], like.subset if like else "all"), headline=True,
            metric=like.metric if like else "", scale=like.scale if like else None, rows=(), score=None,
            seed_ci95=None, score_ci95=None, difference=None, difference_ci95=None, p_holm=None,
            hole=_hole(kind, one),
            reference=one["variant"] == reference and one["point"].get("control") is None,
            where=_where(one, like is not None and like.where != ""),
            where_names=frozenset(one.get("task_options") or {}),
        )  # fmt: skip
    return list(found.values())


def _where(one: Summary, several: bool) -> str:
    """Options of the task, and the model where a grid has several."""
    options = [f"{name} {value}" for name, value in (one.get("task_options") or {}).items()]
    return ", ".join([*options, *([str(one.get("backbone"))] if several and one.get("backbone") else [])])


def _backbone(summary: Summary) -> str:
    """The model of a grid, with its numbers where they are not those that a model has unasked."""
    name = str(summary["backbone"] or "several models")
    return f"{name} in {summary['dtype']}" if summary.get("dtype") else name


def _measurement(one: Summary, folder: Path) -> Measurement:
    return Measurement(
        one["measure"], one["task"], one["variant"], one["seed"], one["point"], one["results"],
        one.get("volatile") or {}, folder / one["record"], one.get("options") or {}, one.get("method") or "",
    )  # fmt: skip


def _hole(kind: str, one: Summary, folder: Path | None = None) -> Hole:
    reason = str(one["error"]) if kind == "failed" else "not run yet, or its run did not finish"
    told = folder / one["record"] if folder is not None and kind == "failed" and one.get("record") else None
    return Hole(_name(one), kind, reason, told if told is not None and told.is_file() else None)


def _speed_holes(summary: Summary) -> list[Hole]:
    """Scripts of a cost grid that failed or have no rows yet."""
    return [
        Hole(
            f"speed: {one['script']}",
            "failed" if one.get("error") else "missing",
            str(one.get("error") or "not run yet"),
        )
        for one in summary.get("speed") or ()
        if one.get("error") or not one.get("rows")
    ]


def _stale(rows: Iterable[Row]) -> list[Hole]:
    return [
        Hole(f"{row.task}, {row.variant}, seed {row.seed}, {row.subset}", "stale", row.stale)
        for row in rows
        if row.stale is not None
    ]


def _name(one: Summary) -> str:
    if "cell" in one:
        return str(one["cell"])
    seed = f", seed {one['seed']}" if "seed" in one else ""
    return f"{one['task']}, {one['variant']}{seed}"


def _records(rows: Sequence[Row], one: Summary, folder: Path) -> list[str]:
    mine = [row for row in rows if (row.variant, row.subset) == (one["variant"], one["subset"])]
    return [row.record.relative_to(folder).as_posix() for row in mine]


def _key(point: Summary) -> str:
    return repr(sorted((name, repr(value)) for name, value in point.items()))


def _ends(ends: Sequence[float] | None) -> Ends | None:
    return None if ends is None else (float(ends[0]), float(ends[1]))
