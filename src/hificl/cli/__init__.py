"""The command line. Nothing heavy is imported before a command needs it."""

from __future__ import annotations


def main() -> None:
    """Run ``hificl`` with the arguments of the process and exit with its code: 0 done, 1 failed, 2 wrong use."""
    from hificl.cli.app import app

    app(prog_name="hificl")
