"""How every command ends: exit codes, error messages on stderr, an error object for machines."""

from __future__ import annotations

import json
import re
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from hificl.errors import HificlError

INTERRUPTED = 130


class CommandGroup(TyperGroup):
    """A group whose commands report errors as a line, not as a traceback."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command and exit: 0 done, 1 failed unexpectedly, 2 wrong use or refused input, 130 interrupted."""
        words = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(words, prog_name, complete_var, False, windows_expand_args, **extra) or 0
        except typer.TyperException as error:
            code = 2
            _explain(error.format_message() or _help_of(error), words, "usage", code)
        except HificlError as error:
            code = 2
            _explain(in_own_words(str(error)), words, type(error).__name__, code)
        except (KeyboardInterrupt, typer.Abort):
            code = INTERRUPTED
        except BrokenPipeError:
            # The reader of stdout has gone (`hificl ... | head`); there is nobody to tell.
            sys.stdout = None  # type: ignore[assignment]
            code = 1
        except Exception as error:
            code = 1
            traceback.print_exc(file=sys.stderr)
            kind = type(error).__name__
            _explain(f"unexpected {kind}: {error}; please report it with the lines above.", words, kind, code)
        if code == INTERRUPTED:
            _explain("interrupted; the same command goes on where it stopped.", words, "interrupted", code)
        sys.exit(code)


_OWN_WORDS = {
    r"columns=\{'(\w+)': \.\.\.\}": r"--columns \1=NAME",
    r"^columns: ": "--columns: ",
    r"\boutput_dir\b": "--output",
    r"\bresume=False\b": "--no-resume",
    r"\bfresh=True\b": "--fresh",
    r"\bon_bad='skip'": "--on-bad skip",
    r"\bsmaller support_size\b": "smaller --support-size",
}
"""What the library calls an argument, and what the command line calls it."""


def in_own_words(message: str) -> str:
    """Return a message of the library with the options of the command line in it."""
    for pattern, words in _OWN_WORDS.items():
        message = re.sub(pattern, words, message)
    return message


def _help_of(error: typer.TyperException) -> str:
    """`hificl` alone asks for the help: typer puts it where the message would be."""
    context = getattr(error, "ctx", None)
    return str(context.get_help()) if context is not None else "wrong use; see hificl --help"


def _explain(message: str, words: Sequence[str], kind: str, code: int) -> None:
    """Write a message to stderr and, where JSON was asked for, an error object to stdout."""
    print(f"hificl: {message}", file=sys.stderr)
    if "--json" in words:
        print(json.dumps({"error": {"type": kind, "message": message, "exit_code": code}}, ensure_ascii=False))
