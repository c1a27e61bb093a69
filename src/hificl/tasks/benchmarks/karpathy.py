"""Captions in Karpathy's format: one file that lists every image with its split and its sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hificl.data import Example
from hificl.data.tables import Row
from hificl.errors import InputError
from hificl.tasks.benchmarks import fields
from hificl.tasks.benchmarks.json_rows import JsonRows, rows_of_array
from hificl.tasks.benchmarks.root import Root
from hificl.tasks.benchmarks.split import Split, double_ids, key_of

SPLITS = ("train", "restval", "val", "test")

FindImage = Callable[[Root, Row], Path]
"""Finds the image of a row under the root."""


def open_karpathy(
    root: Root,
    split: str,
    file: str,
    *,
    key: Callable[[Row], str],
    find_image: FindImage,
    example: Callable[[Row, Sequence[Path], str], Example],
) -> Split | None:
    """Open a split of ``file``.

    Args:
        root: Where the file is.
        split: One of ``SPLITS``. A row of an unknown split counts as a bad row of every split.
        file: Name of the file.
        key: Makes the id of a row.
        find_image: Finds the image of a row.
        example: Makes the example of a row, its images and its split.

    Returns:
        The split; None where the file is not there or has no such split.

    Raises:
        InputError: The file is damaged.
    """
    path = root.find(file)
    if path is None:
        return None
    rows = rows_of_array(path, "images", _head)
    order = [index for index, head in enumerate(rows.kept) if head is None or head.get("split") == split]
    if all(rows.kept[index] is None for index in order):
        return None

    def place(position: int) -> str:
        return rows.place(order[position])

    def make(position: int) -> Example:
        row = rows.row(order[position])
        return example(row, [find_image(root, row)], split)

    keys = [_key(rows, index, key) for index in order]
    return Split(split, "raw", len(order), make, place, double_ids(keys, place))


def sentences(row: Row) -> list[str]:
    """Return the captions of a row in its order: texts, or objects with the caption under ``raw``.

    Raises:
        InputError: There is none, or one is blank or no text.
    """
    return fields.texts(row, "sentences", inner=("raw",))


def _head(parsed: object) -> dict[str, Any] | None:
    """Keep what the index needs of a row; None for one that cannot be assigned to a split."""
    if not isinstance(parsed, Mapping) or parsed.get("split") not in SPLITS:
        return None
    return {name: parsed[name] for name in ("split", "filename", "cocoid") if name in parsed}


def _key(rows: JsonRows, index: int, key: Callable[[Row], str]) -> str | InputError:
    head, place = rows.kept[index], rows.place(index)
    if head is None:
        return InputError(
            f"{place}: field 'split' is missing or none of {', '.join(SPLITS)}; correct the row, "
            "or leave such rows out with on_bad='skip'"
        )
    return key_of(Row(place, head), key)
