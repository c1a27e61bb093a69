"""What a user should hear once: why something runs another way than the fast one."""

from __future__ import annotations

import functools
import logging

import torch


@torch.compiler.assume_constant_result  # said while torch traces a graph, which never comes back here
def say_once(message: str) -> None:
    """Log a warning the first time that this very message comes."""
    _say(message)


@functools.cache
def _say(message: str) -> None:
    logging.getLogger("hificl").warning("%s", message)
