"""The parquet files of one split: texts read by column, images left where they are."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from hificl.data import ImageCell, ImageSource
from hificl.data.parquet import decoding, open_parquet, read_cell, read_columns
from hificl.data.tables import Row
from hificl.errors import InputError
from hificl.tasks.benchmarks.columns import Columns, fitting
from hificl.tasks.benchmarks.fields import wrong
from hificl.tasks.benchmarks.root import Root

_SHARD = re.compile(r"(?P<split>.+?)-(?P<number>\d{5})-of-(?P<total>\d{5})(?:-[0-9a-f]+)?$")
_DEPTH = 4


class ParquetRows:
    """Rows of the shards of one split.

    The columns of the adapter are read at once, without the image column; of that only the cells are named.

    Args:
        files: The shards in order.
        adapters: Column adapters of the task; the first that fits is used.
        names: Own column names by field.
        root: Folder in which image paths must lie.

    Raises:
        InputError: A file is damaged, or its columns fit no adapter.
    """

    def __init__(
        self, files: Sequence[Path], adapters: tuple[Columns, ...], names: Mapping[str, str] | None, root: Root
    ) -> None:
        self.files, self.root = list(files), root
        opened = [open_parquet(path) for path in files]
        self.columns = fitting(adapters, names, opened[0].types, files[0].name)
        for path, parquet in zip(files, opened, strict=True):
            missing = self.columns.missing(parquet.types)
            if missing:
                raise InputError(f"{path.name}: no column {missing[0]!r}, unlike {files[0].name}; fetch the file again")
        wanted = {*self.columns.fields.values(), *self.columns.optional.values()}
        self._tables = [
            read_columns(path, sorted(wanted & set(parquet.types))) for path, parquet in zip(files, opened, strict=True)
        ]
        self._images = [_image_column(path, self.columns.image) for path in files]
        self._ends = list(accumulate(table.num_rows for table in self._tables))

    def __len__(self) -> int:
        return self._ends[-1]

    def place(self, index: int) -> str:
        """Name a row in messages: ``val-00000-of-00003.parquet: row 7``."""
        shard, row = self._find(index)
        return f"{self.files[shard].name}: row {row + 1}"

    def row(self, index: int) -> Row:
        """Return the fields of one row under their official names."""
        shard, row = self._find(index)
        place = f"{self.files[shard].name}: row {row + 1}"
        with decoding(place):
            return Row(place, self.columns.renamed(self._tables[shard].slice(row, 1).to_pylist()[0]))

    def field(self, name: str) -> list[Any]:
        """Return one field of all rows; None throughout where the mirror has no such column."""
        column = {**self.columns.optional, **self.columns.fields}.get(name)
        values: list[Any] = []
        for path, table in zip(self.files, self._tables, strict=True):
            with decoding(f"{path.name}: column {column!r}"):
                known = column in table.column_names
                values += table.column(column).to_pylist() if known else [None] * table.num_rows
        return values

    def images(self, index: int) -> list[ImageSource]:
        """Return the images of one row, undecoded; empty where the adapter has no image column.

        Raises:
            InputError: The cell is empty, or names a file that is not in the images folder.
        """
        if self.columns.image is None:
            return []
        shard, row = self._find(index)
        known, cell = self._images[shard], Row(f"{self.files[shard].name}: row {row + 1}", {})
        with decoding(cell.place):
            items = known[row].as_py() if known is not None else read_cell(self.files[shard], row, self.columns.image)
        if items is None or items == []:
            raise wrong(cell, self.columns.image, "holds no image", "fetch the file again")
        if isinstance(items, str):
            return [self.root.image(cell, self.columns.image, [items])]
        if isinstance(items, list) and all(isinstance(item, str) for item in items):
            return [self.root.image(cell, self.columns.image, [item]) for item in items]
        positions = range(len(items)) if isinstance(items, list) else [None]
        return [ImageCell(self.files[shard], row, self.columns.image, item, self.root.images) for item in positions]

    def _find(self, index: int) -> tuple[int, int]:
        shard = bisect_right(self._ends, index)
        return shard, index - (self._ends[shard - 1] if shard else 0)


def find_shards(root: Path, splits: Sequence[str]) -> tuple[str, list[Path]]:
    """Find the parquet files of a split under a folder, in order.

    Known are ``val-00000-of-00003.parquet``, ``val.parquet`` and ``val/0000.parquet``, up to four folders deep. The
    files may be links out of the folder, as they are in a Hub cache.

    Args:
        root: Resolved folder.
        splits: Names that the split may have in mirrors; the first that is there is taken.

    Returns:
        The mirror's name of the split and its shards; none where the folder does not have it.

    Raises:
        InputError: A shard is missing, or two folders hold the same split.
    """
    found: dict[str, list[Path]] = {}
    for path in sorted(root.rglob("*.parquet")):
        if len(path.relative_to(root).parts) <= _DEPTH and path.is_file():
            shard = _SHARD.match(path.stem)
            name = shard["split"] if shard else path.parent.name if path.stem.isdigit() else path.stem
            found.setdefault(name, []).append(path)
    for split in splits:
        if split in found:
            return split, _complete(found[split], split)
    return "", []


def _complete(files: list[Path], split: str) -> list[Path]:
    folders = sorted({str(path.parent) for path in files})
    if len(folders) > 1:
        raise InputError(f"{split}: parquet files lie in {folders[0]} and in {folders[1]}; name one of them as root")
    shards = [match for match in (_SHARD.match(path.stem) for path in files) if match]
    if not shards:
        return files
    total = int(shards[0]["total"])
    numbers = [int(shard["number"]) for shard in shards]
    if len(shards) < len(files) or numbers != list(range(total)) or any(int(one["total"]) != total for one in shards):
        missing = sorted(set(range(total)) - set(numbers))[:5]
        raise InputError(
            f"{folders[0]}: split {split!r} needs parquet files 0 to {total - 1}, each once; "
            f"{f'missing: {missing}' if missing else 'some are doubled'}; fetch all of them"
        )
    return files


def _image_column(path: Path, column: str | None) -> Any:
    """Read what tells how many images a cell has and whether they are paths, but not their bytes.

    Returns:
        A column of paths or of structs with the path alone; None where only the cell itself can tell.
    """
    if column is None:
        return None
    parquet = open_parquet(path)
    kind, leaves = parquet.types[column], parquet.leaves_of(column)
    texts = [leaf for leaf in leaves if leaf.endswith(".path")]
    if not texts and "binary" not in kind and "string" not in kind:
        raise InputError(f"{path.name}: column {column!r} is {kind}, no image; name another one with columns=")
    if not texts and "string" in kind:
        texts = leaves[:1]
    return read_columns(path, texts[:1]).column(0) if texts else None
