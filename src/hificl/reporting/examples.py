"""Some queries with their images and every method's answer, chosen by a rule and not by hand."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from hificl.data import load_image
from hificl.errors import HificlError, InputError
from hificl.experiments.stored import read_record
from hificl.records import read_json
from hificl.reporting.grid import Grid, Mean
from hificl.reporting.labels import line_label
from hificl.reporting.names import task_label

OF_EACH = 2
LARGEST = 160
"""Longest side of an embedded image in pixels."""

RULE = (
    "chosen by rule: two each of the questions that {own} answers and fewest others do, that it does not answer and "
    "most others "
    "do, that everyone answers, and that nobody does; first in the order of the record, first seed"
)


@dataclass(frozen=True)
class Answer:
    """What one method said."""

    method: str
    text: str
    score: float
    record: Path


@dataclass(frozen=True)
class Shown:
    """One query."""

    id: str
    why: str
    """What it stands for."""

    question: str
    accepted: tuple[str, ...]
    answers: tuple[Answer, ...]
    image: str | None
    """A data URI; None where there is no image at hand."""


@dataclass(frozen=True)
class Examples:
    """Queries of one task."""

    task: str
    shown: tuple[Shown, ...]
    note: str
    """The rule, and what is missing."""


def examples_of(grid: Grid) -> Examples | None:
    """Choose queries of the first task of a grid whose records hold answers; None where none do."""
    for task in grid.tasks:
        means = [
            mean for mean in grid.headline if mean.task == task and mean.control is None and mean.score is not None
        ]
        said = {line_label(mean): found for mean in means if (found := _answers(mean, grid))}
        if len(said) < 2:
            continue
        own = next((line_label(mean) for mean in means if mean.is_reference), next(iter(said)))
        kinds = _chosen(said, own)
        ids = list(kinds)
        stored = _stored_queries(grid, task, ids)
        questions, images, trouble = _queries(task, ids, stored)
        shown = tuple(
            Shown(
                one, kinds[one], questions.get(one, ""), tuple(next(iter(said.values()))[one][1]["answers"]),
                tuple(
                    Answer(label, str(found[one][1]["prediction"]), float(found[one][1]["score"]), found[one][0])
                    for label, found in said.items()
                ),
                images.get(one),
            )
            for one in ids
        )  # fmt: skip
        return Examples(task_label(task), shown, RULE.format(own=own) + (f"; no images: {trouble}" if trouble else ""))
    return None


def _answers(mean: Mean, grid: Grid) -> dict[str, tuple[Path, Mapping[str, Any]]]:
    """Every answer of the first seed by query; empty where the record holds none."""
    row = min(mean.rows, key=lambda row: row.seed)
    try:
        content = read_record(row.record.absolute(), grid.path.parent)
        found = content["results"]["predictions"]
        return {one["id"]: (row.record, one) for one in found if one["score"] is not None}
    except (HificlError, KeyError, TypeError):
        return {}


def _chosen(said: Mapping[str, Mapping[str, tuple[Path, Mapping[str, Any]]]], own: str) -> dict[str, str]:
    """Ids by the rule, each with the kind that it stands for."""
    others = [label for label in said if label != own]
    right = {
        one: {label for label, found in said.items() if found[one][1]["score"] >= 0.5}
        for one in next(iter(said.values()))
        if all(one in found for found in said.values())
    }
    wins = sorted((one for one in right if own in right[one]), key=lambda one: len(right[one]))
    losses = sorted((one for one in right if own not in right[one]), key=lambda one: -len(right[one]))
    kinds = (
        (f"{own} is right, most others are not", [one for one in wins if 2 * len(right[one]) <= len(others)]),
        (f"{own} is wrong, most others are not", [one for one in losses if 2 * len(right[one]) > len(others)]),
        ("everyone is right", [one for one in wins if len(right[one]) == len(said)]),
        ("nobody is right", [one for one in losses if not right[one]]),
    )
    return {one: kind for kind, found in kinds for one in found[:OF_EACH]}


def _stored_queries(grid: Grid, task: str, ids: Sequence[str]) -> tuple[Path, Mapping[str, Any]] | None:
    """The list of a task's queries beside a grid, where its runner left one."""
    told = (grid.facts.get("data") or {}).get(task)
    if not told:
        return None
    try:
        lists = [read_json(grid.path.parent / place) for place in told["queries"]]
        return grid.path.parent, next(one for one in lists if set(ids) <= set(one["ids"]))
    except (HificlError, KeyError, TypeError, StopIteration):
        return None


def _queries(
    task: str, ids: Sequence[str], stored: tuple[Path, Mapping[str, Any]] | None
) -> tuple[dict[str, str], dict[str, str], str | None]:
    """Questions and images by id, from the task's data or from beside the grid; and what stood in the way."""
    trouble = None
    try:
        return *_from_task(task, ids), None
    except (HificlError, ImportError, OSError, ValueError) as error:
        trouble = str(error) or type(error).__name__
    if stored is None:
        return {}, {}, trouble
    root, content = stored
    questions = dict(zip(content["ids"], content["questions"], strict=True))
    images = {}
    for one, place in (content.get("images") or {}).items():
        if one in ids and (root / place).is_file():
            images[one] = data_uri(load_image(root / place, place=place))
    return questions, images, None if images else trouble


def _from_task(task: str, ids: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    from hificl.tasks import TASKS

    if task not in TASKS or TASKS[task].origin == "root":
        raise InputError(f"the data of {task} are not at hand")
    wanted = {query.id: query for query in TASKS[task].load().queries if query.id in set(ids)}
    if missing := [one for one in ids if one not in wanted]:
        raise InputError(f"the installed data of {task} have no query {missing[0]}")
    images = {one: data_uri(load_image(query.images[0], place=one)) for one, query in wanted.items() if query.images}
    return {one: query.question for one, query in wanted.items()}, images


def data_uri(image: Image.Image) -> str:
    """An image as a small PNG inside an address."""
    small = image.convert("RGB")
    small.thumbnail((LARGEST, LARGEST))
    file = io.BytesIO()
    small.save(file, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
