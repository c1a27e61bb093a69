"""Reading the rows of a JSONL, JSON or CSV file, each with the line where it stands."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hificl.data.json_text import json_kind, parse_json, read_text
from hificl.errors import InputError


@dataclass(frozen=True)
class Row:
    """One row as the file holds it: values by column name, and its place in messages (``rows.csv:7``)."""

    place: str
    cells: Mapping[str, Any]


def read_table(path: Path) -> list[Row]:
    """Read all rows of a file; the suffix tells the format.

    ``.jsonl`` holds one JSON object per line (blank lines do not count), ``.json`` one array of objects,
    ``.csv`` comma-separated values under a header line. All are UTF-8, with or without a byte order mark.
    JSON is strict: no NaN, no infinity, no name twice in an object. All values of a CSV file are texts.

    Raises:
        InputError: The file cannot be read, has another suffix, is not UTF-8 or breaks its format, or has no
            row. The message names the file and, where there is one, the line.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: unknown kind of file {path.suffix!r}; use one of {', '.join(_READERS)}")
    rows = list(reader(read_text(path), path.name))
    if not rows:
        raise InputError(f"{path}: the file has no row; write at least one example")
    return rows


def _read_jsonl(text: str, name: str) -> Iterator[Row]:
    # Not splitlines(): it also breaks at marks such as U+2028, which may stand inside a JSON text.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            place = f"{name}:{number}"
            yield _json_row(parse_json(line, lambda _, place=place: place), place)  # type: ignore[misc]


def _read_json(text: str, name: str) -> Iterator[Row]:
    if not text.strip():
        return
    rows = parse_json(text, lambda line: f"{name}:{line}")
    if not isinstance(rows, list):
        raise InputError(
            f"{name}: holds a {json_kind(rows)}; write an array of objects, or one object per line in .jsonl"
        )
    for number, cells in enumerate(rows, start=1):
        yield _json_row(cells, f"{name}: row {number}")


def _json_row(cells: object, place: str) -> Row:
    if not isinstance(cells, dict):
        raise InputError(f'{place}: the row is a {json_kind(cells)}; write an object such as {{"question": ...}}')
    return Row(place, cells)


def _read_csv(text: str, name: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    line = 1
    try:
        for fields in reader:
            place = f"{name}:{line}"
            line = reader.line_num + 1
            if not any(field.strip() for field in fields):
                continue
            if header is None:
                header = _checked_header(fields, place)
                continue
            if len(fields) != len(header):
                raise InputError(
                    f"{place}: {len(fields)} values under {len(header)} column names; "
                    "put values that hold a comma or a line break into double quotes"
                )
            yield Row(place, dict(zip(header, fields, strict=True)))
    except csv.Error as error:
        raise InputError(f"{name}:{line}: invalid CSV ({error}); correct the row") from error


def _checked_header(fields: list[str], place: str) -> list[str]:
    header = [field.strip() for field in fields]
    if "" in header:
        raise InputError(f"{place}: column {header.index('') + 1} has no name; name every column in the first line")
    for position, column in enumerate(header):
        if column in header[:position]:
            raise InputError(f"{place}: the column name {column!r} stands twice; rename one of the two")
    return header


_READERS: dict[str, Callable[[str, str], Iterator[Row]]] = {
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".csv": _read_csv,
}
