"""Fields of a row, checked: the value in its type, or an error that names file, row and field."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from hificl.data.json_text import json_kind
from hificl.data.tables import Row
from hificl.errors import InputError

MAX_NAME = 200
"""Most characters of an id or a name."""

_BREAKS = re.compile(r"\s*[\t\n\v\f\r\u0085\u2028\u2029]\s*")
_C0_AND_DELETE = re.compile(r"[\x00-\x1f\x7f]")


def value(row: Row, field: str) -> Any:
    """Return what the field holds, whatever its type.

    Raises:
        InputError: The row has no such field.
    """
    try:
        return row.cells[field]
    except KeyError:
        present = ", ".join(repr(name) for name in list(row.cells)[:12]) or "none"
        raise wrong(row, field, f"is missing (fields: {present})", "correct the row") from None


def text(row: Row, field: str) -> str:
    """Return a text that is not blank; line breaks and tabs become one space, the ends are stripped.

    Raises:
        InputError: It is missing, no text or blank, or holds a control character or half a surrogate pair.
    """
    return clean(row, field, value(row, field))


def optional_text(row: Row, field: str) -> str | None:
    """Return the text of a field that may be missing, null or blank, which all give None.

    Raises:
        InputError: As for :func:`text`.
    """
    given = row.cells.get(field)
    if given is None or (isinstance(given, str) and not given.strip()):
        return None
    return clean(row, field, given)


def clean(row: Row, field: str, given: object) -> str:
    """Check one text of a field, such as an item of a list; see :func:`text`."""
    if not isinstance(given, str):
        raise wrong(row, field, f"is a {json_kind(given)}, not a text", "correct the row")
    result = _BREAKS.sub(" ", given).strip()
    if not result:
        raise wrong(row, field, "is blank", "correct the row")
    found = _C0_AND_DELETE.search(result)
    if found:
        raise wrong(row, field, f"holds the control character {found.group()!r}", "correct the row")
    if any("\ud800" <= character <= "\udfff" for character in result):
        raise wrong(row, field, "holds half of a surrogate pair", "write valid Unicode")
    return result


def texts(row: Row, field: str, *, inner: Sequence[str] = ()) -> list[str]:
    """Return a list of texts; an item may also be an object that holds the text under one of ``inner``.

    Raises:
        InputError: It is no list, is empty, or an item is not as described.
    """
    found = []
    for position, item in enumerate(items(row, field), start=1):
        place = f"{field}[{position}]"
        if not isinstance(item, Mapping):
            found.append(clean(row, place, item))
            continue
        key = next((key for key in inner if key in item), None)
        if key is None:
            raise wrong(row, place, f"has no {' or '.join(map(repr, inner)) or 'text'}", "correct the row")
        found.append(clean(row, f"{place}.{key}", item[key]))
    if not found:
        raise wrong(row, field, "is an empty list", "correct the row")
    return found


def items(row: Row, field: str) -> list[Any]:
    """Return a list of anything.

    Raises:
        InputError: The field is missing or no list.
    """
    given = value(row, field)
    if not isinstance(given, list):
        raise wrong(row, field, f"is a {json_kind(given)}, not a list", "correct the row")
    return given


def integer(row: Row, field: str, *, high: int = 2**53) -> int:
    """Return an integer from 0 to ``high``.

    Raises:
        InputError: It is missing, of another type or out of range.
    """
    given = value(row, field)
    if isinstance(given, bool) or not isinstance(given, int):
        raise wrong(row, field, f"is a {json_kind(given)}, not an integer", "correct the row")
    if not 0 <= given <= high:
        raise wrong(row, field, f"is {str(given)[:40]}, not between 0 and {high}", "correct the row")
    return given


def name(row: Row, field: str) -> str:
    """Return an id: an integer of at least 0, or a printable text of at most ``MAX_NAME`` characters.

    A slash may part it (``artwork/11.jpg``), but it never leads out of a folder.

    Raises:
        InputError: It is missing or something else.
    """
    given = value(row, field)
    if isinstance(given, int) and not isinstance(given, bool):
        return str(integer(row, field))
    if not isinstance(given, str):
        raise wrong(row, field, f"is a {json_kind(given)}, not a name", "give every row an id")
    result = given.strip()
    outward = any(part in ("", ".", "..") for part in result.replace("\\", "/").split("/"))
    if outward or len(result) > MAX_NAME or any(unicodedata.category(one)[0] == "C" for one in result):
        raise wrong(
            row, field, f"is no usable name: {given[:40]!r}", "give every row a short printable id without '..'"
        )
    return result


def one_of(row: Row, field: str, allowed: Sequence[str]) -> str:
    """Return a text that is one of ``allowed``, compared without regard to case; in the spelling of ``allowed``.

    Raises:
        InputError: It is none of them.
    """
    given = text(row, field)
    for choice in allowed:
        if choice.lower() == given.lower():
            return choice
    raise wrong(row, field, f"is {given[:40]!r}, not one of {', '.join(allowed)}", "correct the row")


def wrong(row: Row, field: str, what: str, remedy: str) -> InputError:
    """Make the error of a field: place, field, what is wrong, remedy."""
    return InputError(f"{row.place}: field {field!r} {what}; {remedy}, or leave such rows out with on_bad='skip'")
