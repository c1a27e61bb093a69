"""Parquet files: opened once, read by column, one image cell at a time. pyarrow is imported when a file is opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from hificl.errors import InputError

MAX_TABLE_BYTES = 4 * 2**30
"""Most bytes that the chosen columns of one file may have when decompressed, as its footer says."""

_CELLS_AT_ONCE = 8


@dataclass(frozen=True)
class Parquet:
    """An open parquet file and what its footer says.

    Args:
        file: The ``pyarrow.parquet.ParquetFile``.
        types: Type of every column in words, by name.
        leaves: Decompressed bytes of every leaf by its path, such as ``image.path``.
        group_rows: Number of rows in each row group.
    """

    file: Any
    types: Mapping[str, str]
    leaves: Mapping[str, int]
    group_rows: tuple[int, ...]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(self.group_rows)

    def leaves_of(self, column: str) -> list[str]:
        """Return the paths of the leaves of a column."""
        return [leaf for leaf in self.leaves if leaf == column or leaf.startswith(f"{column}.")]


def open_parquet(path: Path) -> Parquet:
    """Open a parquet file, or return it if it is open and unchanged.

    Raises:
        InputError: pyarrow is not installed, or the file is missing, truncated or no parquet file.
    """
    try:
        status = path.stat()
        if not path.is_file():
            raise OSError("it is not a file")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be opened ({error}); check the path") from error
    return _open(path, status.st_mtime_ns, status.st_size)


def read_columns(path: Path, columns: Sequence[str]) -> Any:
    """Read columns of all rows into a ``pyarrow.Table`` of one piece; the other columns are not touched.

    Args:
        path: The file.
        columns: Paths of columns. ``image.path`` reads only that part of a struct.

    Raises:
        InputError: The file is damaged, or the columns would take more than ``MAX_TABLE_BYTES``.
    """
    parquet = open_parquet(path)
    size = sum(parquet.leaves[leaf] for column in columns for leaf in parquet.leaves_of(column))
    if size > MAX_TABLE_BYTES:
        raise InputError(
            f"{path.name}: columns {', '.join(columns)} take {size} bytes, the limit is {MAX_TABLE_BYTES}; "
            "name other columns or split the file"
        )
    with decoding(path.name):
        table = parquet.file.read(columns=list(columns), use_threads=False)
        table.validate(full=True)
        return table.combine_chunks()


def read_cell(path: Path, row: int, column: str) -> Any:
    """Read one cell as a Python value; of the file only the beginning of that row group's column is decoded.

    Raises:
        InputError: The file is damaged or has no such row.
    """
    parquet = open_parquet(path)
    group, offset = 0, row
    while group < len(parquet.group_rows) and offset >= parquet.group_rows[group]:
        offset -= parquet.group_rows[group]
        group += 1
    if group == len(parquet.group_rows) or row < 0:
        raise InputError(f"{path.name}: has no row {row + 1}; the file has changed, load the data again")
    place = f"{path.name}: row {row + 1}, column {column!r}"
    with decoding(place):
        batches = parquet.file.iter_batches(_CELLS_AT_ONCE, row_groups=[group], columns=[column], use_threads=False)
        for batch in batches:
            if offset < batch.num_rows:
                return batch.column(0)[offset].as_py()
            offset -= batch.num_rows
    raise InputError(f"{place}: is not there; fetch the file again")


@contextmanager
def decoding(place: str) -> Iterator[None]:
    """Turn what pyarrow raises on damaged files into an InputError that names ``place``.

    Raises:
        InputError: In place of such an error.
    """
    import pyarrow  # type: ignore[import-untyped]

    try:
        yield
    except InputError:
        raise
    # Damaged footers, strings and dates also come as plain errors of Python.
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        raise InputError(f"{place}: cannot be decoded ({_first_line(error)}); fetch the file again") from error


@lru_cache(maxsize=64)
def _open(path: Path, _modified: int, _size: int) -> Parquet:
    try:
        import pyarrow.parquet  # type: ignore[import-untyped]
    except ImportError as error:
        raise InputError(f"{path.name}: parquet needs pyarrow; run: pip install 'hificl[benchmarks]'") from error
    with decoding(path.name):
        file = pyarrow.parquet.ParquetFile(path)
        groups = [file.metadata.row_group(group) for group in range(file.num_row_groups)]
        leaves = {file.schema.column(at).path: 0 for at in range(len(file.schema))}
        for group in groups:
            for at in range(group.num_columns):
                chunk = group.column(at)
                leaves[chunk.path_in_schema] = leaves.get(chunk.path_in_schema, 0) + chunk.total_uncompressed_size
        types = {field.name: str(field.type) for field in file.schema_arrow}
        return Parquet(file, types, leaves, tuple(max(group.num_rows, 0) for group in groups))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
