"""What a command shows: its result on stdout, as text or as JSON; everything else on stderr."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TextIO

from rich.console import Console

PLAIN_WIDTH = 120
"""Width of tables that do not go to a terminal, in characters."""


@dataclass(frozen=True)
class Report:
    """Where a command writes. Colours follow the terminal and ``NO_COLOR``."""

    stdout: TextIO
    """The real stdout; inside a command ``sys.stdout`` is stderr, so that no library can spoil the result."""

    as_json: bool
    """Whether the result is for a machine."""

    def result(self, value: Any, show: Callable[[Console], None]) -> None:
        """Write the result: ``value`` as JSON, or whatever ``show`` prints."""
        if self.as_json:
            print(json.dumps(value, indent=2, ensure_ascii=False), file=self.stdout, flush=True)
            return
        show(console(self.stdout))

    def note(self, message: str) -> None:
        """Write one line about the progress to stderr."""
        print(message, file=sys.stderr, flush=True)


def console(stream: TextIO) -> Console:
    """A console without markup: square brackets in data stay what they are."""
    width = None if stream.isatty() else PLAIN_WIDTH
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


@contextlib.contextmanager
def reporting(as_json: bool, *, same_bits: bool = False) -> Iterator[Report]:
    """Keep stdout for the result, and turn warnings of hificl into plain lines.

    Args:
        as_json: Whether the result is for a machine.
        same_bits: For commands whose records must come out the same again, and whose killed runs go on to the same
            bits. On some processors MKL's sums depend on where in memory a tensor lies, unless it is told before its
            first call that they must not; products of one row, as in decoding, then take up to three times as long.
    """
    if same_bits:
        os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
    report = Report(sys.stdout, as_json)
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("default", category=UserWarning, module=r"hificl\b")
        warnings.showwarning = lambda message, *_, **__: report.note(f"warning: {message}")
        yield report


def facts(screen: Console, rows: dict[str, object]) -> None:
    """Print names and values in two aligned columns; long values are not broken."""
    width = max(map(len, rows), default=0)
    for name, value in rows.items():
        screen.print(f"{name:<{width}}  {value}", soft_wrap=True)


def printable(text: str) -> str:
    """An answer without what would move the cursor or ring the bell: a model may say anything."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def size(number: float) -> str:
    """A number of bytes for people, such as ``1.5 MB``."""
    for unit in ("bytes", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def duration(seconds: float) -> str:
    """Seconds for people, such as ``2 min 05 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
