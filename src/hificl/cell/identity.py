"""What decides the result of a cell, as JSON: a folder with another identity holds another cell."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from hificl.backbones import Backbone
from hificl.cell.cell import Cell, Setting
from hificl.data import Example
from hificl.methods import METHODS
from hificl.records import content_hash
from hificl.tasks import TaskData
from hificl.training.identity import backbone_values, image_hash, run_identity
from hificl.training.recipes import PLAIN
from hificl.training.request import resolve


def cell_identity(
    cell: Cell,
    base: Backbone,
    data: TaskData,
    task: str,
    metric: str,
    options: Mapping[str, Any],
    setting: Setting | None,
    *,
    subsets: Mapping[str, Sequence[str]] | None = None,
    contents: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the identity of a cell as JSON values; ``contents`` are those of the data where they are known already.

    Raises:
        InputError: The method does not take these options or this model, or an image cannot be read.
    """
    identity = {
        "task": task,
        "method": cell.method,
        "shots": cell.shots,
        "seed": cell.seed,
        "control": cell.control,
        "metric": metric,
        "backbone": base.name,
        "revision": base.revision,
        "overrides": dict(options),
        "support": content_hash([example.id for example in data.support]),
        "queries": content_hash([example.id for example in data.queries]),
        "contents": dict(contents or data_contents(data)),
        "subsets": content_hash({name: list(ids) for name, ids in (subsets or {}).items()}),
        "base": backbone_values(base),
        "setting": setting_values(setting),
        "training": _training(cell, base, data, task, training_options(cell, metric, options), setting),
    }
    return plain(identity)


def training_options(cell: Cell, metric: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the overrides of the training of a cell: what a fit chooses, it chooses by the metric of the task."""
    return {"metric": metric, **options} if METHODS[cell.method].kind == "fitted" else dict(options)


def setting_values(setting: Setting | None) -> dict[str, Any] | None:
    """Return how queries are answered; None where nobody says so."""
    return None if setting is None else {"decoding": asdict(setting.decoding), "source": setting.source}


def data_contents(data: TaskData) -> dict[str, str]:
    """Return a hash over questions, all answers and the bytes of the images, for either part."""
    return {
        name: content_hash([_example_values(example) for example in examples])
        for name, examples in (("support", data.support), ("queries", data.queries))
    }


def plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value as it would be read from a record."""
    return dict(json.loads(json.dumps(value, default=str)))


def first_difference(there: Mapping[str, Any], asked: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """Return the dotted name of the first difference with the value there and the one that is asked for."""
    for name, value in asked.items():
        old = there.get(name)
        if name == "training" and isinstance(value, Mapping) and isinstance(old, Mapping):
            # The seed stands above it, and the number of processes is not known before it begins.
            old = {key: old[key] for key in old if key not in ("seed", "processes")}
        if old != value:
            return _innermost(name, old, value)
    return None


def _innermost(name: str, there: Any, asked: Any) -> tuple[str, Any, Any]:
    missing = object()
    while isinstance(there, Mapping) and isinstance(asked, Mapping):
        key = next(key for key in (*asked, *there) if there.get(key, missing) != asked.get(key, missing))
        name, there, asked = f"{name}.{key}", there.get(key), asked.get(key)
    return name, there, asked


def _training(
    cell: Cell, base: Backbone, data: TaskData, task: str, options: Mapping[str, Any], setting: Setting | None
) -> dict[str, Any] | None:
    """The identity of the training run, with every value of config and recipe; None for a prompt."""
    if METHODS[cell.method].kind == "prompt":
        return None
    request = resolve(base, cell.method, PLAIN, options)
    source = setting.source if setting is not None else None
    found = run_identity(base, data.support, request, seed=cell.seed, processes=1, task=task, source=source)
    return {name: value for name, value in found.items() if name not in ("seed", "processes")}


def _example_values(example: Example) -> list[Any]:
    return [example.id, example.question, list(example.answers), [image_hash(image) for image in example.images]]
