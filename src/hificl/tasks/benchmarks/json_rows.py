"""Rows of a large JSON file: found in one pass, kept as text, parsed again when one is asked for."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hificl.data.json_text import json_kind, parse_json, read_text, refuse_constant
from hificl.data.tables import Row
from hificl.errors import InputError

Keep = Callable[[Any], Any]
"""Takes one parsed row, of whatever type, and returns the little that an index needs of it."""

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder(parse_constant=refuse_constant)


class JsonRows:
    """Rows of one file, in its order.

    The text of the file stays in memory and each row is a slice of it, so that 200,000 rows with ten answers
    each take little more than the file itself.

    Args:
        file: Name of the file in messages.
        kind: What the rows are called in messages, such as ``questions``.
        text: The whole file.
        keep: Called with every row while it is found; results are in ``kept``.
    """

    def __init__(self, file: str, kind: str, text: str, keep: Keep) -> None:
        self.file, self.kind, self.text, self._keep = file, kind, text, keep
        self.starts, self.ends = array("Q"), array("Q")
        self.kept: list[Any] = []
        self.names: list[str] = []
        self.numbers = array("Q")

    def __len__(self) -> int:
        return len(self.starts)

    def place(self, index: int) -> str:
        """Name a row in messages: ``questions.json: questions row 7`` or ``dataset.json: entry 'name'``."""
        if self.names:
            return f"{self.file}: {self.kind} {self.names[index][:80]!r}"
        return f"{self.file}: {self.kind} {self.numbers[index] if self.numbers else index + 1}"

    def row(self, index: int) -> Row:
        """Parse one row strictly.

        Raises:
            InputError: It is no JSON object, or a name stands twice in it.
        """
        place = self.place(index)
        cells = parse_json(self.text[self.starts[index] : self.ends[index]], lambda _: place)
        if not isinstance(cells, dict):
            raise InputError(f"{place}: is a {json_kind(cells)}, not an object; correct the row")
        return Row(place, cells)

    def add(self, start: int, end: int, parsed: object, name: str | None = None) -> None:
        """Append the row that stands at ``text[start:end]``."""
        self.starts.append(start)
        self.ends.append(end)
        self.kept.append(self._keep(parsed))
        if name is not None:
            self.names.append(name)


def rows_of_arrays(path: Path, members: Mapping[str, Keep]) -> dict[str, JsonRows]:
    """Find the rows of some arrays of the object that the file holds, in one pass.

    Args:
        path: The file.
        members: Names of the arrays, each with what its index keeps of a row.

    Raises:
        InputError: The file is no complete JSON object, or lacks one of the arrays. Files that are cut off or
            damaged are refused whatever ``on_bad`` says: nobody knows what is missing.
    """
    text = read_text(path)
    all_rows = {member: JsonRows(path.name, f"{member} row", text, keep) for member, keep in members.items()}
    found: set[str] = set()

    def visit(name: str, position: int) -> int | None:
        if name not in members:
            return None
        if name in found:
            raise InputError(f"{path.name}: the member {name!r} stands twice; correct the file")
        found.add(name)
        return _walk_array(all_rows[name], position)

    names = _walk_object(JsonRows(path.name, "member", text, lambda row: None), visit)
    for member in members:
        if member not in found:
            present = ", ".join(map(repr, names[:8])) or "none"
            raise InputError(f"{path.name}: has no member {member!r} (members: {present}); is this the right file?")
    return all_rows


def rows_of_array(path: Path, member: str, keep: Keep) -> JsonRows:
    """Find the rows of one array; see :func:`rows_of_arrays`."""
    return rows_of_arrays(path, {member: keep})[member]


def rows_of_object(path: Path, kind: str, keep: Keep) -> JsonRows:
    """Take the members of the object that the file holds as rows; their names are in ``names``.

    Raises:
        InputError: The file is no complete JSON object, or a name stands twice.
    """
    rows = JsonRows(path.name, kind, read_text(path), keep)

    def visit(name: str, position: int) -> int:
        parsed, end = _parse(rows, position, f"{kind} {name[:80]!r}")
        rows.add(position, end, parsed, name)
        return end

    names = _walk_object(rows, visit)
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path.name}: {kind} {double!r} stands twice; keep one of the two")
    return rows


def rows_of_lines(path: Path, keep: Keep) -> JsonRows:
    """Take every line that is not blank as a row (JSONL).

    Raises:
        InputError: A line is no JSON.
    """
    rows = JsonRows(path.name, "line", read_text(path), keep)
    start = 0
    # Not splitlines(): it also breaks at marks that may stand inside a JSON text.
    for number, line in enumerate(rows.text.split("\n"), start=1):
        if line.strip():
            place = f"{path.name}: line {number}"
            rows.numbers.append(number)
            rows.add(start, start + len(line), parse_json(line, lambda _, place=place: place))  # type: ignore[misc]
        start += len(line) + 1
    return rows


def picked(*fields: str) -> Keep:
    """Return a ``keep`` that takes these fields of an object; None where the row is no object."""

    def keep(parsed: object) -> dict[str, Any] | None:
        return {name: parsed[name] for name in fields if name in parsed} if isinstance(parsed, Mapping) else None

    return keep


def _walk_object(rows: JsonRows, visit: Callable[[str, int], int | None]) -> list[str]:
    """Call ``visit`` at every member's value; where it returns no end, the value is passed over."""
    text = rows.text
    names: list[str] = []
    position = _expect(rows, _skip(text, 0), "{", "an object")
    if text[position : position + 1] == "}":
        _check_end(rows, position + 1)
        return names
    while True:
        if text[position : position + 1] != '"':
            raise _broken(rows, position, "a member's name expected", "")
        name, position = _parse(rows, position, "a member's name")
        names.append(name)
        position = _expect(rows, _skip(text, position), ":", "':' after a member's name")
        end = visit(name, position)
        position = _skip(text, _parse(rows, position, f"member {name[:80]!r}")[1] if end is None else end)
        if text[position : position + 1] == "}":
            _check_end(rows, position + 1)
            return names
        position = _expect(rows, position, ",", "',' or '}' after a member")


