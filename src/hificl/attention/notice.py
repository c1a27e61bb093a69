"""What a user should hear once: why something runs another way than the fast one."""

from __future__ import annotations

import functools
import logging

import torch


def say_once(message: str) -> None:
    """Log a warning the first time that this very message comes; nothing while torch traces a graph."""
    if not torch.compiler.is_compiling():
        _say(message)


@functools.cache
def _say(message: str) -> None:
    logging.getLogger("hificl").warning("%s", message)
