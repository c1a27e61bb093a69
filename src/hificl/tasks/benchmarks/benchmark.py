"""What one benchmark is: its facts, its official files, its mirrors, and how a row becomes an example."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hificl.data import Example, ImageSource
from hificl.data.tables import Row
from hificl.errors import InputError
from hificl.tasks.benchmarks.columns import Columns
from hificl.tasks.benchmarks.parquet_rows import ParquetRows, find_shards
from hificl.tasks.benchmarks.root import Root
from hificl.tasks.benchmarks.split import Split, double_ids, key_of
from hificl.tasks.protocol import Protocol
from hificl.tasks.task import Kind

MakeExample = Callable[[Row, Sequence[ImageSource], str], Example]
"""Makes the example of a row with official field names, its images and the name of its split."""


@dataclass(frozen=True)
class SourceFile:
    """One file or folder of the official layout.

    Args:
        name: Path under the root.
        splits: Official names of the splits that need it.
        origin: Where it usually comes from, in words.
        under: Folders of the root in which a folder may lie.
    """

    name: str
    splits: tuple[str, ...]
    origin: str
    under: tuple[str, ...] = ("", "images")


@dataclass(frozen=True)
class Benchmark:
    """One benchmark, read from its official files or from a parquet mirror.

    Args:
        name: Key in ``TASKS``.
        description: One sentence for a list of tasks.
        license: Licence of the content.
        source: Where the content comes from.
        metric: Name of its metric.
        kind: What the model has to write.
        files: The official files.
        open_raw: Opens a split of the official files; None where they are not under the root.
        mirrors: Column adapters of parquet mirrors; empty where there is none.
        mirror_splits: Names that an official split has in mirrors, the preferred first.
        key_fields: Fields that :attr:`key` needs, read for all rows of a mirror.
        key: Makes the id of a row, unique in its split, from ``key_fields``.
        parts: How many examples a row makes, from ``key_fields``; example and key find the number of the part,
            from 0, in the field ``part``.
        wanted: Whether a row belongs to the split, from ``key_fields`` and the mirror's own name of the split in
            the field ``file``: a mirror may hold several splits in one file.
        example: Makes the example of a row.
        counts: Official number of rows by split.
        protocols: Published choices of rows by name.
        traps: Warnings by split, given whenever it is read.
        find_image: Finds the image of a row of a mirror that has no image column.
        complete: Adds to an opened split what lies in files of its own.
        larger: What a split is that has more rows than the official one, for the warning.
    """

    name: str
    description: str
    license: str
    source: str
    metric: str
    kind: Kind
    files: tuple[SourceFile, ...]
    open_raw: Callable[[Root, str], Split | None]
    mirrors: tuple[Columns, ...]
    mirror_splits: Mapping[str, tuple[str, ...]]
    key_fields: tuple[str, ...]
    key: Callable[[Row], str]
    example: MakeExample
    counts: Mapping[str, int]
    protocols: Mapping[str, Protocol]
    parts: Callable[[Row], int] = lambda row: 1
    wanted: Callable[[Row, str], bool] = lambda row, split: True
    find_image: Callable[[Root, Row], Path] | None = None
    complete: Callable[[Root, Split], Split] = lambda root, split: split
    traps: Mapping[str, str] = field(default_factory=dict)
    larger: str = "It holds other rows than the official split"

    @property
    def splits(self) -> tuple[str, ...]:
        """Official names of all splits."""
        return tuple(dict.fromkeys(split for file in self.files for split in file.splits))


def open_split(benchmark: Benchmark, root: Root, split: str, columns: Mapping[str, str] | None = None) -> Split | None:
    """Open a split: from the official files if they are there, else from parquet.

    Args:
        benchmark: The benchmark.
        root: Where to look.
        split: Official name of the split.
        columns: Own column names of a mirror by field; naming some chooses parquet.

    Returns:
        The split with its warnings; None where the root has neither form.

    Raises:
        InputError: A file is damaged or incomplete, or holds no row.
    """
    found = None if columns else benchmark.open_raw(root, split)
    if found is None:
        found = _open_mirror(benchmark, root, split, columns)
    if found is None:
        return None
    if not found.rows:
        raise InputError(f"{benchmark.name}: the files of split {split!r} hold no row; fetch them again")
    found = benchmark.complete(root, found)
    return replace(found, warnings=(*found.warnings, *_traps(benchmark, found)))


def _traps(benchmark: Benchmark, split: Split) -> list[str]:
    warnings = []
    official = benchmark.counts.get(split.name)
    if official is not None and split.rows > official:
        warnings.append(
            f"{benchmark.name}: split {split.name!r} has {split.rows} rows, the official one {official}. "
            f"{benchmark.larger}."
        )
    elif official is not None and split.rows < official:
        warnings.append(
            f"{benchmark.name}: split {split.name!r} has {split.rows} rows, the official one {official}: rows drawn "
            "from it are not those of published numbers."
        )
    if split.name in benchmark.traps:
        warnings.append(f"{benchmark.name}: {benchmark.traps[split.name]}")
    return warnings


def _open_mirror(benchmark: Benchmark, root: Root, split: str, columns: Mapping[str, str] | None) -> Split | None:
    mirror_split, files = find_shards(root.folder, benchmark.mirror_splits.get(split, ()))
    if not files or not benchmark.mirrors:
        return None
    rows = ParquetRows(files, benchmark.mirrors, columns, root)
    fields = {name: rows.field(name) for name in benchmark.key_fields}
    order: list[tuple[int, int]] = []
    keys: list[str | InputError] = []
    for index in range(len(rows)):
        head = Row(rows.place(index), {"file": mirror_split} | {name: values[index] for name, values in fields.items()})
        if benchmark.wanted(head, split):
            for part in range(benchmark.parts(head)):
                order.append((index, part))
                keys.append(key_of(Row(head.place, {**head.cells, "part": part}), benchmark.key))
    if not order:
        return None

    def place(position: int) -> str:
        return rows.place(order[position][0])

    def example(position: int) -> Example:
        index, part = order[position]
        row = rows.row(index)
        row = Row(row.place, {**row.cells, "part": part})
        by_name = rows.columns.image is None and benchmark.find_image is not None
        images = [benchmark.find_image(root, row)] if by_name and benchmark.find_image else rows.images(index)
        return benchmark.example(row, images, split)

    return Split(split, "parquet", len(order), example, place, double_ids(keys, place))
