"""CHAIR on COCO: captions of Karpathy's images, with the objects that are annotated in each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hificl.data import Example
from hificl.data.json_text import json_kind
from hificl.data.tables import Row
from hificl.errors import InputError
from hificl.metrics.coco_words import categories as coco_categories
from hificl.tasks.benchmarks import fields
from hificl.tasks.benchmarks.benchmark import SourceFile
from hificl.tasks.benchmarks.coco_captions import COCO_CAPTIONS
from hificl.tasks.benchmarks.json_rows import JsonRows, rows_of_arrays
from hificl.tasks.benchmarks.root import Root
from hificl.tasks.benchmarks.split import Split

FILE = "instances_val2014.json"


def with_objects(root: Root, split: Split) -> Split:
    """Add the annotated objects to every example of a scored split, under ``objects`` in its ``meta``.

    Training needs none, so the split ``train`` stays as it is. An image without an annotation has no object.

    Raises:
        InputError: The instance annotations are missing or damaged.
    """
    if split.name == "train":
        return split
    path = root.find(FILE)
    if path is None:
        raise InputError(
            f"chair: {FILE} is neither in {root.folder} nor in its folder 'annotations'; "
            "it is part of the COCO archive of train/val 2014 annotations"
        )
    objects = read_objects(path)

    def example(position: int) -> Example:
        made = split.example(position)
        return replace(made, meta={**made.meta, "objects": sorted(objects.get(made.meta["image_id"], ()))})

    return replace(split, example=example)


def read_objects(path: Path) -> dict[int, set[str]]:
    """Return the names of the objects in every image of a file of COCO instance annotations.

    Raises:
        InputError: The file is damaged, or one of its rows is wrong.
    """
    arrays = rows_of_arrays(path, {"categories": _kept("id", "name"), "annotations": _kept("image_id", "category_id")})
    names: dict[int, str] = {}
    known = coco_categories()
    categories = arrays["categories"]
    for index in range(len(categories)):
        row = _row(categories, index, ("id", "name"))
        if fields.text(row, "name") not in known:
            raise _damaged(row, "name", f"is {row.cells['name'][:60]!r}, none of the 80 categories of COCO")
        if names.setdefault(fields.integer(row, "id"), fields.text(row, "name")) != fields.text(row, "name"):
            raise _damaged(row, "id", "stands at two categories")
    objects: dict[int, set[str]] = {}
    annotations = arrays["annotations"]
    for index, (image_id, category_id) in enumerate(annotations.kept):
        if type(image_id) is not int or type(category_id) is not int or category_id not in names:
            row = _row(annotations, index, ("image_id", "category_id"))
            if type(image_id) is not int:
                raise _damaged(row, "image_id", f"is a {json_kind(image_id)}, not an integer")
            raise _damaged(row, "category_id", f"is {category_id!r}, no category of the file")
        objects.setdefault(image_id, set()).add(names[category_id])
    return objects


def _damaged(row: Row, field: str, what: str) -> InputError:
    """Make the error of a file that is used whole: leaving its bad rows out would change what counts as invented."""
    return InputError(f"{row.place}: field {field!r} {what}; correct the file")


def _kept(first: str, second: str) -> Any:
    def keep(parsed: object) -> tuple[Any, Any]:
        return (parsed.get(first), parsed.get(second)) if isinstance(parsed, Mapping) else (None, None)

    return keep


def _row(rows: JsonRows, index: int, names: tuple[str, str]) -> Row:
    return Row(rows.place(index), dict(zip(names, rows.kept[index], strict=True)))


CHAIR = replace(
    COCO_CAPTIONS,
    name="chair",
    description="Captions of photographs (COCO), with the objects of each image for CHAIR: does a caption invent any?",
    source="CHAIR, Rohrbach et al. 2018, on Karpathy's splits with the COCO 2014 instance annotations",
    files=(
        *COCO_CAPTIONS.files,
        SourceFile(FILE, ("val", "test", "restval"), "the COCO download page, train/val 2014 annotations"),
    ),
    complete=with_objects,
)
"""The benchmark's entry; ids are those of ``coco_captions``."""
