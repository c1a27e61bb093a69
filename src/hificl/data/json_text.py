"""Strict text and JSON from a file: UTF-8, no NaN, no name twice in an object; an error names its line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from hificl.errors import InputError

MAX_TEXT_BYTES = 2 * 2**30
"""Most bytes of a text file that are read; the largest official file of the benchmarks has about a fifth of it."""


def read_text(path: Path) -> str:
    """Read a whole UTF-8 file, with or without a byte order mark, of at most ``MAX_TEXT_BYTES``.

    Raises:
        InputError: The file cannot be read, is too large, is not UTF-8 or holds a zero byte.
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise IsADirectoryError
        if size > MAX_TEXT_BYTES:
            raise InputError(f"{path}: has {size} bytes, the limit is {MAX_TEXT_BYTES}; split the file")
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except IsADirectoryError:
        kind = "folder; name a file in it" if path.is_dir() else "device or a pipe; name a file"
        raise InputError(f"{path}: is a {kind}") from None
    except InputError:
        raise
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


def parse_json(text: str, place: Callable[[int], str]) -> Any:
    """Parse one JSON text; ``place`` turns the line of an error into the beginning of its message.

    Raises:
        InputError: The text is not strict JSON.
    """
    try:
        return json.loads(text, parse_constant=refuse_constant, object_pairs_hook=unique_names)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{place(error.lineno)}: invalid JSON at column {error.colno} ({error.msg}); correct the line"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place(1)}: invalid JSON ({error}); correct the file") from error


def refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and the infinities, which are not JSON (``parse_constant`` of the decoder).

    Raises:
        ValueError: Always.
    """
    raise ValueError(f"{name} is not JSON, write null or leave the value out")


def unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make the dict of one object (``object_pairs_hook`` of the decoder).

    Raises:
        ValueError: A name stands twice, so that one of its values would be lost.
    """
    cells = dict(pairs)
    if len(cells) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {double!r} stands twice in one object")
    return cells


def json_kind(value: object) -> str:
    """Say in words what kind of JSON value this is."""
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
    return kinds.get(type(value), type(value).__name__)
