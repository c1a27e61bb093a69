"""The errors that hificl raises on purpose: each names the place, what is wrong there, and the remedy."""

from __future__ import annotations


class HificlError(Exception):
    """Base of every deliberate error; the command line prints its message and exits with 2."""


class InputError(HificlError, ValueError):
    """What was handed in is wrong: a file, a row, an option, an adapter for another model."""


class RunError(HificlError, RuntimeError):
    """What was handed in is fine, but the run could not go on: a loss that is not a number, a full disk."""
