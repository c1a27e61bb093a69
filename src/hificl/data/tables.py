"""Reading the rows of a JSONL, JSON or CSV file, each with the line where it stands."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

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
    rows = list(reader(_read_text(path), path.name))
    if not rows:
        raise InputError(f"{path}: the file has no row; write at least one example")
    return rows


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; name a file in it") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); check the path and its permissions") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path.name}:{line}: not UTF-8 text ({error.reason}); save the file as UTF-8") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError(f"{path.name}:{line}: holds a zero byte, so this is no text file; save the rows as UTF-8 text")
    return text


def _read_jsonl(text: str, name: str) -> Iterator[Row]:
    # Not splitlines(): it also breaks at marks such as U+2028, which may stand inside a JSON text.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            place = f"{name}:{number}"
            yield _json_row(_parse_json(line, lambda _, place=place: place), place)  # type: ignore[misc]


def _read_json(text: str, name: str) -> Iterator[Row]:
    if not text.strip():
        return
    rows = _parse_json(text, lambda line: f"{name}:{line}")
    if not isinstance(rows, list):
        raise InputError(
            f"{name}: holds a {_json_kind(rows)}; write an array of objects, or one object per line in .jsonl"
        )
    for number, cells in enumerate(rows, start=1):
        yield _json_row(cells, f"{name}: row {number}")


def _json_row(cells: object, place: str) -> Row:
    if not isinstance(cells, dict):
        raise InputError(f'{place}: the row is a {_json_kind(cells)}; write an object such as {{"question": ...}}')
    return Row(place, cells)


def _parse_json(text: str, place: Callable[[int], str]) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_names)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{place(error.lineno)}: invalid JSON at column {error.colno} ({error.msg}); correct the line"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place(1)}: invalid JSON ({error}); correct the file") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON, write null or leave the value out")


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    cells = dict(pairs)
    if len(cells) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {double!r} stands twice in one object")
    return cells


def _json_kind(value: object) -> str:
    if value is None:
        return "null"
    kinds = {
        dict: "JSON object",
        list: "JSON array",
        str: "text",
        bool: "truth value",
        int: "number",
        float: "number",
    }
    return kinds[type(value)]


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
