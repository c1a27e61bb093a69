"""Rows that are in memory already, such as those of a ``datasets.Dataset``: mappings become examples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hificl.data import Example, ImageSource
from hificl.data.tables import Row
from hificl.errors import InputError
from hificl.tasks.benchmarks.benchmark import Benchmark
from hificl.tasks.benchmarks.columns import fitting
from hificl.tasks.benchmarks.fields import wrong
from hificl.tasks.benchmarks.loading import Folder
from hificl.tasks.benchmarks.root import Root


def examples_from_rows(
    benchmark: Benchmark,
    rows: Iterable[Mapping[str, Any]],
    *,
    split: str | None = None,
    columns: Mapping[str, str] | None = None,
    images: Folder = None,
) -> list[Example]:
    """Make one example of every row, or of every question of a row that holds several.

    Args:
        benchmark: The benchmark.
        rows: Mappings with the columns of a mirror. The image may be a PIL image, the bytes or the path of a file,
            a mapping with ``bytes`` and ``path``, or a list of these.
        split: Official name of the split, for the ids; by default that of the scored split.
        columns: Own column names by field.
        images: Folder that paths in the rows start from and must stay in; without it, paths are refused.

    Raises:
        InputError: A row is wrong or two have one id; the message counts rows from 1.
    """
    name = benchmark.protocols["evaluation"].query_split if split is None else split
    if name not in benchmark.splits:
        raise InputError(f"{benchmark.name}: no split {name!r}; choose one of {', '.join(benchmark.splits)}")
    root = None if images is None else Root.open(images, None)
    examples: list[Example] = []
    places: dict[str, str] = {}
    for number, cells in enumerate(rows, start=1):
        place = f"{benchmark.name}: row {number}"
        if not isinstance(cells, Mapping):
            raise InputError(f"{place}: is a {type(cells).__name__}; pass mappings of column names to values")
        adapter = fitting(benchmark.mirrors, columns, tuple(cells), place)
        fields = adapter.renamed(cells)
        pictures = _images(Row(place, cells), adapter.image, root)
        for part in range(benchmark.parts(Row(place, fields))):
            example = benchmark.example(Row(place, {**fields, "part": part}), pictures, name)
            if example.id in places:
                raise InputError(f"{place}: the id {example.id!r} stands also in {places[example.id]}; pass it once")
            places[example.id] = place
            examples.append(example)
    return examples


def _images(row: Row, column: str | None, root: Root | None) -> list[ImageSource]:
    if column is None:
        return []
    given = row.cells[column]
    found = [_image(row, column, one, root) for one in (given if isinstance(given, (list, tuple)) else [given])]
    if not found:
        raise wrong(row, column, "is an empty list of images", "leave the row out")
    return found


def _image(row: Row, column: str, given: Any, root: Root | None) -> ImageSource:
    if isinstance(given, Mapping):
        given = given.get("bytes") or given.get("path")
    if given is None:
        raise wrong(row, column, "holds no image", "leave the row out")
    if isinstance(given, str):
        if root is None:
            raise wrong(row, column, f"holds the path {given[:60]!r}", "name the folder of the images")
        return root.image(row, column, [given])
    image: ImageSource = given  # Example refuses what is no image
    return image