def _walk_array(rows: JsonRows, position: int) -> int:
    text = rows.text
    position = _expect(rows, position, "[", f"an array of {rows.kind}s")
    if text[position : position + 1] == "]":
        return position + 1
    while True:
        place = f"{rows.kind} {len(rows) + 1}"
        parsed, end = _parse(rows, position, place)
        rows.add(position, end, parsed)
        position = _skip(text, end)
        mark = text[position : position + 1]
        if mark == "]":
            return position + 1
        if mark != ",":
            raise _broken(rows, position, "',' or ']' expected after a row", place)
        position = _skip(text, position + 1)


def _parse(rows: JsonRows, position: int, place: str) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(rows.text, position)
    except json.JSONDecodeError as error:
        raise _broken(rows, error.pos, error.msg, place) from error
    except (ValueError, RecursionError) as error:
        raise _broken(rows, position, str(error), place) from error


def _expect(rows: JsonRows, position: int, mark: str, what: str) -> int:
    if rows.text[position : position + 1] != mark:
        raise _broken(rows, position, f"{what} expected", "")
    return _skip(rows.text, position + 1)


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _check_end(rows: JsonRows, position: int) -> None:
    position = _skip(rows.text, position)
    if position < len(rows.text):
        raise _broken(rows, position, "more text after the end", "")


def _broken(rows: JsonRows, position: int, what: str, place: str) -> InputError:
    line = rows.text.count("\n", 0, position) + 1
    column = position - rows.text.rfind("\n", 0, position)
    where = f"{rows.file}: {place}: " if place else f"{rows.file}: "
    early = position >= len(rows.text) - 1 or what.startswith("Unterminated string")
    cut = "the file ends too early, fetch it again" if early else "correct the file"
    return InputError(f"{where}invalid JSON at line {line}, column {column} ({what}); {cut}")
