"""An error as a record keeps it: what it was, what it said, and where in the code it came from."""

from __future__ import annotations

import re
import traceback
from typing import Any

from hificl.errors import HificlError

MOST_FRAMES = 20
"""Innermost calls that are kept."""


def describe(error: BaseException) -> dict[str, Any]:
    """Return an error as JSON values: ``type``, ``message`` in one line, and ``traceback`` where nobody meant it.

    The traceback has one text per call, the innermost last, with paths from the package on: a record says nothing about
    the machine's folders.
    """
    frames = traceback.extract_tb(error.__traceback__)[-MOST_FRAMES:]
    return {
        "type": type(error).__name__,
        "message": " ".join(str(error).split()),
        "traceback": None
        if isinstance(error, HificlError)
        else [f"{_short(frame.filename)}:{frame.lineno} in {frame.name}" for frame in frames],
    }


def _short(path: str) -> str:
    return re.sub(r"^.*/(?:site-packages|src|lib/python[\d.]+)/", "", path)
