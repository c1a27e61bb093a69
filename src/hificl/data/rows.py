"""A user's own data: rows of a JSONL, JSON or CSV file become examples, or one clear error."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from hificl.data.example import Example
from hificl.data.paths import checked_folder, path_inside
from hificl.data.tables import Row, read_table
from hificl.errors import InputError

FIELDS: dict[str, tuple[str, ...]] = {
    "id": ("id",),
    "image": ("image", "images"),
    "question": ("question",),
    "answer": ("answer", "answers"),
}
"""Each field of a row with the column names under which it is looked for."""


def read_rows(
    path: str | os.PathLike[str],
    *,
    images_root: str | os.PathLike[str] | None = None,
    columns: Mapping[str, str] | None = None,
    require_answers: bool = True,
) -> list[Example]:
    """Read examples from a file of rows (``.jsonl``, ``.json`` with an array of objects, or ``.csv``).

    A row has the columns ``image`` (or ``images``), ``question``, ``answer`` (or ``answers``) and, if wanted,
    ``id``; all other columns go to ``Example.meta``. Image and answer are one text or a list of texts; in CSV
    a list is written as JSON. An explicit empty list of images is a question without an image. Questions and
    answers lose surrounding white space. Rows without an id get their number as id, counted from 1.

    Args:
        path: The file, UTF-8. Its suffix tells the format.
        images_root: Folder that image paths start from and must stay in, also through links. By default the
            folder of the file.
        columns: Own column names by field, such as ``{"question": "q"}``; the fields are those of ``FIELDS``.
        require_answers: Whether a row without an answer is an error. With False the column may be missing,
            null or blank.

    Returns:
        One example per row, in the order of the file, with absolute image paths. Every image file exists;
        what it holds is checked when it is loaded.

    Raises:
        InputError: Whatever is wrong with the file; the message names file and line, the field and the
            remedy.
    """
    path = Path(path)
    root = checked_folder(path.parent if images_root is None else Path(images_root))
    names = _column_names(columns or {})
    examples: list[Example] = []
    places: dict[str, str] = {}
    for number, row in enumerate(read_table(path), start=1):
        example = _example(row, number, names, root, require_answers)
        if example.id in places:
            raise InputError(
                f"{row.place}: the id {example.id!r} stands also in {places[example.id]}; give every row its own id"
            )
        places[example.id] = row.place
        examples.append(example)
    return examples


def _column_names(columns: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    names = dict(FIELDS)
    aliases = {alias: field for field, known in FIELDS.items() for alias in known}
    for name, column in columns.items():
        field = aliases.get(name)
        if field is None:
            raise InputError(
                f"columns: unknown field {name!r}{_nearest(name, aliases)}; fields are {', '.join(FIELDS)}"
            )
        if not isinstance(column, str) or not column:
            raise InputError(f"columns: field {name!r} needs the name of a column, got {column!r}")
        names[field] = (column,)
    return names


def _nearest(name: str, known: Iterable[str]) -> str:
    """Words that point to the nearest known name, or nothing."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    match = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return f" (nearest: {by_lower[match[0]]!r})" if match else ""


def _example(row: Row, number: int, names: Mapping[str, tuple[str, ...]], root: Path, require_answers: bool) -> Example:
    used = {field: _find_column(row, field, names[field]) for field in FIELDS}
    for field in ("image", "question", "answer") if require_answers else ("image", "question"):
        if used[field] is None:
            raise _missing(row, field, names[field])
    if used["id"] is None and names["id"] != FIELDS["id"]:
        raise _missing(row, "id", names["id"])
    question = _text(row, used["question"], "write the question")
    return Example(
        id=str(number) if used["id"] is None else _id(row, used["id"]),
        images=_images(row, used["image"], root),
        question=question,
        answers=_answers(row, used["answer"], require_answers),
        meta={column: value for column, value in row.cells.items() if column not in used.values()},
    )


def _find_column(row: Row, field: str, names: tuple[str, ...]) -> str | None:
    present = [name for name in names if name in row.cells]
    if len(present) > 1:
        raise InputError(
            f"{row.place}: both columns {present[0]!r} and {present[1]!r} are there; "
            f"say which one holds the {field} with columns={{{field!r}: ...}}"
        )
    return present[0] if present else None


def _missing(row: Row, field: str, names: tuple[str, ...]) -> InputError:
    existing = ", ".join(repr(column) for column in row.cells) or "none"
    return InputError(
        f"{row.place}: no column {names[0]!r}{_nearest(names[0], row.cells)}; the columns are {existing}; "
        f"rename one or map it with columns={{{field!r}: ...}}"
    )


def _text(row: Row, column: str | None, remedy: str) -> str:
    return _checked_text(row.cells[column], f"{row.place}: column {column!r}", remedy) if column else ""


def _checked_text(value: object, place: str, remedy: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{place}: expected a text, got {json.dumps(value)[:40]}; {remedy}, in quotes")
    if not value.strip():
        raise InputError(f"{place}: is empty; {remedy}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{place}: holds half of a surrogate pair ({error.reason}); {remedy} in valid Unicode"
        ) from error
    return value.strip()


def _id(row: Row, column: str) -> str:
    value = row.cells[column]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _checked_text(value, f"{row.place}: column {column!r}", "write a name that no other row has")


def _list_of_texts(row: Row, column: str, remedy: str) -> list[str]:
    """Turn one text, a list of texts or, as CSV needs it, a list written as JSON into a list of texts."""
    value = row.cells[column]
    if isinstance(value, str) and value.strip().startswith("[") and value.strip().endswith("]"):
        # An answer such as "[sic]" is no JSON, so it is a plain text.
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(value)
    place = f"{row.place}: column {column!r}"
    if not isinstance(value, list):
        return [_checked_text(value, place, remedy)]
    return [_checked_text(item, f"{place}, item {position}", remedy) for position, item in enumerate(value, start=1)]


def _answers(row: Row, column: str | None, required: bool) -> list[str]:
    if column is None:
        return []
    value = row.cells[column]
    if not required and (value is None or (isinstance(value, str) and not value.strip())):
        return []
    answers = _list_of_texts(row, column, "write the answer or leave the row out")
    if required and not answers:
        raise InputError(f"{row.place}: column {column!r}: is an empty list; write the answer or leave the row out")
    return answers


def _images(row: Row, column: str | None, root: Path) -> list[Path]:
    if column is None:
        return []
    paths = _list_of_texts(row, column, "write the path of the image")
    return [path_inside(path, root, f"{row.place}: column {column!r}: image {path!r}") for path in paths]
