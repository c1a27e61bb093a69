"""``adapter_config.json`` of an adapter folder, read without believing it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peft import PeftConfig
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

from hificl.adapters.information import read_object
from hificl.errors import InputError

CONFIG = "adapter_config.json"

UNUSABLE = (ArithmeticError, AttributeError, ImportError, LookupError, RuntimeError, TypeError, ValueError, re.error)
"""What a config with fields of the wrong type or size ends in, inside PEFT and torch."""


def read_config(folder: Path) -> PeftConfig:
    """Read ``adapter_config.json``.

    Raises:
        InputError: It is missing, not JSON, of a method that is not installed, or a field is not what the method takes;
            the message names file and field.
    """
    values = read_object(folder / CONFIG)
    kind = values.get("peft_type")
    table: Mapping[Any, Any] = PEFT_TYPE_TO_CONFIG_MAPPING
    if not isinstance(kind, str) or kind not in table:
        raise InputError(
            f"{folder / CONFIG}: peft_type {kind!r} is not a method of the installed peft; install the version that "
            "wrote the adapter."
        )
    try:
        config: PeftConfig = table[kind].from_pretrained(str(folder))
    except UNUSABLE as error:
        told = f"{_refused_field(table[kind], kind, values)}{first_line(error)}".rstrip(".")
        raise InputError(f"{folder / CONFIG}: {told}; copy the adapter again.") from error
    return config


def _refused_field(config: Any, kind: str, values: Mapping[str, Any]) -> str:
    """Return which field is refused also when it stands alone, for messages; empty where only the whole is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT tells of fields that it does not know
        for name, value in values.items():
            try:
                config.from_peft_type(**{"peft_type": kind, name: value})
            except UNUSABLE:
                return f"{name}: "
    return ""


def first_line(error: Exception) -> str:
    """Return what an error says, without the stack that torch writes below it."""
    return next(iter(str(error).splitlines()), type(error).__name__)
